// SPDX-License-Identifier: MIT
/**
 * The slow paths of a lock that is one word: owner | CONTENDED. Shared by the spinlock and the
 * mutex, which differ only in what a holder may do and in how long a waiter spins.
 *
 *   word              meaning
 *   0                 free; nobody is parked, or the parked have been told
 *   id                held by thread id; nobody is parked
 *   id | CONTENDED    held by thread id; somebody may be parked on the word
 *
 * A waiter that has parked once takes the lock with CONTENDED set, since others may be parked
 * still; the cost is one idle notify when there are none.
 */
import { cpuRelax } from './cpu_relax.ts';
import { ktimeNs } from './ktime.ts';
import { OWNER_BITS, OWNER_MASK, PARK_CHECK_MS, SPIN_LIMIT } from './limits.ts';
import { checkOwnerAlive, selfDeadlock, unlockMisuse } from './lock_class.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { self, THREAD_RUNNING, WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

/** Somebody may be parked on the word. */
export const CONTENDED = 1 << OWNER_BITS;

/**
 * Takes the word after a first compare-and-swap failed: spins SPIN_LIMIT loads, then parks.
 * @param adaptive stop spinning once the holder is known not to run
 * @param timeoutMs bound on the wait, Infinity for none
 * @returns false when the time ran out
 * @throws BugError when the holder is this thread, or is dead
 */
export function lockWordSlow(
  words: I32,
  index: number,
  cls: number,
  adaptive: boolean,
  timeoutMs: number,
): boolean {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    const seen = Atomics.load(words, index);
    if (seen === 0) {
      if (Atomics.compareExchange(words, index, 0, self.id) === 0) return true;
    } else if ((seen & OWNER_MASK) === self.id) selfDeadlock(cls);
    else if (adaptive && (spins & 15) === 15 && !running(seen & OWNER_MASK)) break;
    cpuRelax();
  }
  parkBegin(WAIT_LOCK, cls, !adaptive);
  try {
    return lockWordParked(words, index, cls, timeoutMs);
  } finally {
    parkEnd();
  }
}

function running(id: number): boolean {
  return self.table === null || Atomics.load(self.table.state, id) === THREAD_RUNNING;
}

function lockWordParked(words: I32, index: number, cls: number, timeoutMs: number): boolean {
  const mine = self.id | CONTENDED;
  const deadline = timeoutMs === Infinity ? Infinity : ktimeNs() + timeoutMs * 1e6;
  for (;;) {
    let seen = Atomics.load(words, index);
    if (seen === 0) {
      if (Atomics.compareExchange(words, index, 0, mine) === 0) return true;
      continue;
    }
    if ((seen & CONTENDED) === 0) {
      const marked = seen | CONTENDED;
      if (Atomics.compareExchange(words, index, seen, marked) !== seen) continue;
      seen = marked;
    }
    let ms = PARK_CHECK_MS;
    if (deadline !== Infinity) {
      ms = Math.min(ms, (deadline - ktimeNs()) / 1e6);
      if (ms <= 0) return false;
    }
    // PAIRS(lock-word-park): the holder's swap to 0 changes the word before it notifies
    if (Atomics.wait(words, index, seen, ms) === 'timed-out') checkOwnerAlive(words, index, cls);
  }
}

/**
 * Releases the word after the owner's compare-and-swap to 0 failed.
 * @param seen what the word held
 * @throws BugError when this thread does not own it
 */
export function unlockWordSlow(words: I32, index: number, cls: number, seen: number): void {
  if (seen !== (self.id | CONTENDED)) unlockMisuse(cls, seen & OWNER_MASK);
  Atomics.store(words, index, 0);
  Atomics.notify(words, index, 1); // PAIRS(lock-word-park): a waiter that saw CONTENDED wakes
}
