// SPDX-License-Identifier: GPL-2.0-only
/** What the experiments on kshrinkd conclude from their samples. */
import { describe, expect, it } from 'vitest';
import type { IsolationSample, MonkeySample } from '../../../../dist/src/report/kshrinkd_lab.js';
import { formatKshrinkd } from '../../../../dist/src/report/kshrinkd_text.js';
import {
  firstEmpty,
  isolationVerdict,
  isSteady,
  killVerdict,
  misplacedVerdict,
  refaultVerdict,
  stealScanVerdict,
} from '../../../../dist/src/report/kshrinkd_verdicts.js';
import { isolationCells, monkeyCells } from '../../../../dist/src/report/reproduce_kshrinkd.js';

const STEADY = [24, 24, 24, 24];
const DECAY = [24, 16, 8, 0];

function isolation(policy: IsolationSample['policy'], reclaimable: number[], misplaced = 0) {
  const kshrinkd = { stealKshrinkd: 0, scanKshrinkd: 0 };
  return { policy, held: 8, reclaimable, freed: [], misplaced, ...kshrinkd, violations: [] };
}

const demonstration = (change: Partial<Record<string, IsolationSample>> = {}) =>
  isolationCells([
    change.head ?? isolation('head', STEADY, 32),
    change.tail ?? isolation('tail', DECAY),
    change.kshrinkd ?? isolation('kshrinkd', STEADY),
    change.fixed ?? isolation('kshrinkd-fixed', STEADY),
  ]);

describe('isolations', () => {
  it('finds the first that finds nothing', () => {
    expect([firstEmpty(DECAY), firstEmpty(STEADY), firstEmpty([24, 1])]).toEqual([4, null, 2]);
    expect([isSteady(STEADY), isSteady(DECAY), isSteady([0, 0]), isSteady([])]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('are medians of the runs', () => {
    const samples = [DECAY, STEADY, [24, 20, 20, 20]].map((all) => isolation('tail', all));
    expect(isolationCells(samples)).toMatchObject([{ held: 8, reclaimable: [24, 20, 20, 20] }]);
  });

  it('hold when the tail decays, the head misplaces and kshrinkd does neither', () => {
    const { holds, text } = isolationVerdict(demonstration());
    expect(holds).toBe(true);
    expect(text).toMatch(/^isolations: held: tail falls to nothing at 8 of 32 .* in 2 of 2 cells$/);
  });

  it.each([
    ['a tail that goes on', { tail: isolation('tail', STEADY) }],
    ['a head that misplaces nothing', { head: isolation('head', STEADY, 0) }],
    ['a kshrinkd that runs dry', { kshrinkd: isolation('kshrinkd', DECAY) }],
    ['a kshrinkd that misplaces', { fixed: isolation('kshrinkd-fixed', STEADY, 3) }],
  ])('do not hold with %s', (_, change) => {
    expect(isolationVerdict(demonstration(change)).holds).toBe(false);
  });

  it('are not measured without the policies', () => {
    expect(isolationVerdict([]).text).toBe('isolations: not measured');
  });
});

const HEAD: MonkeySample = {
  policy: 'head',
  holdUs: 1000,
  oneIn: 4,
  wallMs: 2000,
  scanned: 1000,
  contended: 20,
  scanKshrinkd: 0,
  stealKshrinkd: 0,
  misplaced: 20,
  refaults: 1000,
  kills: 10,
  cold: 20,
  violations: [],
};

/** Three runs of head and of kshrinkd with these changes. */
function monkey(change: Partial<MonkeySample>, holdUs = 1000) {
  const on = { ...HEAD, policy: 'kshrinkd', misplaced: 0, ...change } as const;
  return [1, 2, 3].flatMap((run) =>
    [HEAD, on].map((sample) => ({ run, sample: { ...sample, holdUs } })),
  );
}

describe('monkey', () => {
  it('is set against head in the same run', () => {
    const taken = monkey({ scanKshrinkd: 30, stealKshrinkd: 10, refaults: 970, kills: 9 });
    // The first run was twice as bad without it.
    const first = { ...HEAD, refaults: 2000 };
    const [head, on] = monkeyCells([{ run: 1, sample: first }, ...taken.slice(1)]);
    expect(head).toMatchObject({ refaultRatio: null, stealPercent: null });
    expect(head?.misplacedPerSec.median).toBe(10);
    expect(head?.contendedPercent.median).toBe(2);
    expect(on?.stealPercent?.median).toBeCloseTo(33.33);
    expect([on?.refaultRatio?.median, on?.killRatio?.median]).toEqual([0.97, 0.9]);
  });

  it('says where the published third is on the sweep', () => {
    const low = monkey({ scanKshrinkd: 100, stealKshrinkd: 2 });
    const high = monkey({ scanKshrinkd: 100, stealKshrinkd: 60 }, 5000);
    const both = stealScanVerdict(monkeyCells([...low, ...high]));
    expect(both.holds).toBe(true);
    expect(both.text).toMatch(
      /within the sweep: from 2\.0 .* \(kshrinkd, one in 4 holds 1000 us\)/,
    );
    expect(stealScanVerdict(monkeyCells(low))).toMatchObject({ holds: false });
    expect(stealScanVerdict(monkeyCells(low)).text).toMatch(/ is above all: /);
    expect(stealScanVerdict(monkeyCells(high)).text).toMatch(/ is below all: /);
    expect(stealScanVerdict(monkeyCells(monkey({}))).text).toBe('steal / scan: not measured');
  });

  it('misplaced: head some, kshrinkd none', () => {
    expect(misplacedVerdict(monkeyCells(monkey({}))).holds).toBe(true);
    expect(misplacedVerdict(monkeyCells(monkey({ misplaced: 1 }))).holds).toBe(false);
    expect(misplacedVerdict([]).text).toBe('misplaced: not measured');
  });

  it('refaults and kills: fewer beyond the spread in most cells, more in none', () => {
    const fewer = monkey({ refaults: 968, kills: 9 });
    const held = refaultVerdict(monkeyCells(fewer));
    expect(held.holds).toBe(true);
    expect(held.text).toMatch(/fewer in 1 of 1 cells, more in 0; intervals of 1 take in/);
    expect(killVerdict(monkeyCells(fewer)).holds).toBe(true);
    const same = monkey({}, 20_000);
    expect(refaultVerdict(monkeyCells([...fewer, ...same])).holds).toBe(false);
    const more = monkey({ refaults: 1100, kills: 11 }, 5000);
    expect(refaultVerdict(monkeyCells([...fewer, ...more])).holds).toBe(false);
    expect(killVerdict(monkeyCells(monkey({}))).holds).toBe(false);
    expect(refaultVerdict([]).text).toBe('refaults: not measured');
  });
});

it('formatKshrinkd leaves out what has no sample', () => {
  const empty = { runs: [], isolations: [], monkey: [], violations: [], failure: null };
  expect(formatKshrinkd(empty)).toBe('');
  const text = formatKshrinkd({ ...empty, isolations: demonstration() });
  expect(text).toMatch(/\n {2}8 of 32 +tail +24 16 8 0 +4 +0 +-\n/);
  expect(text).not.toMatch(/Workload monkey/);
});
