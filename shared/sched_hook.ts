// SPDX-License-Identifier: MIT
/**
 * The seam through which a thread runtime joins a deterministic schedule.
 *
 * A preload that controls a worker's threads leaves a `SchedulerSeam` under a global symbol; a
 * runtime that finds one, and was given a control block, joins the schedule right before its thread
 * function begins and leaves it right after. Without one, threads run as the system lets them.
 */

/** What a preload offers. */
export interface SchedulerSeam {
  /**
   * Makes this worker a thread of the schedule. Returns when it is chosen to go on.
   * @param control what the machine was given for its workers @param row the thread's row
   * @context blocks until the schedule has begun
   */
  join(control: unknown, row: number): void;
  /** Ends this thread's part: another goes on. @context the thread that joined */
  leave(): void;
}

/** What a worker is told of the schedule that it joins. */
export interface ThreadSchedule {
  /** Passed to `SchedulerSeam.join`: structured-clonable. */
  readonly control: unknown;
  /** The thread's row. */
  readonly row: number;
}

const KEY = Symbol.for('kreclaim.scheduler');
const globals = globalThis as unknown as Record<symbol, SchedulerSeam | undefined>;

/** @returns the seam of this worker, null where no preload left one */
export function schedulerSeam(): SchedulerSeam | null {
  return globals[KEY] ?? null;
}

/** @context a preload, once per worker, before any other module loads */
export function setSchedulerSeam(seam: SchedulerSeam): void {
  globals[KEY] = seam;
}
