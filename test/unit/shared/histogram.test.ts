// SPDX-License-Identifier: GPL-2.0-only
/** Histograms beside a sorted list of the same values. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import {
  declareHistograms,
  HISTOGRAM_CELLS,
  HISTOGRAM_NS_MAX,
  HistogramMerge,
  histogramAdd,
  histogramBucket,
  histogramBucketEnd,
} from '../../../dist/shared/histogram.js';

const make = (rows = 2) =>
  createArena((builder) => declareHistograms(builder, 'latency', rows)).tables;

const value = fc.oneof(
  fc.nat(100),
  fc.nat(1 << 30),
  fc.double({ min: 0, max: HISTOGRAM_NS_MAX * 4, noNaN: true }).map(Math.floor),
);

describe('histogram: buckets', () => {
  test('a value lies in its bucket, which is at most 1/16 of it wide', () => {
    const inRange = value.filter((ns) => ns < HISTOGRAM_NS_MAX);
    fc.assert(
      fc.property(inRange, (ns) => {
        const bucket = histogramBucket(ns);
        const start = bucket === 0 ? 0 : histogramBucketEnd(bucket - 1);
        const end = histogramBucketEnd(bucket);
        expect(ns).toBeGreaterThanOrEqual(start);
        expect(ns).toBeLessThan(end);
        expect(end - start).toBeLessThanOrEqual(Math.max(1, start / 16));
      }),
      { seed: 0x5eed, numRuns: 2000 },
    );
  });

  test('every power of two and its neighbours, in order, without a gap', () => {
    let last = -1;
    for (let bucket = 0; bucket < HISTOGRAM_CELLS; bucket++) {
      const first = bucket === 0 ? 0 : histogramBucketEnd(bucket - 1);
      expect(histogramBucket(first)).toBe(bucket);
      expect(bucket).toBe(last + 1);
      last = bucket;
    }
    expect(histogramBucketEnd(HISTOGRAM_CELLS - 1)).toBe(HISTOGRAM_NS_MAX);
  });

  test('out of range: negative, NaN, infinite', () => {
    expect([-1, Number.NaN, 0.5].map(histogramBucket)).toEqual([0, 0, 0]);
    const last = HISTOGRAM_CELLS - 1;
    expect([HISTOGRAM_NS_MAX, Infinity].map(histogramBucket)).toEqual([last, last]);
  });
});

describe('histogram: percentiles', () => {
  test('never below the true one, less than 1/16 above it, and never above the maximum', () => {
    const values = fc.array(value, { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, (list) => {
        const table = make();
        for (const [i, ns] of list.entries()) histogramAdd(table, i % 2, ns);
        const merge = new HistogramMerge();
        merge.addRow(table, 0);
        merge.addRow(table, 1);
        expect(merge.count).toBe(list.length);
        const sorted = [...list].sort((a, b) => a - b);
        for (const fraction of [0.5, 0.9, 0.99, 0.999, 1]) {
          const truth = sorted[Math.ceil(fraction * list.length) - 1]!;
          const got = merge.percentile(fraction);
          expect(got).toBeGreaterThanOrEqual(truth);
          if (truth < HISTOGRAM_NS_MAX) expect(got).toBeLessThanOrEqual(truth * (1 + 1 / 16));
          expect(got).toBeLessThanOrEqual(sorted.at(-1)!);
        }
        expect(merge.summary().maxNs).toBe(sorted.at(-1));
      }),
      { seed: 0x5eed, numRuns: 150 },
    );
  });

  test('an empty one is all zero; cells count past 2^31', () => {
    const table = make();
    const empty = new HistogramMerge();
    empty.addRow(table, 0);
    expect(empty.summary()).toEqual({
      count: 0,
      meanNs: 0,
      p50Ns: 0,
      p90Ns: 0,
      p99Ns: 0,
      p999Ns: 0,
      maxNs: 0,
    });
    table.cells[5] = -1;
    const merge = new HistogramMerge();
    merge.addRow(table, 0);
    expect(merge.count).toBe(2 ** 32 - 1);
  });
});
