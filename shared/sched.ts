// SPDX-License-Identifier: MIT
/**
 * The running thread's side of the thread runtime: where it looks at its requests, and how it
 * sleeps.
 *
 * A thread answers to the machine at three places only:
 *   condResched()   in every long loop. Quiescent state for RCU, heartbeat for the watchdog, a load
 *                   of the request word. Never sleeps, so locks may be held (no RCU section may).
 *   waitEvent*()    sleeping for a condition. A stop, park or freeze request ends the interruptible
 *                   forms, with the condition left false; the caller's loop then sees to it.
 *   tryToFreeze(), kthreadParkMe()   safe points: no lock held, nothing half done. Only top loops.
 * A machine that panics ends all three with MachineStopped, which nothing but the worker's entry
 * may catch: a thread that holds locks then unwinds without regard for what they protect.
 *
 *   call                        ended by                        shown as   timed by the watchdog
 *   waitEvent, waitEventTimeout condition, time, any request    sleeping   no
 *   waitEventBlocked            condition, time                 blocked    yes
 *   scheduleTimeout             time, any request               sleeping   no
 *   kthreadParkMe               unpark, stop                    parked     no
 *   tryToFreeze                 thaw, stop                      parked     no
 *
 * Guarantees: (A) no wake-up is lost between the test of a condition and the sleep, provided that
 * the condition is made true before `wakeUp`; (B) no request is lost either, see task.ts; (C) a
 * condition that holds wins over a request and over the time. Outside a machine (a test, a user of
 * the primitives) there are no requests, and everything else works.
 */
import { ktimeNs } from './ktime.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { lockTrace, traceMightSleep } from './lock_trace.ts';
import { rcuQuiescent } from './rcu_state.ts';
import {
  REQUEST_FREEZE,
  REQUEST_PANIC,
  REQUEST_PARK,
  REQUEST_STOP,
  signalTaskChange,
  type TaskTable,
} from './task.ts';
import { THREAD_PARKED, type ThreadTable, WAIT_COMPLETION, WAIT_EVENT } from './thread.ts';
import type { I32 } from './types.ts';
import { waitAgain, waitFinish, waitPrepare } from './wait_queue.ts';

/** The machine is lost; unwind. Not an error of its own: the panic record says what happened. */
export class MachineStopped extends Error {
  override readonly name = 'MachineStopped';
}

/** What ended a wait. */
export const EVENT_READY = 1;
export const EVENT_TIMEOUT = 0;
/** A stop, park or freeze request is pending and the condition does not hold. */
export const EVENT_INTERRUPTED = -1;

interface Current {
  readonly id: number;
  readonly threads: ThreadTable;
  readonly tasks: TaskTable;
}

/** This worker's task; null outside a machine. A worker belongs to one machine for its life. */
let current: Current | null = null;

/** @context once per worker, after `enterSync` */
export function enterTask(threads: ThreadTable, tasks: TaskTable, id: number): void {
  current = { id, threads, tasks };
}

/** Pending REQUEST_* bits of this thread. @throws MachineStopped when the machine has panicked */
export function pendingRequests(): number {
  if (current === null) return 0;
  const bits = Atomics.load(current.threads.request, current.id);
  if ((bits & REQUEST_PANIC) !== 0) throw new MachineStopped('the machine has panicked');
  return bits;
}

/**
 * A point of a long loop where the thread could be scheduled away.
 * @returns pending REQUEST_* bits, 0 nearly always
 * @throws MachineStopped when the machine has panicked
 * @context may hold locks; not inside an RCU reader. Never sleeps
 */
export function condResched(): number {
  if (current === null) return 0;
  rcuQuiescent();
  Atomics.add(current.threads.heartbeat, current.id, 1);
  return pendingRequests();
}

/** @returns true once this thread was asked to return from its function */
export function kthreadShouldStop(): boolean {
  return (pendingRequests() & REQUEST_STOP) !== 0;
}

/** @returns true while this thread is asked to park */
export function kthreadShouldPark(): boolean {
  return (pendingRequests() & REQUEST_PARK) !== 0;
}

/** @returns true while the machine is being frozen and this thread takes part */
export function freezeRequested(): boolean {
  return (pendingRequests() & REQUEST_FREEZE) !== 0;
}

/** Sleeps until another thread unparks this one, or stops it. @context no lock held */
export function kthreadParkMe(): void {
  while ((pendingRequests() & (REQUEST_PARK | REQUEST_STOP)) === REQUEST_PARK) {
    sleepSafe(REQUEST_PARK);
  }
}

/**
 * Enters the refrigerator if the machine is being frozen, and leaves it at the thaw or at a stop.
 * @returns true when it slept there
 * @context no lock held, nothing half done
 */
export function tryToFreeze(): boolean {
  if (current === null || (pendingRequests() & REQUEST_FREEZE) === 0) return false;
  const { id, tasks } = current;
  Atomics.store(tasks.frozen, id, 1);
  try {
    while ((pendingRequests() & (REQUEST_FREEZE | REQUEST_STOP)) === REQUEST_FREEZE) {
      sleepSafe(REQUEST_FREEZE);
    }
  } finally {
    Atomics.store(tasks.frozen, id, 0);
  }
  return true;
}

