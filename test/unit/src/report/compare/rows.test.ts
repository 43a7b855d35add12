// SPDX-License-Identifier: GPL-2.0-only
/** Rows and verdicts of synthetic runs; bounds; names that somebody may have meant. */
import { describe, expect, it } from 'vitest';
import { Prng } from '../../../../../dist/shared/prng.js';
import { UsageError } from '../../../../../dist/src/errors.js';
import { analyse } from '../../../../../dist/src/report/compare/analysis.js';
import { checkBound, parseBound } from '../../../../../dist/src/report/compare/bound.js';
import type { CompareRun } from '../../../../../dist/src/report/compare/compare_report.js';
import { thingDiffs } from '../../../../../dist/src/report/compare/config_diff.js';
import { nearNames } from '../../../../../dist/src/report/compare/near_names.js';
import { compareRows } from '../../../../../dist/src/report/compare/rows.js';
import { runSeries, stepsOf } from '../../../../../dist/src/report/compare/series.js';

const prng = new Prng(3);
const noisy = (mean: number): number => mean * (0.95 + 0.1 * prng.nextFloat());
const sides = (runs: number, a: () => object, b: () => object) => ({
  a: Array.from({ length: runs }, () => ({ ...a() }) as Record<string, number | null>),
  b: Array.from({ length: runs }, () => ({ ...b() }) as Record<string, number | null>),
  paired: true,
});
const verdicts = (samples: ReturnType<typeof sides>) =>
  Object.fromEntries(compareRows(samples, 2).map(({ counter, verdict }) => [counter, verdict]));

describe('verdicts', () => {
  it('tell more from less, same and unclear', () => {
    const a = () => ({ up: noisy(100), down: noisy(100), level: 100, noise: noisy(100), none: 0 });
    const b = () => ({ up: noisy(150), down: noisy(50), level: 101, noise: noisy(100), none: 0 });
    expect(verdicts(sides(8, a, b))).toEqual({
      up: 'more',
      down: 'less',
      level: 'same',
      noise: 'unclear',
    });
  });

  it('are same for the same runs, however few', () => {
    const same = () => ({ pgscan: 500, pgsteal: 100 });
    expect(verdicts(sides(2, same, same))).toEqual({ pgscan: 'same', pgsteal: 'same' });
  });

  it('do not tell same from what scatters, of four pairs or fewer', () => {
    const level = () => ({ x: 1000 + prng.nextFloat() });
    expect(verdicts(sides(4, level, level)).x).toBe('unclear');
    expect(verdicts(sides(5, level, level)).x).toBe('same');
  });

  it('do not tell more from less from four pairs or fewer', () => {
    const samples = (runs: number) =>
      sides(
        runs,
        () => ({ x: noisy(100) }),
        () => ({ x: noisy(300) }),
      );
    expect([1, 2, 4, 5].map((runs) => verdicts(samples(runs)).x)).toEqual([
      'unclear',
      'unclear',
      'unclear',
      'more',
    ]);
  });

  it('seldom tell runs of one machine apart', () => {
    const TRIALS = 300;
    let wrong = 0;
    for (let trial = 0; trial < TRIALS; trial++) {
      const machine = () => ({ x: noisy(100) });
      const { x } = verdicts(sides(6, machine, machine));
      if (x === 'more' || x === 'less') wrong++;
    }
    // Six or seven in a hundred, measured over thousands: an interval of 95 % on six runs.
    expect((100 * wrong) / TRIALS).toBeLessThan(12);
  });
});

describe('rows', () => {
  it('come by effect, halving as doubling', () => {
    const a = () => ({ third: 300, half: 200, tenth: 100, from: 0 });
    const b = () => ({ third: 100, half: 100, tenth: 110, from: 5 });
    const rows = compareRows(sides(6, a, b), 2);
    expect(rows.map(({ counter }) => counter)).toEqual(['from', 'third', 'half', 'tenth']);
  });

  it('take what a run never met as nothing, and what it does not know as not known', () => {
    const samples = sides(
      6,
      () => ({ 'lock.contentions.ptl': 4, wallMs: 10, 'allocStall.p50Ns': null }),
      () => ({ 'allocStall.p50Ns': 7 }),
    );
    const rows = compareRows(samples, 2);
    expect(rows.map(({ counter, b }) => [counter, b])).toEqual([['lock.contentions.ptl', 0]]);
  });

  it('leave pairs out of which one side is not known', () => {
    const samples = sides(
      6,
      () => ({ x: 1 }),
      () => ({ x: 2 }),
    );
    (samples.b[3] as Record<string, number | null>).x = null;
    expect(compareRows(samples, 2)).toMatchObject([{ runsA: 5, runsB: 5 }]);
  });
});

const run = (side: 'a' | 'b', pair: number, x: number, status: CompareRun['status'] = 'complete') =>
  ({
    side,
    pair,
    status,
    exitCode: 0,
    reason: null,
    seed: 1,
    wallMs: 1,
    report: null,
    counters: { pgscan: x },
  }) satisfies CompareRun;

