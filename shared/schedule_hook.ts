// SPDX-License-Identifier: MIT
/**
 * The door through which the deterministic scheduler comes into a worker. Its preload puts a hook
 * on the global object before any other module loads; where there is none, threads run freely.
 */

/** What the scheduler offers to the runtime of a thread. */
export interface ScheduleHook {
  /**
   * Makes the calling thread one of the schedule; returns when it is chosen to begin. From here to
   * `leave` every `Atomics` call is a step.
   * @param schedule what the host of the machine made
   * @param thread its row, the machine's thread id
   */
  join(schedule: unknown, thread: number): void;
  /** The thread's part is over: the baton goes on. */
  leave(): void;
}

const KEY = Symbol.for('kreclaim.schedule');

/** Puts the hook. @context the scheduler's preload */
export function setScheduleHook(hook: ScheduleHook): void {
  (globalThis as Record<symbol, unknown>)[KEY] = hook;
}

/** @returns the hook, null where threads run freely */
export function scheduleHook(): ScheduleHook | null {
  return ((globalThis as Record<symbol, unknown>)[KEY] as ScheduleHook | undefined) ?? null;
}
