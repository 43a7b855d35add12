// SPDX-License-Identifier: MIT
/**
 * A schedule as runs: which thread goes on for how many steps before another does.
 *
 *   steps   0 0 0 1 1 0        runs   [0, 3] [1, 2] [0, 1]        two context switches
 *
 * Runs are what a person reads, what a shrinker moves about, and what a replay file keeps.
 */

/** A thread and its steps in a row, one or more. */
export type Run = readonly [thread: number, steps: number];
export type Runs = readonly Run[];

/** @returns the runs of a sequence of steps */
export function toRuns(steps: ArrayLike<number>, length = steps.length): Run[] {
  const runs: Run[] = [];
  let at = 0;
  while (at < length) {
    const thread = steps[at] as number;
    let end = at + 1;
    while (end < length && steps[end] === thread) end++;
    runs.push([thread, end - at]);
    at = end;
  }
  return runs;
}

/** @returns the thread of each step */
export function toSteps(runs: Runs): number[] {
  const steps: number[] = [];
  for (const [thread, count] of runs) for (let i = 0; i < count; i++) steps.push(thread);
  return steps;
}

/** Joins neighbours of one thread and leaves out what is empty. */
export function joinRuns(runs: Runs): Run[] {
  const joined: Run[] = [];
  for (const [thread, count] of runs) {
    const last = joined.at(-1);
    if (count === 0) continue;
    if (last !== undefined && last[0] === thread)
      joined[joined.length - 1] = [thread, last[1] + count];
    else joined.push([thread, count]);
  }
  return joined;
}

/** @returns steps of all runs together */
export function stepsOf(runs: Runs): number {
  return runs.reduce((sum, run) => sum + run[1], 0);
}
