// SPDX-License-Identifier: GPL-2.0-only
/**
 * Draws by popularity (Zipf): rank k of n has the weight k^-theta, and ranks are dealt to numbers
 * at random, so that neighbours are not alike. A draw is a look into a table of the sums of
 * weights; all arithmetic is exactly rounded, so that a seed draws the same everywhere.
 *
 * Beyond SINGLES ranks, neighbouring ranks share an entry of the table, and are as likely as each
 * other: the table stays small for millions of pages.
 */
import { Prng } from '../../shared/prng.ts';
import { powOfMinus } from './exact_pow.ts';

/** Structured-clonable, and shared by all threads. */
export interface ZipfTable {
  /** Numbers to draw, 0 .. n-1. */
  readonly n: number;
  /** Sums of weights up to the end of each group of ranks, divided by all. */
  readonly sums: Float64Array;
  /** First rank of each group, and n at the end. */
  readonly firsts: Float64Array;
  /** The number that each rank is. */
  readonly numbers: Int32Array;
}

/** Ranks that have an entry each. */
const SINGLES = 1024;
/** Beyond those, ranks of a group: this part of those before it. */
const GROWTH = 1 / 64;

function groupStarts(n: number): number[] {
  const firsts: number[] = [];
  for (let rank = 0; rank < n; ) {
    firsts.push(rank);
    rank += rank < SINGLES ? 1 : Math.floor(rank * GROWTH);
  }
  return [...firsts, n];
}

/**
 * @param n numbers to draw, 1 or more @param theta skew, 0 (uniform) .. 16
 * @param seed deals ranks to numbers
 */
export function makeZipf(n: number, theta: number, seed: number): ZipfTable {
  const starts = groupStarts(n);
  const groups = starts.length - 1;
  const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
  const sums = new Float64Array(shared(8 * groups));
  const firsts = new Float64Array(shared(8 * starts.length));
  const numbers = new Int32Array(shared(4 * n));
  firsts.set(starts);
  let sum = 0;
  for (let group = 0; group < groups; group++) {
    const [first, end] = [starts[group] as number, starts[group + 1] as number];
    sum += powOfMinus((first + end + 1) / 2, theta) * (end - first);
    sums[group] = sum;
  }
  for (let group = 0; group < groups; group++) sums[group] = (sums[group] as number) / sum;
  const prng = new Prng(seed, n);
  for (let i = 0; i < n; i++) numbers[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    const other = numbers[j] as number;
    numbers[j] = numbers[i] as number;
    numbers[i] = other;
  }
  return { n, sums, firsts, numbers };
}

/** @returns a number in 0 .. n-1 */
export function zipfDraw(table: ZipfTable, prng: Prng): number {
  const { sums, firsts, numbers } = table;
  const at = prng.nextFloat();
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sums[middle] as number) > at) high = middle;
    else low = middle + 1;
  }
  const first = firsts[low] as number;
  const width = (firsts[low + 1] as number) - first;
  return numbers[first + (width === 1 ? 0 : prng.below(width))] as number;
}
