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

/** Steps of a round, at most. */
const ROUND_MAX = 256;

/** A schedule that goes on in rounds: `from` steps, then rounds of `steps` steps to its end. */
export interface Rounds {
  readonly from: number;
  readonly steps: number;
}

/** @returns the shortest rounds that the second half of a schedule goes in; null for none */
export function findRounds(schedule: ArrayLike<number>): Rounds | null {
  const { length } = schedule;
  for (let steps = 1; steps <= Math.min(ROUND_MAX, length >> 2); steps++) {
    let from = length;
    while (from > steps && schedule[from - 1] === schedule[from - 1 - steps]) from--;
    from -= steps;
    if (from <= length >> 1) return { from, steps };
  }
  return null;
}

/** @returns the schedule, gone on with in its rounds to so many steps */
export function extendRounds(
  schedule: readonly number[],
  rounds: Rounds,
  length: number,
): number[] {
  const { from, steps } = rounds;
  return Array.from({ length }, (_, i) => {
    const at = i < from + steps ? i : from + ((i - from) % steps);
    return schedule[at] as number;
  });
}
