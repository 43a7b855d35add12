// SPDX-License-Identifier: GPL-2.0-only
/**
 * A signal that only wakes: SIGUSR1 with a handler that does nothing, and SIGCHLD, for a task that
 * is in `pause` (kernel/signal.c). One that comes while the task does something else is kept; two
 * are as one.
 */
import { ESRCH } from './errno.ts';
import type { Mm } from './mm.ts';
import { wakeTask } from './runqueue.ts';
import { findTask, tasklistLock, tasklistUnlock } from './task_rows.ts';

/** Leaves a signal for a task, and wakes it. @context tasklist_lock held; takes rq->lock */
export function postSignal(m: Mm, row: number): void {
  Atomics.store(m.sched.task.pending, row, 1);
  wakeTask(m, row);
}

/**
 * Signals a task.
 * @returns 0, or ESRCH when there is none
 * @context any thread; takes tasklist_lock, then rq->lock
 */
export function signalTask(m: Mm, pid: number): number {
  tasklistLock(m);
  const row = findTask(m, pid);
  if (row !== 0) postSignal(m, row);
  tasklistUnlock(m);
  return row === 0 ? ESRCH : 0;
}

/** Takes the signal that a task has, if any. @context the CPU of the task */
export function takeSignal(m: Mm, row: number): boolean {
  return Atomics.exchange(m.sched.task.pending, row, 0) !== 0;
}

/**
 * @returns pid of the parent; 0 when it has ended, or there was none
 * @context any thread; takes tasklist_lock
 */
export function parentPid(m: Mm, row: number): number {
  tasklistLock(m);
  const parent = m.sched.task.parent[row] as number;
  const pid = parent === 0 ? 0 : Atomics.load(m.sched.task.pid, parent);
  tasklistUnlock(m);
  return pid;
}