/**
 * The safe point of a top loop: parks and freezes while asked to.
 * @returns true once this thread was asked to stop; queued work may be drained first
 * @context no lock held, nothing half done
 */
export function kthreadSafePoint(): boolean {
  for (;;) {
    const bits = pendingRequests();
    if ((bits & REQUEST_STOP) !== 0) return true;
    if ((bits & REQUEST_PARK) !== 0) kthreadParkMe();
    else if ((bits & REQUEST_FREEZE) !== 0) tryToFreeze();
    else return false;
  }
}

/**
 * Sleeps until `condition()` holds or a request is pending.
 * @param words @param base a wait queue (wait_queue.ts) in the arena
 * @param condition cheap; reads shared words with Atomics
 * @returns EVENT_READY, or EVENT_INTERRUPTED with the condition false: look at the requests then,
 * since waiting again returns at once while they are pending
 * @throws MachineStopped when the machine has panicked
 * @context sleeps: no spinlock held, not inside an RCU reader
 */
export function waitEvent(words: I32, base: number, condition: () => boolean): number {
  return waitOn(words, base, condition, Infinity, WAIT_EVENT, 0, true);
}

/**
 * As `waitEvent`, bounded.
 * @param timeoutMs at least 0
 * @returns EVENT_READY, EVENT_TIMEOUT or EVENT_INTERRUPTED
 */
export function waitEventTimeout(
  words: I32,
  base: number,
  condition: () => boolean,
  timeoutMs: number,
): number {
  return waitOn(words, base, condition, timeoutMs, WAIT_EVENT, 0, true);
}

/**
 * Sleeps until `condition()` holds, whatever is requested: for work that cannot be left half done.
 * The watchdog times it.
 * @param arg shown in reports as what is waited on
 * @returns EVENT_READY, or EVENT_TIMEOUT
 */
export function waitEventBlocked(
  words: I32,
  base: number,
  condition: () => boolean,
  timeoutMs = Infinity,
  arg = 0,
): number {
  return waitOn(words, base, condition, timeoutMs, WAIT_COMPLETION, arg, true);
}

/**
 * As `waitEventBlocked`, on a bare sequence word that its wakers bump and notify unconditionally.
 * @context sleeps; watched by the watchdog
 */
export function waitSequence(words: I32, index: number, condition: () => boolean): void {
  waitOn(words, index, condition, Infinity, WAIT_COMPLETION, 0, false);
}

/**
 * Sleeps for a time. @returns EVENT_TIMEOUT, or EVENT_INTERRUPTED when a request came first
 * @context a thread of a machine; sleeps
 */
export function scheduleTimeout(timeoutMs: number): number {
  if (current === null) return EVENT_TIMEOUT;
  return waitOn(current.threads.wake, current.id, never, timeoutMs, WAIT_EVENT, 0, false);
}

function never(): boolean {
  return false;
}

function waitOn(
  words: I32,
  base: number,
  condition: () => boolean,
  timeoutMs: number,
  kind: number,
  arg: number,
  isQueue: boolean,
): number {
  if (condition()) return EVENT_READY;
  const deadlineNs = timeoutMs === Infinity ? Infinity : ktimeNs() + timeoutMs * 1e6;
  if (lockTrace.on) traceMightSleep('wait event');
  publishSleep(words, base);
  if (isQueue) waitPrepare(words, base);
  try {
    for (;;) {
      const seq = waitAgain(words, base);
      if (condition()) return EVENT_READY;
      // PAIRS(task-kick): the request word is read after waitWord was stored and `seq` was read
      if (pendingRequests() !== 0 && kind === WAIT_EVENT) return EVENT_INTERRUPTED;
      const leftMs = deadlineNs === Infinity ? Infinity : (deadlineNs - ktimeNs()) / 1e6;
      if (leftMs <= 0) return EVENT_TIMEOUT;
      sleepOnce(words, base, seq, leftMs, kind, arg);
    }
  } finally {
    if (isQueue) waitFinish(words, base);
    if (current !== null) Atomics.store(current.tasks.waitWord, current.id, 0);
  }
}

/** Publishes the word that a kick must bump. */
function publishSleep(words: I32, base: number): void {
  if (current === null || words.buffer !== current.tasks.words.buffer) return;
  Atomics.store(current.tasks.waitWord, current.id, words.byteOffset / 4 + base);
}

function sleepOnce(
  words: I32,
  base: number,
  seq: number,
  timeoutMs: number,
  kind: number,
  arg: number,
): void {
  parkBegin(kind, arg);
  try {
    Atomics.wait(words, base, seq, timeoutMs);
  } finally {
    parkEnd();
  }
}

/** One sleep at a safe point, on this thread's own word, while request bit `bit` stays set. */
function sleepSafe(bit: number): void {
  if (current === null) return;
  const { id, threads, tasks } = current;
  publishSleep(threads.wake, id);
  try {
    const seq = Atomics.load(threads.wake, id);
    if ((pendingRequests() & (bit | REQUEST_STOP)) !== bit) return;
    parkBegin(WAIT_EVENT, 0);
    try {
      Atomics.store(threads.state, id, THREAD_PARKED);
      signalTaskChange(tasks);
      Atomics.wait(threads.wake, id, seq);
    } finally {
      parkEnd();
    }
  } finally {
    Atomics.store(tasks.waitWord, id, 0);
  }
}
