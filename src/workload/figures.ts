// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the programs of a scenario count while they run: named figures, a row for each CPU, in
 * shared memory of their own. A row has one writer; who watches may see a count a moment late.
 */
import { LINE_BYTES } from '../../shared/types.ts';
import { type Latencies, latencyFigures, makeLatencies } from './latencies.ts';

/** Structured-clonable: goes to every program. */
export interface Figures {
  readonly names: readonly string[];
  /** Rows of `stride` cells. */
  readonly cells: Float64Array;
  readonly stride: number;
  /** Times that they measure, by names of their own. */
  readonly latencies: Latencies;
}

/**
 * @param names of the figures @param cpus rows @param times names of the latencies
 * @returns all zero
 */
export function makeFigures(
  names: readonly string[],
  cpus: number,
  times: readonly string[] = [],
): Figures {
  const perLine = LINE_BYTES / Float64Array.BYTES_PER_ELEMENT;
  const stride = Math.ceil(names.length / perLine) * perLine;
  const bytes = cpus * stride * Float64Array.BYTES_PER_ELEMENT;
  const cells = new Float64Array(new SharedArrayBuffer(bytes));
  return { names, cells, stride, latencies: makeLatencies(times, cpus) };
}

/** The figures whose names begin with a prefix, without it: the same cells. */
export function figuresOf(figures: Figures, prefix: string): Figures {
  // Others keep their places, under a name that nobody asks for.
  const own = (name: string): string =>
    name.startsWith(prefix) ? name.slice(prefix.length) : `-${name}`;
  const { names, latencies } = figures;
  return {
    ...figures,
    names: names.map(own),
    latencies: { ...latencies, names: latencies.names.map(own) },
  };
}

/** Adds to a figure of this CPU. @context the CPU whose row it is */
export function addFigure(figures: Figures, cpu: number, name: string, amount: number): void {
  const at = cpu * figures.stride + figures.names.indexOf(name);
  figures.cells[at] = (figures.cells[at] as number) + amount;
}

/** A figure's sum over all CPUs. */
export function sumFigure(figures: Figures, name: string): number {
  const { names, cells, stride } = figures;
  let sum = 0;
  for (let at = names.indexOf(name); at < cells.length; at += stride) sum += cells[at] as number;
  return sum;
}

/** Per second of the time that each CPU spent on it, summed over CPUs. */
function ratePerSec({ names, cells, stride }: Figures, name: string): number {
  const [count, time] = [names.indexOf(name), names.indexOf(`${name}Ns`)];
  let rate = 0;
  for (let row = 0; row < cells.length; row += stride) {
    const ns = cells[row + time] as number;
    if (ns > 0) rate += ((cells[row + count] as number) * 1e9) / ns;
  }
  return Math.round(rate);
}

/**
 * Every figure, by name. Of `x`, counted in `xNs` nanoseconds: `x` and `xPerSec`, so many a second
 * while a CPU was at it, summed over CPUs. Of latency `x`: `xP50Us`, `xP99Us` and `xMaxUs`.
 */
export function sumFigures(figures: Figures): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const name of figures.names) {
    if (name.endsWith('Ns')) continue;
    sums[name] = sumFigure(figures, name);
    if (figures.names.includes(`${name}Ns`)) sums[`${name}PerSec`] = ratePerSec(figures, name);
  }
  return { ...sums, ...latencyFigures(figures.latencies) };
}
