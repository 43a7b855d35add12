// SPDX-License-Identifier: GPL-2.0-only
/**
 * Run queues: which task runs next on a CPU (kernel/sched/core.c, as far as a queue that goes round
 * needs it).
 *
 *   sleeper, on its CPU                   waker, any thread
 *   prepareSleep: SLEEPING                makes the condition true
 *   tests its condition                   wakeTask: SLEEPING? running still: RUNNING
 *   putTask: still SLEEPING? off the CPU                      off the CPU: to the queue's tail
 *
 * Both sides change the state under rq->lock, and the sleeper says that it sleeps before it tests,
 * so no wake-up falls between the test and the sleep. Who wakes another's task holds tasklist_lock:
 * the row stays that task's, which lives on one CPU.
 */
import { assert } from '../../shared/assert.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { LC_RQ } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  RQ_CURR,
  RQ_HEAD,
  RQ_LOAD,
  RQ_LOCK,
  RQ_QUEUED,
  RQ_TAIL,
  SCHED_USED,
  TASK_RUNNABLE,
  TASK_RUNNING,
  TASK_SLEEPING,
} from './sched_types.ts';
import { tasklistLock, tasklistUnlock } from './task_rows.ts';

function rqLock(m: Mm, cpu: number): void {
  spinLock(m.sched.rq, cpu * LINE_WORDS + RQ_LOCK, LC_RQ);
}

function rqUnlock(m: Mm, cpu: number): void {
  spinUnlock(m.sched.rq, cpu * LINE_WORDS + RQ_LOCK, LC_RQ);
}

/** Puts a task at the tail. @context rq->lock held */
function append(m: Mm, cpu: number, row: number): void {
  const { rq, task } = m.sched;
  const base = cpu * LINE_WORDS;
  const tail = rq[base + RQ_TAIL] as number;
  task.rqNext[row] = 0;
  if (tail === 0) rq[base + RQ_HEAD] = row;
  else task.rqNext[tail] = row;
  rq[base + RQ_TAIL] = row;
  Atomics.store(task.state, row, TASK_RUNNABLE);
  Atomics.add(rq, base + RQ_QUEUED, 1);
}

/** Wakes a CPU that has nothing to run. @context any thread, under any lock */
export function wakeCpu(m: Mm, cpu: number): void {
  wakeUp(m.sched.rqWait, cpu * LINE_WORDS, WAKE_ALL);
}

/** Wakes all CPUs that have nothing to run. @context any thread */
export function wakeCpus(m: Mm): void {
  for (let cpu = 0; cpu < m.config.cpus; cpu++) wakeCpu(m, cpu);
}

/** Queues a new task on its CPU. @context takes rq->lock; its maker, once */
export function enqueueTask(m: Mm, row: number): void {
  const cpu = Atomics.load(m.sched.task.cpu, row);
  rqLock(m, cpu);
  append(m, cpu, row);
  rqUnlock(m, cpu);
  wakeCpu(m, cpu);
}

/** @returns how many tasks wait for the CPU; a moment later it may be wrong */
export function queuedTasks(m: Mm, cpu: number): number {
  return Atomics.load(m.sched.rq, cpu * LINE_WORDS + RQ_QUEUED);
}

/**
 * Takes the task at the head: it runs now.
 * @returns its row, or 0
 * @context the CPU itself, which runs none
 */
export function pickTask(m: Mm, cpu: number): number {
  if (queuedTasks(m, cpu) === 0) return 0;
  const { rq, task } = m.sched;
  const base = cpu * LINE_WORDS;
  rqLock(m, cpu);
  assert(rq[base + RQ_CURR] === 0, 'a CPU runs one task at a time');
  const row = rq[base + RQ_HEAD] as number;
  if (row !== 0) {
    const next = task.rqNext[row] as number;
    rq[base + RQ_HEAD] = next;
    if (next === 0) rq[base + RQ_TAIL] = 0;
    rq[base + RQ_CURR] = row;
    Atomics.store(task.state, row, TASK_RUNNING);
    Atomics.sub(rq, base + RQ_QUEUED, 1);
  }
  rqUnlock(m, cpu);
  return row;
}

/**
 * Takes a queued task out of its turn, beside the one that runs.
 * @param wanted looks at a row; takes no lock
 * @returns the first one that is wanted, or 0
 * @context the CPU itself
 */
