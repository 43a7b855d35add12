// SPDX-License-Identifier: GPL-2.0-only
/**
 * Intervals by resampling: how far the difference of two medians may be off, from the runs alone.
 *
 *   paired     run k of A and run k of B were made one after the other: a resample draws numbers of
 *              pairs, so that what disturbed both sides of a pair alike cancels
 *   unpaired   each side is drawn for itself
 *
 * The interval is the percentile interval: without the outer 2.5 % of the resamples at each end.
 * For medians it covers what it says from six runs on, as test/unit/src/report/compare measures.
 * Not BCa: its correction comes from leaving out one run at a time, and tells nothing about a
 * median.
 */
import { Prng } from '../../../shared/prng.ts';

/** Resamples of an interval; fewer where there are many runs. */
const RESAMPLES_MAX = 10_000;
const DRAWS_MAX = 1_000_000;
const RESAMPLES_MIN = 1000;
const SEED = 0x6b726563;

/** What an interval is meant to cover, in percent. */
export const CONFIDENCE = 95;

/** The middle of ascending values, at least one. */
export function medianOf(sorted: ArrayLike<number>): number {
  const high = sorted.length >> 1;
  const low = sorted.length % 2 === 1 ? high : high - 1;
  return ((sorted[low] as number) + (sorted[high] as number)) / 2;
}

/** @returns the values, ascending */
export function ascending(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

/** B against A in percent of A; infinite where A is nothing and B is something. */
export function percentOf(a: number, b: number): number {
  if (a === b) return 0;
  return a === 0 ? Math.sign(b) * Number.POSITIVE_INFINITY : (100 * (b - a)) / Math.abs(a);
}

/**
 * What an interval can cover at best, in percent. Without an effect all differences have the same
 * sign by chance alone once in 2^(n-1) times; unpaired, all of A lie on one side of B's once in
 * half as many times as there are ways to choose them.
 */
export function confidenceOf(a: number, b: number, paired: boolean): number {
  let ways = 1;
  if (paired) ways = 2 ** Math.min(a, b, 50);
  else for (let i = 1; i <= Math.min(b, 50); i++) ways = (ways * (a + i)) / i;
  return Math.min(CONFIDENCE, 100 * (1 - 2 / ways));
}

/** Numbers of runs, `count` times as many as there are runs. */
function draw(runs: number, count: number, stream: number): Uint32Array {
  const prng = new Prng(SEED, stream);
  return Uint32Array.from({ length: runs * count }, () => prng.below(runs));
}

/** Medians of resamples of one side. */
class Side {
  readonly #sorted: Float64Array;
  readonly #ranks: Uint32Array;
  readonly #counts: Uint32Array;

  constructor(values: readonly number[]) {
    const order = Uint32Array.from(values, (_, i) => i);
    order.sort((i, j) => (values[i] as number) - (values[j] as number));
    this.#sorted = Float64Array.from(order, (i) => values[i] as number);
    this.#ranks = new Uint32Array(values.length);
    for (const [rank, i] of order.entries()) this.#ranks[i] = rank;
    this.#counts = new Uint32Array(values.length);
  }

  get median(): number {
    return medianOf(this.#sorted);
  }

  /** Median of the runs that `draws` names from `at` on: counts ranks, and needs no sort. */
  resample(draws: Uint32Array, at: number): number {
    const n = this.#ranks.length;
    const counts = this.#counts.fill(0);
    for (let i = at; i < at + n; i++) {
      const rank = this.#ranks[draws[i] as number] as number;
      counts[rank] = (counts[rank] as number) + 1;
    }
    const high = n >> 1;
    const low = n % 2 === 1 ? high : high - 1;
    let seen = 0;
    let rank = -1;
    while (seen <= low) seen += counts[++rank] as number;
    const lower = this.#sorted[rank] as number;
    while (seen <= high) seen += counts[++rank] as number;
    return (lower + (this.#sorted[rank] as number)) / 2;
  }
}

/** Ends of an interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The difference of the medians of two sides. */
export interface Difference {
  readonly a: number;
  readonly b: number;
  /** B less A. */
  readonly diff: number;
  /** In percent of A. */
  readonly percent: number;
  /** Null where a side has but one run. */
  readonly diffInterval: Interval | null;
  readonly percentInterval: Interval | null;
}

/** Intervals of many counters over the same runs: they share the draws. */
export class Bootstrap {
  readonly #paired: boolean;
  readonly #runs: number;
  readonly #count: number;
  readonly #drawsA: Uint32Array;
  readonly #drawsB: Uint32Array;
  readonly #trim: number;

  /** @param a runs of A @param b runs of B, as many where they are paired; at least one */
  constructor(a: number, b: number, paired: boolean) {
    this.#paired = paired;
    this.#runs = Math.min(a, b);
    const fit = Math.max(RESAMPLES_MIN, Math.floor(DRAWS_MAX / Math.max(a, b)));
    this.#count = this.#runs < 2 ? 0 : Math.min(RESAMPLES_MAX, fit);
    this.#drawsA = draw(a, this.#count, 0);
    this.#drawsB = paired ? this.#drawsA : draw(b, this.#count, 1);
    this.#trim = this.#runs < 2 ? 0 : Math.floor((this.#count * (1 - CONFIDENCE / 100)) / 2);
  }

  get paired(): boolean {
    return this.#paired;
  }

  /** @param a values of A, by run @param b those of B */
  difference(a: readonly number[], b: readonly number[]): Difference {
    const [sideA, sideB] = [new Side(a), new Side(b)];
    const at = { a: sideA.median, b: sideB.median };
    const point = { ...at, diff: at.b - at.a, percent: percentOf(at.a, at.b) };
    if (this.#runs < 2) return { ...point, diffInterval: null, percentInterval: null };
    const diffs = new Float64Array(this.#count);
    const percents = new Float64Array(this.#count);
    for (let i = 0; i < this.#count; i++) {
      const medianA = sideA.resample(this.#drawsA, i * a.length);
      const medianB = sideB.resample(this.#drawsB, i * b.length);
      diffs[i] = medianB - medianA;
      percents[i] = percentOf(medianA, medianB);
    }
    return {
      ...point,
      diffInterval: this.#interval(diffs),
      percentInterval: this.#interval(percents),
    };
  }

  #interval(resamples: Float64Array): Interval {
    resamples.sort();
    const low = resamples[this.#trim] as number;
    const high = resamples[resamples.length - 1 - this.#trim] as number;
    return { low, high };
  }
}
