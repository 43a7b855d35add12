// SPDX-License-Identifier: MIT
/**
 * The one switch between locks and their instrumentation. `lockTrace.on` is false unless the domain
 * asked for statistics or lock-order checking; every lock tests it once per operation and goes the
 * traced way only when it is set. Nothing else of this file runs when it is off.
 */
import { HELD_READ, heldPop, heldPush, lockAddress } from './held_locks.ts';
import { ktimeNs } from './ktime.ts';
import { statAcquired, statContended, statHoldDrop, statReleased, statTaken } from './lock_stat.ts';
import { lockdepAcquire, lockdepMightSleep } from './lockdep.ts';
import type { I32 } from './types.ts';

/** Who wants to know of every acquisition and release of this worker's locks. */
export interface LockListener {
  /** After an acquisition. @param bits HELD_* of it */
  acquired(words: I32, index: number, cls: number, bits: number): void;
  /** Before a release, or before another thread is made responsible for it. */
  released(words: I32, index: number): void;
}

/** Switches of this worker, set by `enterSync`. */
export const lockTrace: { on: boolean; order: boolean; listener: LockListener | null } = {
  on: false,
  order: false,
  /** Set by `listenToLocks`; null nearly always. */
  listener: null,
};

/**
 * Sets who is told of acquisitions; they take the traced way from here on.
 * @param listener null: nobody
 * @context once per worker, before its first lock
 */
export function listenToLocks(listener: LockListener | null): void {
  lockTrace.listener = listener;
  if (listener !== null) lockTrace.on = true;
}

/**
 * Before a blocking acquisition: lock-order check.
 * @param bits HELD_* of the acquisition
 * @throws BugError naming both chains of an inversion
 */
export function traceAcquire(words: I32, index: number, cls: number, bits: number): void {
  if (lockTrace.order) lockdepAcquire(lockAddress(words, index), cls, bits);
}

/**
 * After an acquisition.
 * @param bits HELD_* of the acquisition
 */
export function traceAcquired(words: I32, index: number, cls: number, bits: number): void {
  const at = lockAddress(words, index);
  heldPush(at, cls | bits);
  if (lockTrace.listener !== null) lockTrace.listener.acquired(words, index, cls, bits);
  // Sampled hold times read clocks, which a listener's schedule would have as steps.
  else statAcquired(cls, (bits & HELD_READ) === 0 ? 0 : 1, at);
}

/** After an acquisition that was contended. @param sinceNs the clock at the first failed attempt */
export function traceContended(cls: number, bits: number, sinceNs: number): void {
  statContended(cls, (bits & HELD_READ) === 0 ? 0 : 1, ktimeNs() - sinceNs);
}

/** Before a release. @param bits HELD_READ for a read side, else 0 */
export function traceRelease(words: I32, index: number, cls: number, bits: number): void {
  const at = lockAddress(words, index);
  heldPop(at);
  lockTrace.listener?.released(words, index);
  statReleased(cls, (bits & HELD_READ) === 0 ? 0 : 1, at);
}

/** Before another thread is made responsible for the release. */
export function traceDisown(words: I32, index: number, cls: number): void {
  const at = lockAddress(words, index);
  heldPop(at);
  lockTrace.listener?.released(words, index);
  statHoldDrop(cls, 0, at);
}

/** After taking something that is not held afterwards (a permit). */
export function traceTaken(cls: number): void {
  statTaken(cls);
}

/** Before a sleep that is not a lock. @throws BugError in atomic context */
export function traceMightSleep(what: string): void {
  if (lockTrace.order) lockdepMightSleep(what);
}
