// SPDX-License-Identifier: GPL-2.0-only
/**
 * The freezer: brings every thread to its safe point, where it holds no lock and nothing is half
 * done, so that a walker can look at the whole machine at rest.
 *
 *   freezer                       | thread
 *   or request |= FREEZE, kick    | store state = running (it leaves the barrier)
 *   load state: new, not counted  | load request: FREEZE, so it freezes before its first step
 *
 * Both sides are Atomics, so a thread that starts meanwhile is either counted or freezes at once.
 *
 * Counted as frozen: in the refrigerator, parked (it freezes before it goes on), not started,
 * ended. Threads with TASK_NOFREEZE are left alone: the others need them on their way (rcu_gp), or
 * they only look on (khungtaskd). One freezer at a time.
 */
import { THREADS_MAX } from '../shared/limits.ts';
import { pendingRequests, waitSequence } from '../shared/sched.ts';
import {
  clearRequest,
  postRequest,
  REQUEST_FREEZE,
  signalTaskChange,
  TASK_NOFREEZE,
} from '../shared/task.ts';
import { self, THREAD_PARKED } from '../shared/thread.ts';
import type { Engine } from './engine.ts';
import { threadEnded, threadNew } from './kthread.ts';

/** Who freezes, when the main thread does: it has no thread id. */
export const FREEZER_MAIN = 0;

/**
 * Asks all other threads to freeze.
 * @param by id of the freezing thread, or FREEZER_MAIN
 * @returns false when somebody else freezes the machine already: freeze oneself, then try again
 * @context any thread; does not block. Poll `allFrozen`, then end with `thawAll`
 */
export function requestFreeze(machine: Engine, by: number): boolean {
  const { threads } = machine.sync;
  const { tasks } = machine;
  if (Atomics.compareExchange(tasks.machine.freezer, 0, 0, by + 1) !== 0) return false;
  for (let id = 1; id < THREADS_MAX; id++) {
    if (id === by || ((tasks.flags[id] as number) & TASK_NOFREEZE) !== 0) continue;
    if (!threadEnded(machine, id)) postRequest(threads, tasks, id, REQUEST_FREEZE);
  }
  return true;
}

/** @returns true once every thread that was asked sleeps at its safe point @context any thread */
export function allFrozen(machine: Engine): boolean {
  const { threads } = machine.sync;
  for (let id = 1; id < THREADS_MAX; id++) {
    if ((Atomics.load(threads.request, id) & REQUEST_FREEZE) === 0) continue;
    if (Atomics.load(machine.tasks.frozen, id) === 1) continue;
    if (Atomics.load(threads.state, id) === THREAD_PARKED) continue;
    if (!threadNew(machine, id) && !threadEnded(machine, id)) return false;
  }
  return true;
}

/**
 * Freezes all other threads and waits until they are.
 * @returns false when somebody else freezes the machine already
 * @context a worker at a safe point, which blocks. Must be followed by `thawAll`
 */
export function freezeAll(machine: Engine): boolean {
  if (!requestFreeze(machine, self.id)) return false;
  waitSequence(machine.tasks.machine.taskSeq, 0, () => {
    pendingRequests();
    return allFrozen(machine);
  });
  return true;
}

/** Lets the machine run on. @context whoever froze it */
export function thawAll(machine: Engine): void {
  const { threads } = machine.sync;
  Atomics.store(machine.tasks.machine.freezer, 0, 0);
  for (let id = 1; id < THREADS_MAX; id++) {
    if ((Atomics.load(threads.request, id) & REQUEST_FREEZE) === 0) continue;
    clearRequest(threads, machine.tasks, id, REQUEST_FREEZE);
  }
  signalTaskChange(machine.tasks);
}
