// SPDX-License-Identifier: GPL-2.0-only
/**
 * The runs of a comparison, A and B in turn: A B, B A, A B, ... so that what drifts (a warming
 * machine, a neighbour that comes and goes) falls on both sides alike.
 */
import type { SideName } from './compare_report.ts';

export interface Step {
  readonly side: SideName;
  /** From 1. */
  readonly pair: number;
}

/** @param pairs runs of each side */
export function stepsOf(pairs: number): Step[] {
  return Array.from({ length: pairs }, (_, k): Step[] => {
    const [a, b]: Step[] = [
      { side: 'a', pair: k + 1 },
      { side: 'b', pair: k + 1 },
    ];
    return k % 2 === 0 ? [a as Step, b as Step] : [b as Step, a as Step];
  }).flat();
}

export interface SeriesOptions<T> {
  readonly steps: readonly Step[];
  /** Runs at once, at least 1. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Makes one run; what it throws ends the series. */
  readonly run: (step: Step) => Promise<T>;
  /** Called after each run. */
  readonly onRun?: (result: T, done: number) => void;
}

/** Makes the runs in order until all are done or the signal says stop. @returns in that order */
export async function runSeries<T>(options: SeriesOptions<T>): Promise<T[]> {
  const { steps, jobs, signal, run, onRun } = options;
  const results: T[] = [];
  let next = 0;
  let done = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < steps.length && !signal.aborted && !failed) {
      const at = next++;
      try {
        const result = await run(steps[at] as Step);
        results[at] = result;
        onRun?.(result, ++done);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, steps.length) }, lane));
  return results.filter(() => true);
}