describe('analysis', () => {
  const pairs = (count: number) =>
    Array.from({ length: count }, (_, k) => [run('a', k + 1, 100), run('b', k + 1, 120)]).flat();
  const options = { paired: true, same: 2, bounds: [] };

  it('compares complete pairs only', () => {
    const runs = [...pairs(6), run('a', 7, 900), run('b', 7, 1, 'interrupted')];
    const { compared, rows, verdict, confidence } = analyse(runs, options);
    expect([compared, confidence]).toEqual([{ a: 6, b: 6 }, 95]);
    expect(rows).toMatchObject([{ counter: 'pgscan', diffPct: 20, low: 20, verdict: 'more' }]);
    expect(verdict).toBe('differ: pgscan more');
  });

  it('has nothing to say of no pair', () => {
    const bounds = [parseBound('pgscan>5%')];
    const { rows, failOn, verdict } = analyse([run('a', 1, 5)], { ...options, bounds });
    expect([rows, failOn[0]?.broken, verdict]).toEqual([[], null, 'nothing to compare']);
  });

  it.each([
    ['on one side only', 5, null],
    ['nowhere', null, false],
  ])('tells a bound of what is known %s', (_, inB, broken) => {
    const of = (side: 'a' | 'b', x: number | null) =>
      [1, 2, 3].map((pair) => ({ ...run(side, pair, 1), counters: { x } }));
    const bounds = [parseBound('x>5%')];
    const { failOn } = analyse([...of('a', null), ...of('b', inB)], { ...options, bounds });
    expect(failOn[0]?.broken).toBe(broken);
  });

  it('names counters near one that there is not', () => {
    const bounds = [parseBound('pgscam>5%')];
    expect(() => analyse(pairs(2), { ...options, bounds })).toThrow(/near are pgscan$/);
  });
});

describe('bounds', () => {
  const [row] = compareRows(
    sides(
      6,
      () => ({ x: 100 }),
      () => ({ x: 120 }),
    ),
    2,
  );
  const [less] = compareRows(
    sides(
      6,
      () => ({ x: 100 }),
      () => ({ x: 80 }),
    ),
    2,
  );

  it.each([
    ['x>5%', row, true],
    ['x>20%', row, false],
    ['x>19', row, true],
    ['x > 20', row, false],
    ['x<5%', row, false],
    ['x<5%', less, true],
    ['x<-5%', less, true],
    ['x<19', less, true],
    ['x<20', less, false],
    ['x>0', undefined, false],
  ])('%s', (text, of, broken) => {
    expect(checkBound(parseBound(text), of, true).broken).toBe(broken);
  });

  it('are broken by the near end, not by the middle', () => {
    const a = [100, 100, 100, 100, 100, 100].map((x) => ({ x }));
    const b = [101, 140, 140, 140, 140, 140].map((x) => ({ x }));
    const [wide] = compareRows({ a, b, paired: true }, 2);
    expect(wide?.percent).toBe(40);
    expect(wide?.percentInterval?.low).toBeLessThan(40);
    expect(checkBound(parseBound('x>39%'), wide, true).broken).toBe(false);
  });

  it.each(['', 'x', 'x>', 'x=5%', 'x>-5%', '>5%', 'x>5%%', 'x>5 % y'])("'%s' is none", (text) => {
    expect(() => parseBound(text)).toThrow(UsageError);
  });
});

it('takes turns, and stops when told', async () => {
  const order = stepsOf(3).map(({ side, pair }) => `${side}${pair}`);
  expect(order).toEqual(['a1', 'b1', 'b2', 'a2', 'a3', 'b3']);
  const controller = new AbortController();
  const options = { steps: stepsOf(3), jobs: 1, signal: controller.signal };
  const made = await runSeries({
    ...options,
    run: async ({ side, pair }) => `${side}${pair}`,
    onRun: (_, done) => {
      if (done === 4) controller.abort();
    },
  });
  expect(made).toEqual(order.slice(0, 4));
  const failing = runSeries({
    ...options,
    signal: new AbortController().signal,
    jobs: 2,
    run: async ({ side }) => {
      if (side === 'b') throw new UsageError('no');
      return side;
    },
  });
  await expect(failing).rejects.toThrow('no');
});

it('knows what somebody may have meant', () => {
  const known = ['pgscan_kswapd', 'pgscan_direct', 'pgfault', 'wallMs'];
  expect(nearNames('pgfalt', known)).toEqual(['pgfault']);
  expect(nearNames('PGSCAN', known)).toEqual(['pgscan_kswapd', 'pgscan_direct']);
  expect(nearNames('zzzzzz', known)).toEqual([]);
});

it('finds in what two machines differ', () => {
  const a = { seed: 1, faultSeed: 1, swappiness: 10, faults: null };
  const b = { seed: 2, faultSeed: 2, swappiness: 10, faults: null };
  expect(thingDiffs(a, b)).toEqual([{ name: 'seed', a: '1', b: '2' }]);
  expect(thingDiffs(a, { ...a, faultSeed: 9 }).map(({ name }) => name)).toEqual(['faultSeed']);
});
