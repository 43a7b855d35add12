// SPDX-License-Identifier: MIT
/**
 * Mutex: one owner, who may sleep while holding it. Spins while the owner runs, then parks.
 *
 *   word              lock                         tryLock   unlock by its owner
 *   0  (free)         -> id                        -> id     error: free
 *   id                spin while it runs, park     false     -> 0
 *   id | CONTENDED    spin while it runs, park     false     -> 0, wake one
 *
 * Guarantees: (A) exclusion; (B) what a holder wrote is seen by the next; (C) an unlock by another
 * thread throws and changes nothing; (D) a waiter whose holder died throws within PARK_CHECK_MS.
 * Progress: blocking. Fairness: none; a running thread may pass parked ones without bound, which is
 * what keeps it fast with more threads than cores.
 *
 *   const mutex = new AtomicsMutex(new Int32Array(new SharedArrayBuffer(4)), 0);
 *   mutex.lock();
 *   try { ... } finally { mutex.unlock(); }
 */
import { bug } from './assert.ts';
import { HELD_TRY } from './held_locks.ts';
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
import type { Lockable } from './spinlock.ts';
import { self } from './thread.ts';
import type { I32 } from './types.ts';

/**
 * Takes the mutex.
 * @throws BugError when this thread holds it already, or its holder is dead
 * @context may park: not under a spinlock, not inside an RCU reader
 */
export function mutexLock(words: I32, index: number, cls: number): void {
  if (lockTrace.order) traceAcquire(words, index, cls, 0);
  if (Atomics.compareExchange(words, index, 0, self.id) !== 0) {
    mutexWait(words, index, cls, Infinity);
  }
  if (lockTrace.on) traceAcquired(words, index, cls, 0);
}

function mutexWait(words: I32, index: number, cls: number, timeoutMs: number): boolean {
  const since = lockTrace.on ? ktimeNs() : 0;
  if (!lockWordSlow(words, index, cls, true, timeoutMs)) return false;
  if (lockTrace.on) traceContended(cls, 0, since);
  return true;
}

/**
 * Takes the mutex, waiting no longer than `timeoutMs`.
 * @param timeoutMs at least 0
 * @returns false when the time ran out; the mutex is then not held
 * @context may park
 */
export function mutexLockTimeout(
  words: I32,
  index: number,
  cls: number,
  timeoutMs: number,
): boolean {
  if (lockTrace.order) traceAcquire(words, index, cls, 0);
  if (Atomics.compareExchange(words, index, 0, self.id) !== 0) {
    if (!mutexWait(words, index, cls, timeoutMs)) return false;
  }
  if (lockTrace.on) traceAcquired(words, index, cls, 0);
  return true;
}

/** @returns false when somebody holds it, this thread included @context never parks */
export function mutexTryLock(words: I32, index: number, cls: number): boolean {
  if (Atomics.compareExchange(words, index, 0, self.id) !== 0) return false;
  if (lockTrace.on) traceAcquired(words, index, cls, HELD_TRY);
  return true;
}

/** @throws BugError naming class and owner when this thread does not own it @context never parks */
export function mutexUnlock(words: I32, index: number, cls: number): void {
  if (lockTrace.on) traceRelease(words, index, cls, 0);
  const me = self.id;
  const seen = Atomics.compareExchange(words, index, me, 0);
  if (seen !== me) unlockWordSlow(words, index, cls, seen);
}

/** @returns true when this thread holds the mutex @context any */
export function mutexHeld(words: I32, index: number): boolean {
  return (Atomics.load(words, index) & OWNER_MASK) === self.id;
}

/** First line of a function whose caller must hold the mutex. @throws BugError when it does not */
export function assertMutexHeld(words: I32, index: number, cls = 0): void {
  if (mutexHeld(words, index)) return;
  const owner = Atomics.load(words, index) & OWNER_MASK;
  bug(
    `${lockClassName(cls)} must be held by ${threadLabel(self.id)}: ${threadLabel(owner)} has it`,
  );
}

/** A handle on a mutex word; holds no state of its own. */
export class AtomicsMutex implements Lockable {
  readonly words: I32;
  readonly index: number;
  readonly cls: number;

  constructor(words: I32, index: number, cls = 0) {
    this.words = words;
    this.index = index;
    this.cls = cls;
  }

  lock(): void {
    mutexLock(this.words, this.index, this.cls);
  }

  tryLock(): boolean {
    return mutexTryLock(this.words, this.index, this.cls);
  }

  /** @returns false when the time ran out */
  lockTimeout(timeoutMs: number): boolean {
    return mutexLockTimeout(this.words, this.index, this.cls, timeoutMs);
  }

  unlock(): void {
    mutexUnlock(this.words, this.index, this.cls);
  }

  get held(): boolean {
    return mutexHeld(this.words, this.index);
  }
}
