// SPDX-License-Identifier: GPL-2.0-only
/** What the experiment on kcompressd concludes from its samples. */
import { describe, expect, it } from 'vitest';
import type { KcompressdSample } from '../../../../dist/src/report/kcompressd_lab.js';
import { formatKcompressd } from '../../../../dist/src/report/kcompressd_text.js';
import {
  kcompressdCells,
  nullVerdict,
  stallVerdict,
  stealVerdict,
  type TakenSample,
} from '../../../../dist/src/report/kcompressd_verdicts.js';
import { kcompressdSteps } from '../../../../dist/src/report/reproduce_kcompressd.js';

const OFF: KcompressdSample = {
  policy: 'off',
  data: 'compressible',
  cost: 1,
  threads: 1,
  oneCore: false,
  reserve: 10,
  wallMs: 1000,
  allocstall: 100,
  stallP50Ms: 1,
  stallP99Ms: 5,
  stallTotalMs: 200,
  stealAnonPerSec: 1000,
  stealKswapdPerSec: 900,
  kswapdUsPerPage: 5,
  queued: 0,
  full: 0,
  violations: [],
};

/** Runs of off and of fixed: stalls of fixed by run, off has 100 each time. */
function pair(stalls: number[], steal = 1000, cost = 1, experiment = 'cost'): TakenSample[] {
  return stalls.flatMap((allocstall, i) => {
    const sample = { ...OFF, cost, oneCore: experiment === 'one core' };
    const fixed = { policy: 'fixed', allocstall, stealAnonPerSec: steal } as const;
    const on = { ...sample, ...fixed, queued: 3, full: 1 };
    return [sample, on].map((one) => ({ experiment, run: i + 1, sample: one }));
  });
}

const cells = (...taken: TakenSample[][]) => kcompressdCells(taken.flat());

describe('kcompressdCells', () => {
  it('sets each policy against off in the same run', () => {
    const taken = pair([50, 60, 90]).map((one) => {
      // The second run was twice as bad without it.
      const twice = one.run === 2 && one.sample.policy === 'off';
      return twice ? { ...one, sample: { ...one.sample, allocstall: 200 } } : one;
    });
    const [off, on] = kcompressdCells(taken);
    expect(off).toMatchObject({ policy: 'off', stallRatio: null, queuedShare: null });
    expect(on).toMatchObject({ policy: 'fixed', allocstall: { median: 60 } });
    expect(on?.stallRatio).toMatchObject({ median: 0.5, runs: 3 });
    expect(on?.queuedShare?.median).toBe(0.75);
  });

  it('has no ratio to nothing, nor to a run that was not taken', () => {
    const none = pair([10]).map(({ sample, ...rest }) => {
      return { ...rest, sample: { ...sample, allocstall: 0 } };
    });
    expect(kcompressdCells(none)[1]?.stallRatio).toBeNull();
    expect(kcompressdCells(pair([10]).slice(1))[0]?.stallRatio).toBeNull();
  });

  it('keeps settings apart', () => {
    expect(cells(pair([1]), pair([1], 1000, 4), pair([1], 1000, 4, 'one core'))).toHaveLength(6);
  });
});

describe('verdicts', () => {
  it('stalls: half or less, and where', () => {
    const held = stallVerdict(cells(pair([80, 81, 82]), pair([50, 49, 51], 1000, 16)));
    expect(held.holds).toBe(true);
    expect(held.text).toMatch(
      /held in 1 of 2 cells: .*: fixed, compressible x16; the best is 0\.50/,
    );
    const not = stallVerdict(cells(pair([51, 52, 53])));
    expect(not).toMatchObject({ holds: false });
    expect(not.text).toMatch(/^allocation stalls: not held: /);
    expect(stallVerdict([]).text).toBe('allocation stalls: not measured');
  });

  it('steal: the best rate, and how many are more', () => {
    const seen = stealVerdict(cells(pair([9, 9], 2000), pair([9, 9], 500, 16)));
    expect(seen.holds).toBe(false);
    expect(seen.text).toMatch(/at best 2\.00 \(2\.00\.\.2\.00\) times .* in 1 of 2 cells$/);
    expect(stealVerdict(cells(pair([9, 9], 3600))).holds).toBe(true);
    expect(stealVerdict([]).holds).toBe(false);
  });

  it('no gain: said of cheap compression and of one core, a loss by its name', () => {
    const cheap = pair([98, 100, 102]);
    const core = pair([120, 130, 140], 1000, 16, 'one core');
    const dear = pair([40, 41, 42], 1000, 16);
    const { holds, text } = nullVerdict(cells(cheap, dear, core));
    expect(holds).toBe(true);
    expect(text).toMatch(
      /in 2 of 2 cells: 1\.00 .*\(fixed, compressible x1\); 1\.30 .* one core\); /,
    );
    expect(text).toMatch(/elsewhere: none; a loss .*: 1\.30 \(.*\) \(fixed, .* one core\)$/);
  });

  it('no gain: not held when cheap compression gains, too', () => {
    const { holds, text } = nullVerdict(cells(pair([40, 41, 42]), pair([99, 100, 101], 1000, 16)));
    expect(holds).toBe(false);
    expect(text).toMatch(/^no gain: not held .*: none; elsewhere: 1\.00 /);
    const elsewhere = nullVerdict(cells(pair([99, 100, 101], 1000, 1, 'threads')));
    expect(elsewhere.text).toMatch(/^no gain: not measured where .*: none; elsewhere: 1\.00 /);
    expect(nullVerdict([]).text).toBe('no gain: not measured');
  });
});

const OPTIONS = {
  runs: 2,
  costs: [1, 9],
  threads: [2, 4],
  reserves: [300],
  bursts: 1,
  only: '',
  oneCore: true,
};

describe('kcompressdSteps', () => {
  it('takes turns of the policies in each run, after the scan alone', () => {
    const steps = kcompressdSteps(OPTIONS);
    expect(steps).toHaveLength(2 * (1 + 3 * (2 + 2 + 2 + 1 + 2)));
    expect(steps[0]).toMatchObject({ experiment: 'scan cost', plan: { data: 'none' } });
    expect(steps.slice(1, 4).map(({ plan }) => plan.policy)).toEqual(['off', 'seed', 'fixed']);
    const core = steps.filter(({ plan }) => plan.oneCore);
    expect(new Set(core.map(({ plan }) => plan.cost))).toEqual(new Set([1, 9]));
  });

  it('leaves out what was not asked for, and what the host cannot do', () => {
    const one = kcompressdSteps({ ...OPTIONS, only: 'threads' });
    expect(new Set(one.map(({ plan }) => plan.threads))).toEqual(new Set([1, 2, 4]));
    expect(kcompressdSteps({ ...OPTIONS, oneCore: false }).some(({ plan }) => plan.oneCore)).toBe(
      false,
    );
  });
});

it('formatKcompressd says what compression costs in parts of scanning', () => {
  const taken = pair([50], 1000, 10);
  const result = {
    runs: taken,
    cells: kcompressdCells(taken),
    codec: { compressibleUs: 2, incompressibleUs: 1 },
    scanUs: [4],
    violations: [],
    failure: null,
  };
  expect(formatKcompressd(result)).toMatch(
    /\n {2}cost +compressible +x10 +5\.0 +1 +10 +fixed +50 +0\.50/,
  );
  expect(formatKcompressd({ ...result, cells: [] })).toBe('');
});
