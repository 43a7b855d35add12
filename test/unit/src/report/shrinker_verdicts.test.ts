// SPDX-License-Identifier: GPL-2.0-only
/** What the shrinker experiments conclude from their samples. */
import { describe, expect, it } from 'vitest';
import type { LabSample } from '../../../../dist/src/report/shrinker_lab.js';
import {
  churnCells,
  churnVerdict,
  hotVerdict,
  skippedVerdict,
  spreadOf,
} from '../../../../dist/src/report/shrinker_verdicts.js';

const flat = (value: number) => ({ median: value, min: value, max: value });

function side(policy: 'rwsem' | 'lockless-fixed', lock: number, symbol: string) {
  const row = { symbol, functions: [symbol], file: 'x.ts', samples: 60, percent: 60 };
  const table = { rows: [row], samples: 100, asleep: 0 };
  return { policy, table, lockShare: flat(lock), rcuShare: flat(0) };
}

const cell = (threads: number, lock: number, firstBefore: string, firstAfter = 'shrink_slab') => ({
  shape: 'empty',
  threads,
  before: side('rwsem', lock, firstBefore),
  after: side('lockless-fixed', 0, firstAfter),
});

function sample(
  policy: LabSample['policy'],
  walkers: number,
  rounds: number,
  skipped = 0,
  churners = 1,
): LabSample {
  return {
    policy,
    shape: 'sparse',
    walkers,
    churners,
    walksPerSec: 1000,
    skipped,
    walks: walkers === 0 ? 0 : 100,
    early: 0,
    callbacksPerSec: 0,
    roundsPerSec: rounds,
    roundUsMax: rounds,
  };
}

const churn = (srcu: number, fixed: number, skipped = 40) =>
  churnCells(
    [1, 2, 3].flatMap((run) =>
      [
        sample('rwsem', 2, 1000 * run, skipped),
        sample('srcu', 2, srcu * run),
        sample('lockless-fixed', 2, fixed * run),
      ].map((one) => ({ run, sample: one })),
    ),
  );

describe('spread', () => {
  it('is the median with its ends', () => {
    expect(spreadOf([])).toBeNull();
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  });
});

describe('hot spots', () => {
  it('hold when the lock goes, and was first somewhere', () => {
    const verdict = hotVerdict([cell(1, 20, 'shrink_slab'), cell(4, 55, 'down_read_trylock')], 4);
    expect(verdict.holds).toBe(true);
    expect(verdict.text).toMatch(/^hot spots: held: .* from 55\.0 % \(empty, 4 threads\); seed/);
    expect(verdict.text).toContain('first before it in empty, 4 threads');
  });

  it('say when the order does not come out, and what was tried', () => {
    const verdict = hotVerdict([cell(1, 20, 'shrink_slab'), cell(2, 25, 'shrink_slab')], 2);
    expect(verdict.holds).toBe(false);
    expect(verdict.text).toContain('sign held, order not');
    expect(verdict.text).toContain('more than the 2 cores');
    expect(verdict.text).toContain('threads tried: 1, 2');
  });

  it('do not hold when the lock stays, or something else is first after it', () => {
    expect(hotVerdict([cell(1, 0, 'down_read_trylock')], 2).text).toMatch(/^hot spots: not held/);
    const other = cell(1, 50, 'down_read_trylock', 'up_read');
    expect(hotVerdict([other], 2).text).toMatch(/^hot spots: not held/);
    expect(hotVerdict([], 2).text).toBe('hot spots: not measured');
  });
});

describe('churn', () => {
  it('takes ratios within a run', () => {
    const srcu = churn(100, 950).find(({ policy }) => policy === 'srcu');
    expect(srcu).toMatchObject({ roundsPerSec: { median: 200, min: 100, max: 300 }, walks: 300 });
    expect(srcu?.toRwsem?.median).toBeCloseTo(0.1);
  });

  it.each([
    [
      100,
      950,
      true,
      /^churn: held in 1 of 1 cells: with one beside 2 that walk, .* srcu is -90 % /,
    ],
    [100, 500, false, /^churn: half held: .* lockless-fixed -50 % /],
    [800, 950, false, /^churn: not held/],
    [100, 2000, true, /lockless-fixed \+100 % /],
  ])('srcu %d, lockless-fixed %d of 1000', (srcu, fixed, holds, text) => {
    const verdict = churnVerdict(churn(srcu, fixed));
    expect(verdict.holds).toBe(holds);
    expect(verdict.text).toMatch(text);
  });

  it('keeps crowds apart', () => {
    const runs = [1, 2, 4].flatMap((churners) =>
      (['rwsem', 'srcu', 'lockless-fixed'] as const).map((policy) => {
        const rounds = policy === 'srcu' ? 100 * churners : 1000;
        return { run: 1, sample: sample(policy, 0, rounds, 0, churners) };
      }),
    );
    const verdict = churnVerdict(churnCells(runs));
    expect(verdict.text).toMatch(
      /held in 3 of 3 .* 1, 2, 4 threads that mount, .* srcu is -90 %, -80 %, -60 % /,
    );
  });

  it('needs rwsem beside it', () => {
    const cells = churnCells([{ run: 1, sample: sample('srcu', 1, 5) }]);
    expect(cells[0]?.toRwsem).toBeNull();
    expect(churnVerdict(cells).text).toBe('churn: not measured');
  });
});

describe('failed trylocks', () => {
  it('are some under the rwsem and none without it', () => {
    const verdict = skippedVerdict(churn(1, 1));
    expect(verdict.holds).toBe(true);
    expect(verdict.text).toContain('40.0 % at 2 walking threads are given up; lockless 0');
    expect(skippedVerdict(churn(1, 1, 0)).holds).toBe(false);
    const idle = churnCells([{ run: 1, sample: sample('rwsem', 0, 5) }]);
    expect(skippedVerdict(idle).text).toBe('failed trylocks: not measured');
  });
});
