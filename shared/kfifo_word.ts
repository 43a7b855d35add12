// SPDX-License-Identifier: MIT
/** What the rings of kfifo.ts share: where the words lie, how a side parks on one, bulk copies. */
import { assert } from './assert.ts';
import { cpuRelax } from './cpu_relax.ts';
import { ktimeNs } from './ktime.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { rcuMightSleep } from './rcu_state.ts';
import { WAIT_EVENT } from './thread.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** Elements that a ring can hold at most. */
export const KFIFO_CAPACITY_MAX = 2 ** 24;

export const HEAD = 0; // @atomic next index to fill, x 2, PARKED bit
export const TAIL = LINE_WORDS; // @atomic next index to take, x 2, PARKED bit (MPSC: no bit)
export const DATA = 2 * LINE_WORDS; // @owner the side that the indices give the slot to
export const PARKED = 1;

/** Throws unless `capacity` is one that a ring can have. */
export function assertCapacity(capacity: number): void {
  assert(
    capacity >= 2 && capacity <= KFIFO_CAPACITY_MAX && (capacity & (capacity - 1)) === 0,
    'ring capacity must be a power of two',
  );
}

/**
 * Parks on `words[at]`, which holds `value` or `value | PARKED`.
 * @returns false on timeout
 * @context that side of the ring; sleeps
 */
export function park(words: I32, at: number, value: number, deadline: number): boolean {
  const seen = Atomics.compareExchange(words, at, value, value | PARKED);
  if (seen !== value && seen !== (value | PARKED)) return true; // it moved: no sleep
  let ms = Infinity;
  if (deadline !== Infinity) {
    ms = (deadline - ktimeNs()) / 1e6;
    if (ms <= 0) return false;
  }
  rcuMightSleep();
  parkBegin(WAIT_EVENT, 0);
  try {
    // PAIRS(kfifo-park): the peer's exchange changes the word before it notifies
    return Atomics.wait(words, at, value | PARKED, ms) !== 'timed-out';
  } finally {
    parkEnd();
  }
}

/** Steps of back-off, some 50 to 150 ns: the time in which a busy peer moves several elements. */
const BACK_OFF = 8;

/**
 * Reads the peer's index. When it still is `value` (ring empty, or full), backs off for a moment
 * without touching the word and reads once more: two threads that poll then move by several
 * elements at a time, and the word's cache line does not cross between the cores for each.
 */
export function reload(words: I32, at: number, value: number): number {
  const seen = Atomics.load(words, at) & ~PARKED;
  if (seen !== value) return seen;
  for (let i = 0; i < BACK_OFF; i++) cpuRelax();
  return Atomics.load(words, at) & ~PARKED;
}

/** Copies elements. Unrolled: twice as fast as a plain loop, thrice as `set` of a subarray. */
export function copyWords(
  from: Int32Array,
  fromAt: number,
  into: Int32Array,
  intoAt: number,
  count: number,
): void {
  let s = fromAt;
  let d = intoAt;
  const end = fromAt + count;
  for (; s + 8 <= end; s += 8, d += 8) {
    into[d] = from[s] as number;
    into[d + 1] = from[s + 1] as number;
    into[d + 2] = from[s + 2] as number;
    into[d + 3] = from[s + 3] as number;
    into[d + 4] = from[s + 4] as number;
    into[d + 5] = from[s + 5] as number;
    into[d + 6] = from[s + 6] as number;
    into[d + 7] = from[s + 7] as number;
  }
  for (; s < end; s++, d++) into[d] = from[s] as number;
}

/** @returns when `timeoutMs` from now ends, on ktimeNs; Infinity for none */
export function deadlineOf(timeoutMs: number): number {
  return timeoutMs === Infinity ? Infinity : ktimeNs() + timeoutMs * 1e6;
}
