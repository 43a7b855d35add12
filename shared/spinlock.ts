// SPDX-License-Identifier: MIT
/**
 * Spinlock: test-and-test-and-set with an owner. For sections of at most a few microseconds in
 * which the holder does not sleep.
 *
 *   word              lock               tryLock   unlock by its owner
 *   0  (free)         -> id              -> id     error: free
 *   id                spin, then park    false     -> 0
 *   id | CONTENDED    spin, then park    false     -> 0, wake one
 *
 * Guarantees. (A) At most one thread is between lock and unlock. (B) What the holder wrote, plain
 * or atomic, is seen by the next holder. (C) An unlock by a thread that is not the owner throws and
 * changes nothing. (D) A waiter whose holder died throws within PARK_CHECK_MS of parking.
 * Progress: blocking. A waiter spins SPIN_LIMIT loads and then parks in the kernel, so more threads
 * than cores is normal. Fairness: none; a running thread may pass parked ones without bound. Use
 * the ticket or MCS kind where that matters.
 */

import { bug } from './assert.ts';
import { HELD_SPIN, HELD_TRY } from './held_locks.ts';
import { ktimeNs } from './ktime.ts';
import { OWNER_MASK } from './limits.ts';
import { lockClassName, threadLabel } from './lock_class.ts';
import {
  lockTrace,
  traceAcquire,
  traceAcquired,
  traceContended,
  traceRelease,
} from './lock_trace.ts';
import { lockWordSlow, unlockWordSlow } from './lock_word.ts';
import { self } from './thread.ts';
import type { I32 } from './types.ts';

/** A lock with one holder, whatever its kind. */
export interface Lockable {
  /** Takes the lock. @context may park; not recursive */
  lock(): void;
  /** Takes the lock if it is free. @returns false when it is held @context never parks */
  tryLock(): boolean;
  /** Releases the lock. @throws BugError when this thread does not own it */
  unlock(): void;
  /** True when this thread owns the lock. */
  readonly held: boolean;
}

/**
 * Takes the lock.
 * @param words view that holds the word @param index of the word @param cls lock class, 0 unclassed
 * @throws BugError when this thread holds it already, or its holder is dead
 * @context may park; the caller must not sleep until it unlocks
 */
export function spinLock(words: I32, index: number, cls: number): void {
  if (lockTrace.order) traceAcquire(words, index, cls, HELD_SPIN);
  if (Atomics.compareExchange(words, index, 0, self.id) !== 0) spinWait(words, index, cls);
  if (lockTrace.on) traceAcquired(words, index, cls, HELD_SPIN);
}

function spinWait(words: I32, index: number, cls: number): void {
  const since = lockTrace.on ? ktimeNs() : 0;
  lockWordSlow(words, index, cls, false, Infinity);
  if (lockTrace.on) traceContended(cls, HELD_SPIN, since);
}

/**
 * Takes the lock if it is free.
 * @returns false when somebody holds it, this thread included
 * @context never parks
 */
export function spinTryLock(words: I32, index: number, cls: number): boolean {
  if (Atomics.compareExchange(words, index, 0, self.id) !== 0) return false;
  if (lockTrace.on) traceAcquired(words, index, cls, HELD_SPIN | HELD_TRY);
  return true;
}

/**
 * Releases the lock and wakes one parked waiter if there may be any.
 * @throws BugError naming class and owner when this thread does not own it; the word is unchanged
 * @context never parks
 */
export function spinUnlock(words: I32, index: number, cls: number): void {
  if (lockTrace.on) traceRelease(words, index, cls, 0);
  const me = self.id;
  const seen = Atomics.compareExchange(words, index, me, 0);
  if (seen !== me) unlockWordSlow(words, index, cls, seen);
}

/** @returns true when this thread holds the lock @context any */
export function spinHeld(words: I32, index: number): boolean {
  return (Atomics.load(words, index) & OWNER_MASK) === self.id;
}

/** First line of a function whose caller must hold the lock. @throws BugError when it does not */
export function assertSpinHeld(words: I32, index: number, cls = 0): void {
  if (spinHeld(words, index)) return;
  const owner = Atomics.load(words, index) & OWNER_MASK;
  bug(
    `${lockClassName(cls)} must be held by ${threadLabel(self.id)}: ${threadLabel(owner)} has it`,
  );
}

/** A handle on a spinlock word; holds no state of its own. */
export class SpinLock implements Lockable {
  readonly words: I32;
  readonly index: number;
  readonly cls: number;

  constructor(words: I32, index: number, cls = 0) {
    this.words = words;
    this.index = index;
    this.cls = cls;
  }

  lock(): void {
    spinLock(this.words, this.index, this.cls);
  }

  tryLock(): boolean {
    return spinTryLock(this.words, this.index, this.cls);
  }

  unlock(): void {
    spinUnlock(this.words, this.index, this.cls);
  }

  get held(): boolean {
    return spinHeld(this.words, this.index);
  }
}
