// SPDX-License-Identifier: MIT
/**
 * Wait queue: sleep until a condition that others make true, and lose no wake-up.
 *
 * A queue is WAIT_QUEUE_WORDS words: a sequence number and the number of waiters.
 *
 *   waiter                                     waker
 *   seq = waitPrepare(q)   waiters++, read     make the condition true (atomic or under a lock)
 *   if (!condition)                            wakeUp(q)   waiters == 0: done (one load)
 *     waitSleep(q, seq)    sleeps only if                  sequence++, notify
 *   waitFinish(q)          sequence is seq
 *
 * Why none is lost: the waiter counts itself before it tests the condition, the waker makes the
 * condition true before it reads the count. Either the waker sees the waiter, bumps the sequence,
 * and the sleep ends or never starts; or the waiter's test sees the condition.
 *
 * Guarantees: (A) no lost wake-up, as above; (B) spurious returns happen, so waiters test in a
 * loop.
 * Not promised: that `wakeUp(q, 1)` wakes one only: a waiter between prepare and sleep also
 * returns.
 * Progress: wakeUp is wait-free. Fairness: the kernel's futex order, first come first served.
 */
import { parkBegin, parkEnd } from './lock_park.ts';
import { lockTrace, traceMightSleep } from './lock_trace.ts';
import { WAIT_EVENT } from './thread.ts';
import type { I32 } from './types.ts';

/** Words of one queue. Give a busy queue its own LINE_WORDS. */
export const WAIT_QUEUE_WORDS = 2;
/** Wake every waiter. */
export const WAKE_ALL = 0x7fffffff;

const SEQ = 0; // @atomic bumped by wakers
const WAITERS = 1; // @atomic waiters between prepare and finish

/**
 * Joins the queue. Test the condition after it, before `waitSleep`.
 * @returns the sequence number to give to `waitSleep`
 * @context must be followed by `waitFinish`, also on a throw
 */
export function waitPrepare(words: I32, base: number): number {
  Atomics.add(words, base + WAITERS, 1); // PAIRS(wait-queue): before the test of the condition
  return Atomics.load(words, base + SEQ);
}

/**
 * Reads the sequence again, for the next turn of a loop that stays in the queue.
 * @context between waitPrepare and waitFinish
 */
export function waitAgain(words: I32, base: number): number {
  return Atomics.load(words, base + SEQ);
}

/**
 * Sleeps unless a wake-up came since `seq` was read.
 * @param timeoutMs bound, Infinity for none
 * @param kind WAIT_* shown in the thread table @param arg its argument
 * @returns false when the time ran out
 * @context sleeps: no spinlock held, not inside an RCU reader
 */
export function waitSleep(
  words: I32,
  base: number,
  seq: number,
  timeoutMs = Infinity,
  kind = WAIT_EVENT,
  arg = 0,
): boolean {
  if (lockTrace.on) traceMightSleep('wait queue');
  parkBegin(kind, arg);
  try {
    return Atomics.wait(words, base + SEQ, seq, timeoutMs) !== 'timed-out';
  } finally {
    parkEnd();
  }
}

/** Leaves the queue. @context after waitPrepare, once */
export function waitFinish(words: I32, base: number): void {
  Atomics.sub(words, base + WAITERS, 1);
}

/**
 * Sleeps until `condition()` holds.
 * @param timeoutMs bound, Infinity for none
 * @returns false when the time ran out with the condition still false
 * @context sleeps. `condition` must be cheap and read shared words with Atomics or under a lock
 */
export function waitUntil(
  words: I32,
  base: number,
  condition: () => boolean,
  timeoutMs = Infinity,
): boolean {
  if (condition()) return true;
  let seq = waitPrepare(words, base);
  try {
    while (!condition()) {
      if (!waitSleep(words, base, seq, timeoutMs)) return condition();
      seq = waitAgain(words, base);
    }
    return true;
  } finally {
    waitFinish(words, base);
  }
}

/** @returns true when somebody waits or is about to @context any; one load */
export function waitQueueActive(words: I32, base: number): boolean {
  return Atomics.load(words, base + WAITERS) !== 0;
}

/**
 * Wakes waiters. Make the condition true first.
 * @param nr how many sleepers at most, WAKE_ALL for all
 * @returns sleepers woken; 0 also when the waiters had not slept yet
 * @context any thread, under any lock; never parks
 */
export function wakeUp(words: I32, base: number, nr = 1): number {
  // PAIRS(wait-queue): the condition was made true before this load
  if (Atomics.load(words, base + WAITERS) === 0) return 0;
  Atomics.add(words, base + SEQ, 1);
  return Atomics.notify(words, base + SEQ, nr);
}
