// SPDX-License-Identifier: GPL-2.0-only
/**
 * Times that the programs of a scenario measure: histograms by name, a row for each CPU, in shared
 * memory. A bucket is an eighth of a power of two of nanoseconds, so a percentile is right within
 * 13 %.
 */

/** Structured-clonable: goes to every program. */
export interface Latencies {
  readonly names: readonly string[];
  /** Rows of `names.length * BUCKETS` counts. */
  readonly cells: Float64Array;
}

/** Buckets of an octave, and octaves: up to 2^44 ns, five hours. */
const STEPS = 8;
const BUCKETS = 44 * STEPS;

/** @param cpus rows @returns nothing counted */
export function makeLatencies(names: readonly string[], cpus: number): Latencies {
  const bytes = cpus * names.length * BUCKETS * Float64Array.BYTES_PER_ELEMENT;
  return { names, cells: new Float64Array(new SharedArrayBuffer(bytes)) };
}

function bucketOf(ns: number): number {
  const time = Math.max(1, Math.min(ns, 2 ** 43));
  const large = time >= 2 ** 31;
  const octave = (large ? 62 : 31) - Math.clz32(Math.floor(large ? time / 2 ** 31 : time));
  return octave * STEPS + Math.floor((time / 2 ** octave - 1) * STEPS);
}

/** The time in the middle of a bucket, in ns. */
function nsOf(bucket: number): number {
  return 2 ** Math.floor(bucket / STEPS) * (1 + ((bucket % STEPS) + 0.5) / STEPS);
}

/** Counts a time. @param ns 0 or more @context the CPU whose row it is */
export function addLatency(latencies: Latencies, cpu: number, name: string, ns: number): void {
  const { names, cells } = latencies;
  const at = (cpu * names.length + names.indexOf(name)) * BUCKETS + bucketOf(ns);
  cells[at] = (cells[at] as number) + 1;
}

/** Counts of one name over all CPUs. */
function sumBuckets({ names, cells }: Latencies, index: number): number[] {
  const sums = new Array<number>(BUCKETS).fill(0);
  const stride = names.length * BUCKETS;
  for (let row = index * BUCKETS; row < cells.length; row += stride) {
    for (let i = 0; i < BUCKETS; i++) sums[i] = (sums[i] as number) + (cells[row + i] as number);
  }
  return sums;
}

/** @param part 0 .. 1 @returns us, rounded to a tenth; 0 where nothing was counted */
function percentileUs(buckets: readonly number[], part: number): number {
  const total = buckets.reduce((a, b) => a + b, 0);
  const rank = Math.max(1, Math.ceil(total * part));
  let seen = 0;
  const bucket = buckets.findIndex((count) => {
    seen += count;
    return seen >= rank;
  });
  return total === 0 ? 0 : Math.round(nsOf(bucket) / 100) / 10;
}

/** Of each name `x`: `xP50Us`, `xP99Us` and `xMaxUs`, in microseconds. */
export function latencyFigures(latencies: Latencies): Record<string, number> {
  const figures: Record<string, number> = {};
  for (const [index, name] of latencies.names.entries()) {
    const buckets = sumBuckets(latencies, index);
    figures[`${name}P50Us`] = percentileUs(buckets, 0.5);
    figures[`${name}P99Us`] = percentileUs(buckets, 0.99);
    figures[`${name}MaxUs`] = percentileUs(buckets, 1);
  }
  return figures;
}