export function takeQueued(m: Mm, cpu: number, wanted: (row: number) => boolean): number {
  const { rq, task } = m.sched;
  const base = cpu * LINE_WORDS;
  rqLock(m, cpu);
  let before = 0;
  let row = rq[base + RQ_HEAD] as number;
  while (row !== 0 && !wanted(row)) {
    before = row;
    row = task.rqNext[row] as number;
  }
  if (row !== 0) {
    const next = task.rqNext[row] as number;
    if (before === 0) rq[base + RQ_HEAD] = next;
    else task.rqNext[before] = next;
    if (next === 0) rq[base + RQ_TAIL] = before;
    Atomics.store(task.state, row, TASK_RUNNING);
    Atomics.sub(rq, base + RQ_QUEUED, 1);
  }
  rqUnlock(m, cpu);
  return row;
}

/**
 * The task that ran yields: it goes to the tail, or off the CPU when it sleeps.
 * @returns whether it still wants to run
 * @context the CPU itself
 */
export function putTask(m: Mm, cpu: number, row: number): boolean {
  const { rq, task } = m.sched;
  rqLock(m, cpu);
  rq[cpu * LINE_WORDS + RQ_CURR] = 0;
  const runs = Atomics.load(task.state, row) === TASK_RUNNING;
  if (runs) append(m, cpu, row);
  rqUnlock(m, cpu);
  return runs;
}

/** A task that `pickTask` or `takeQueued` gave has ended. @context the CPU itself */
export function dropTask(m: Mm, cpu: number, row: number): void {
  const { rq } = m.sched;
  rqLock(m, cpu);
  if (rq[cpu * LINE_WORDS + RQ_CURR] === row) rq[cpu * LINE_WORDS + RQ_CURR] = 0;
  rqUnlock(m, cpu);
}

/**
 * The task that runs is about to sleep: test the condition after this, and yield while it does not
 * hold; `finishSleep` when it does.
 * @context the CPU of the task
 */
export function prepareSleep(m: Mm, row: number): void {
  setOwnState(m, row, TASK_SLEEPING);
}

/** The task that runs does not sleep after all. @context the CPU of the task */
export function finishSleep(m: Mm, row: number): void {
  setOwnState(m, row, TASK_RUNNING);
}

function setOwnState(m: Mm, row: number, state: number): void {
  const cpu = m.task.cpu;
  rqLock(m, cpu);
  assert(m.sched.rq[cpu * LINE_WORDS + RQ_CURR] === row, 'only the task that runs goes to sleep');
  Atomics.store(m.sched.task.state, row, state);
  rqUnlock(m, cpu);
}

/**
 * Makes a sleeping task runnable (try_to_wake_up). Make its condition true first.
 * @returns whether it slept
 * @context tasklist_lock held, or the CPU of the task, which lives: the row must not come to be
 *   another's meanwhile, whose CPU has another queue; takes rq->lock
 */
export function wakeTask(m: Mm, row: number): boolean {
  const { rq, task } = m.sched;
  const cpu = Atomics.load(task.cpu, row);
  rqLock(m, cpu);
  const slept = Atomics.load(task.state, row) === TASK_SLEEPING;
  const current = rq[cpu * LINE_WORDS + RQ_CURR] === row;
  if (slept && current) Atomics.store(task.state, row, TASK_RUNNING);
  else if (slept) append(m, cpu, row);
  rqUnlock(m, cpu);
  if (slept && !current) wakeCpu(m, cpu);
  return slept;
}

/**
 * Wakes every task of an address space: it is to end.
 * @context any thread, not under rq->lock; takes tasklist_lock, then rq->lock
 */
export function wakeTasksOf(m: Mm, mm: number): void {
  if (Atomics.load(m.sched.words, SCHED_USED) === 0) return;
  tasklistLock(m);
  const used = Atomics.load(m.sched.words, SCHED_USED);
  for (let row = 1; row <= used; row++) {
    if (Atomics.load(m.sched.task.mm, row) === mm) wakeTask(m, row);
  }
  tasklistUnlock(m);
}

/** Has an address space a task that lives on a CPU? @context any thread */
export function hasTaskOn(m: Mm, mm: number, cpu: number): boolean {
  const { words, task } = m.sched;
  const used = Atomics.load(words, SCHED_USED);
  for (let row = 1; row <= used; row++) {
    if (Atomics.load(task.mm, row) === mm && Atomics.load(task.cpu, row) === cpu) return true;
  }
  return false;
}

/**
 * The CPU of a set with the fewest tasks; of equals the lowest.
 * @param affinity bit per CPU, at least one
 */
export function leastLoadedCpu(m: Mm, affinity: number): number {
  let best = -1;
  let least = Infinity;
  for (let cpu = 0; cpu < m.config.cpus; cpu++) {
    if (((affinity >>> cpu) & 1) === 0) continue;
    const load = Atomics.load(m.sched.rq, cpu * LINE_WORDS + RQ_LOAD);
    if (load < least) {
      least = load;
      best = cpu;
    }
  }
  assert(best >= 0, 'a task may run somewhere');
  return best;
}
