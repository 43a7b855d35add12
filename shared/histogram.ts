// SPDX-License-Identifier: MIT
/**
 * Latency histogram: log-linear buckets of nanoseconds.
 *
 * Below 2 x SUB a bucket is one nanosecond; above, every power of two has SUB buckets, so a bucket
 * is at most 1/SUB (6.25 %) of its value wide. A histogram is HISTOGRAM_CELLS i32 cells, plus its
 * largest and its total value (f64). It belongs to one thread; histograms add cell by cell, so a
 * report merges the threads'.
 *
 *   value   0 1 2 .. 31 | 32-33 34-35 .. 62-63 | 64-67 ..      bucket width
 *   index   0 1 2 .. 31 | 32    33    .. 47    | 48    ..      1, 1, 2, 4, 8 ...
 *
 * Guarantees: (A) a percentile is at least the true one and less than 1/SUB above it, and never
 * above the maximum; (B) merging loses nothing; (C) values above HISTOGRAM_NS_MAX (18 minutes)
 * count in the last bucket and keep their true maximum. Cells wrap after 2^32 entries.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import type { F64, I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

const SUB_BITS = 4;
const SUB = 1 << SUB_BITS;
const EXPONENT_MAX = 40;

/** Values from here on fall into the last bucket. */
export const HISTOGRAM_NS_MAX = 2 ** EXPONENT_MAX;
/** Buckets of one histogram. */
export const HISTOGRAM_CELLS = SUB + (EXPONENT_MAX - SUB_BITS) * SUB;

const STRIDE = Math.ceil(HISTOGRAM_CELLS / LINE_WORDS) * LINE_WORDS;
const SUMS_STRIDE = LINE_WORDS / 2;
const MAX = 0;
const TOTAL = 1;

export interface HistogramTable {
  readonly cells: I32; // @owner thread of the row  @racy merges: a late entry shows next time
  readonly sums: F64; // @owner thread of the row  @racy merges: largest value, total
  readonly rows: number;
}

/** @param rows histograms, one per (thread, kind) as the caller numbers them */
export function declareHistograms(
  builder: ArenaBuilder,
  name: string,
  rows: number,
): HistogramTable {
  const { cells } = builder.columns(`${name}.cells`, { cells: 'i32' }, STRIDE * rows);
  const { sums } = builder.columns(`${name}.sums`, { sums: 'f64' }, SUMS_STRIDE * rows);
  return { cells, sums, rows };
}

/** @param ns 0 or more (negative and NaN count as 0) @returns the bucket, 0 .. HISTOGRAM_CELLS-1 */
export function histogramBucket(ns: number): number {
  if (!(ns >= SUB)) return ns >= 1 ? ns | 0 : 0;
  if (ns >= HISTOGRAM_NS_MAX) return HISTOGRAM_CELLS - 1;
  // The high part, so that clz32 works: exact, since the low 16 bits do not reach the sub-bucket.
  const wide = ns >= 0x40000000;
  const value = wide ? (ns / 65536) | 0 : ns | 0;
  const exponent = 31 - Math.clz32(value);
  const sub = (value >>> (exponent - SUB_BITS)) & (SUB - 1);
  return ((exponent + (wide ? 16 : 0) - SUB_BITS + 1) << SUB_BITS) + sub;
}

/** @returns the smallest value of the bucket after `bucket`: the exclusive upper bound, in ns */
export function histogramBucketEnd(bucket: number): number {
  const next = bucket + 1;
  if (next < 2 * SUB) return next;
  const exponent = (next >>> SUB_BITS) - 1;
  return (SUB + (next & (SUB - 1))) * 2 ** exponent;
}

/** Adds one value. @context the thread that owns the row */
export function histogramAdd(table: HistogramTable, row: number, ns: number): void {
  const { cells, sums } = table;
  const at = row * STRIDE + histogramBucket(ns);
  cells[at] = (cells[at] as number) + 1;
  const sum = row * SUMS_STRIDE;
  if (ns > (sums[sum + MAX] as number)) sums[sum + MAX] = ns;
  if (ns > 0) sums[sum + TOTAL] = (sums[sum + TOTAL] as number) + ns;
}

/** Percentiles in nanoseconds; all 0 when nothing was counted. */
export interface HistogramSummary {
  readonly count: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p90Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly maxNs: number;
}

/** A private sum of histograms: what reports are computed from. */
export class HistogramMerge {
  readonly #counts = new Float64Array(HISTOGRAM_CELLS);
  #count = 0;
  #total = 0;
  #max = 0;

  /** Adds one row. @context any thread; exact when the row's owner rests */
  addRow(table: HistogramTable, row: number): void {
    assert(row >= 0 && row < table.rows, 'histogram row out of range');
    const base = row * STRIDE;
    for (let bucket = 0; bucket < HISTOGRAM_CELLS; bucket++) {
      const cell = (table.cells[base + bucket] as number) >>> 0;
      if (cell === 0) continue;
      this.#counts[bucket] = (this.#counts[bucket] as number) + cell;
      this.#count += cell;
    }
    this.#max = Math.max(this.#max, table.sums[row * SUMS_STRIDE + MAX] as number);
    this.#total += table.sums[row * SUMS_STRIDE + TOTAL] as number;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * @param fraction 0 < fraction <= 1: 0.99 for p99
   * @returns an upper bound in ns of the value that this fraction of the entries does not exceed
   */
  percentile(fraction: number): number {
    assert(fraction > 0 && fraction <= 1, 'percentile fraction out of range');
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil(fraction * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < HISTOGRAM_CELLS - 1; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= rank) return Math.min(inclusiveEnd(bucket), this.#max);
    }
    return this.#max;
  }

  summary(): HistogramSummary {
    return {
      count: this.#count,
      meanNs: this.#count === 0 ? 0 : this.#total / this.#count,
      p50Ns: this.percentile(0.5),
      p90Ns: this.percentile(0.9),
      p99Ns: this.percentile(0.99),
      p999Ns: this.percentile(0.999),
      maxNs: this.#max,
    };
  }
}

/** Largest whole number of nanoseconds that counts in the bucket. */
function inclusiveEnd(bucket: number): number {
  return histogramBucketEnd(bucket) - 1;
}
