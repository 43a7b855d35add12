// SPDX-License-Identifier: GPL-2.0-only
/** Intervals: do they cover the truth as often as they say, and what do they do at the edges? */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prng } from '../../../../../dist/shared/prng.js';
import {
  Bootstrap,
  confidenceOf,
  medianOf,
  percentOf,
} from '../../../../../dist/src/report/compare/bootstrap.js';

const TRIALS = 250;
const prng = new Prng(2026);

/** Box and Muller's. */
function normal(): number {
  const radius = Math.sqrt(-2 * Math.log(1 - prng.nextFloat()));
  return radius * Math.cos(2 * Math.PI * prng.nextFloat());
}

/** How often, in percent, the interval has the true difference of 10 % in it. */
function coverage(runs: number, paired: boolean, pair: () => readonly [number, number]): number {
  const bootstrap = new Bootstrap(runs, runs, paired);
  let hits = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const pairs = Array.from({ length: runs }, pair);
    const { percentInterval } = bootstrap.difference(
      pairs.map(([a]) => a),
      pairs.map(([, b]) => b),
    );
    const { low, high } = percentInterval as { low: number; high: number };
    if (low <= 10 && high >= 10) hits++;
  }
  return (100 * hits) / TRIALS;
}

const even = (): [number, number] => [100 + 10 * normal(), 110 + 10 * normal()];
const skewed = (): [number, number] => [100 * Math.exp(normal() / 2), 110 * Math.exp(normal() / 2)];
/** What disturbs both sides of a pair alike, and a little that does not. */
function common(): [number, number] {
  const both = 100 * Math.exp(0.3 * normal());
  return [both * (1 + 0.02 * normal()), 1.1 * both * (1 + 0.02 * normal())];
}

describe('coverage of the 95 % interval', { timeout: 120_000 }, () => {
  it.each([
    ['paired, 6 runs, normal', 6, true, even],
    ['paired, 10 runs, normal', 10, true, even],
    ['paired, 10 runs, skewed', 10, true, skewed],
    ['paired, 10 runs, what is common cancels', 10, true, common],
    ['unpaired, 10 runs, skewed', 10, false, skewed],
  ] as const)('%s', (_, runs, paired, pair) => {
    expect(coverage(runs, paired, pair)).toBeGreaterThanOrEqual(90);
  });

  it('is no more than is said of three pairs', () => {
    const measured = coverage(3, true, even);
    expect(measured).toBeGreaterThan(65);
    expect(measured).toBeLessThan(85);
    expect(confidenceOf(3, 3, true)).toBe(75);
  });
});

it('pairs what is common away', () => {
  const pairs = Array.from({ length: 10 }, common);
  const [a, b] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
  const width = (paired: boolean): number => {
    const interval = new Bootstrap(10, 10, paired).difference(a, b).percentInterval;
    return (interval?.high ?? 0) - (interval?.low ?? 0);
  };
  expect(width(true)).toBeLessThan(width(false) / 3);
});

describe('best confidence', () => {
  it.each([
    [2, 2, true, 50],
    [5, 5, true, 93.75],
    [6, 6, true, 95],
    [3, 3, false, 90],
    [4, 4, false, 95],
    [1, 100, false, 100 * (1 - 2 / 101)],
  ])('%i and %i runs, paired %s: %d %%', (a, b, paired, percent) => {
    expect(confidenceOf(a, b, paired)).toBeCloseTo(Math.min(percent, 95), 6);
  });
});

const values = (runs: number) =>
  fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: runs, maxLength: runs });

describe('difference', () => {
  it('of one run has no interval', () => {
    const { percent, diffInterval, percentInterval } = new Bootstrap(1, 1, true).difference(
      [100],
      [150],
    );
    expect([percent, diffInterval, percentInterval]).toEqual([50, null, null]);
  });

  it('of the same runs is nothing, and of runs without spread a point', () => {
    const bootstrap = new Bootstrap(5, 5, true);
    const same = bootstrap.difference([3, 1, 4, 1, 5], [3, 1, 4, 1, 5]);
    expect(same).toMatchObject({ a: 3, b: 3, diff: 0, percentInterval: { low: 0, high: 0 } });
    const flat = bootstrap.difference([4, 4, 4, 4, 4], [6, 6, 6, 6, 6]);
    expect(flat.percentInterval).toEqual({ low: 50, high: 50 });
    expect(flat.diffInterval).toEqual({ low: 2, high: 2 });
  });

  it('has no limit in percent of nothing', () => {
    const from = new Bootstrap(2, 2, true).difference([0, 0], [5, 7]);
    expect(from).toMatchObject({ diff: 6, percent: Number.POSITIVE_INFINITY });
    expect(from.diffInterval).toEqual({ low: 5, high: 7 });
    expect(percentOf(0, 0)).toBe(0);
  });

  it('is the same each time, and keeps within what was seen', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 7 }), fc.boolean(), fc.gen(), (runs, paired, gen) => {
        const [a, b] = [gen(values, runs), gen(values, runs)];
        const one = new Bootstrap(runs, runs, paired).difference(a, b);
        const two = new Bootstrap(runs, runs, paired).difference(a, b);
        expect(two).toEqual(one);
        const { low, high } = one.diffInterval as { low: number; high: number };
        expect(low).toBeGreaterThanOrEqual(Math.min(...b) - Math.max(...a));
        expect(high).toBeLessThanOrEqual(Math.max(...b) - Math.min(...a));
        expect(low).toBeLessThanOrEqual(high);
        const sorted = [...a].sort((x, y) => x - y);
        expect(one.a).toBe(medianOf(sorted));
      }),
      { numRuns: 25, seed: 7 },
    );
  });

  it('turns round when A and B change places', () => {
    fc.assert(
      fc.property(values(6), values(6), (a, b) => {
        const bootstrap = new Bootstrap(6, 6, true);
        const [there, back] = [bootstrap.difference(a, b), bootstrap.difference(b, a)];
        expect(back.diff).toBe(0 - there.diff);
        expect(back.diffInterval?.low).toBe(0 - (there.diffInterval?.high ?? 0));
      }),
      { numRuns: 15, seed: 8 },
    );
  });
});
