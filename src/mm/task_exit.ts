// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of a simulated process, as others see it: zombies, who waits for them, and kill
 * (kernel/exit.c, kernel/signal.c).
 *
 * A task that ends is its parent's zombie until the parent asks, or gone at once when nobody will:
 * the parent has ended, or there was none.
 */

import { EAGAIN, ECHILD, ESRCH } from './errno.ts';
import type { Mm } from './mm.ts';
import { wakeCpus, wakeTask } from './runqueue.ts';
import { HOW_KILLED, SCHED_KILLS, SCHED_USED, TASK_ZOMBIE } from './sched_types.ts';
import {
  findTask,
  freeTask,
  taskGone,
  tasklistLock,
  tasklistUnlock,
  unlinkChild,
} from './task_rows.ts';
import { postSignal } from './task_signal.ts';

/** Exit codes of those that end by force: 128 and the signal's number. */
export const EXIT_SIGINT = 130;
export const EXIT_SIGKILL = 137;
export const EXIT_SIGSEGV = 139;
export const EXIT_SIGBUS = 135;

/** A child that has ended. */
export interface EndedChild {
  readonly pid: number;
  /** 0 .. 255. */
  readonly code: number;
}

/** Nobody waits for the children any more. @context tasklist_lock held */
function orphanChildren(m: Mm, row: number): void {
  const { task } = m.sched;
  for (let child = task.firstChild[row] as number; child !== 0; ) {
    const next = task.nextSibling[child] as number;
    task.parent[child] = 0;
    task.nextSibling[child] = 0;
    task.prevSibling[child] = 0;
    // Whoever waits for a parent that has gone learns of it.
    postSignal(m, child);
    child = next;
  }
  for (let zombie = task.firstZombie[row] as number; zombie !== 0; ) {
    const next = task.nextSibling[zombie] as number;
    freeTask(m, zombie);
    zombie = next;
  }
  task.firstChild[row] = 0;
  task.firstZombie[row] = 0;
}

/**
 * Ends a task that has left its address space and its CPU: what is left is what its parent may ask.
 * @param code 0 .. 255 @param how HOW_*
 * @context the CPU that ran it; takes tasklist_lock, then rq->lock
 */
export function exitNotify(m: Mm, row: number, code: number, how: number): void {
  const { task, words } = m.sched;
  const cpu = Atomics.load(task.cpu, row);
  if (how === HOW_KILLED) Atomics.add(words, SCHED_KILLS, 1);
  tasklistLock(m);
  orphanChildren(m, row);
  task.exitCode[row] = code;
  const parent = task.parent[row] as number;
  if (parent === 0) {
    freeTask(m, row);
  } else {
    unlinkChild(m, row);
    task.nextSibling[row] = task.firstZombie[parent] as number;
    task.firstZombie[parent] = row;
    Atomics.store(task.state, row, TASK_ZOMBIE);
    postSignal(m, parent);
  }
  tasklistUnlock(m);
  if (taskGone(m, cpu)) wakeCpus(m);
}

/**
 * Takes a child that has ended (wait4, without the waiting).
 * @returns its pid and exit code; EAGAIN when all children live, ECHILD when there are none
 * @context the CPU of the task; takes tasklist_lock
 */
export function takeZombie(m: Mm, row: number): EndedChild | typeof EAGAIN | typeof ECHILD {
  const { task } = m.sched;
  tasklistLock(m);
  const zombie = task.firstZombie[row] as number;
  if (zombie === 0) {
    const living = task.firstChild[row] !== 0;
    tasklistUnlock(m);
    return living ? EAGAIN : ECHILD;
  }
  task.firstZombie[row] = task.nextSibling[zombie] as number;
  const ended = { pid: Atomics.load(task.pid, zombie), code: task.exitCode[zombie] as number };
  freeTask(m, zombie);
  tasklistUnlock(m);
  return ended;
}

/**
 * Kills a process, all its threads: each ends at its next access, yield or wake-up.
 * @param pid of any of its threads
 * @returns 0, or ESRCH when there is no such process
 * @context any thread; takes tasklist_lock, then rq->lock
 */
export function killProcess(m: Mm, pid: number): number {
  const { task, words } = m.sched;
  tasklistLock(m);
  const found = findTask(m, pid);
  if (found === 0) {
    tasklistUnlock(m);
    return ESRCH;
  }
  const group = Atomics.load(task.group, found);
  const used = Atomics.load(words, SCHED_USED);
  for (let row = 1; row <= used; row++) {
    if (Atomics.load(task.pid, row) === 0 || Atomics.load(task.group, row) !== group) continue;
    Atomics.store(task.signal, row, 1);
    wakeTask(m, row);
  }
  tasklistUnlock(m);
  return 0;
}
