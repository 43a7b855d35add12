// SPDX-License-Identifier: MIT
/**
 * The word of a FIFO spinlock, and who may take it: shared by the ticket and the MCS kind, which
 * differ only in how a queue is kept and where its members wait.
 *
 * Vocabulary. The *head* is the first of the queue. A *pass* is an acquisition by a thread that is
 * not in the queue while the head sleeps. A pure FIFO lock hands over to a thread that may not run
 * for milliseconds when threads outnumber cores, and falls to a thousandth of its rate; so a
 * running thread may pass a sleeping head, a bounded number of times.
 *
 *   bits 0..15   owner id, 0 when free
 *   QUEUED       somebody queues: only the head may take a free lock ...
 *   PARKED       ... unless the head sleeps: then anybody may (a pass)
 *   WOKEN        the sleeping head has been notified: do not notify it again
 *
 *   unlock of      passes < PASS_LIMIT                      passes >= PASS_LIMIT
 *   id             -> 0                                     -> 0
 *   id|Q           -> Q                                     -> Q
 *   id|Q|P         -> Q|P|W, wake the head                  -> Q, wake the head (hand-off)
 *   id|Q|P|W       -> Q|P|W                                 -> Q, wake the head (hand-off)
 *
 * A head that wakes clears PARKED and WOKEN: from then on it is next. Bound: the head is passed at
 * most PASS_LIMIT times while it sleeps, so a thread with n queued before it waits for at most
 * (n + 1) * (PASS_LIMIT + 1) sections. While nobody sleeps, order is strictly first come, first
 * served from the moment that QUEUED is set. A thread that takes the lock on its first attempt
 * between a newcomer's joining the queue and its setting QUEUED is the one exception.
 */
import { assert } from './assert.ts';
import { cpuRelax } from './cpu_relax.ts';
import { deadHolder, lockAddress } from './held_locks.ts';
import { OWNER_BITS, OWNER_MASK, PARK_CHECK_MS, PASS_LIMIT, SPIN_LIMIT } from './limits.ts';
import { checkOwnerAlive, deadHolderBug, selfDeadlock, unlockMisuse } from './lock_class.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { self, threadAlive, WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

export const QUEUED = 1 << OWNER_BITS;
export const PARKED = 1 << (OWNER_BITS + 1);
export const WOKEN = 1 << (OWNER_BITS + 2);

/** Offsets from the lock's base. */
export const FIFO_WORD = 0; // @atomic the word drawn above
export const FIFO_PASSES = 1; // @guardedBy the lock itself: passes since a head last took it
/** First offset that the kind may use for its queue. */
export const FIFO_QUEUE = 2;

assert(PASS_LIMIT > 0, 'a parked head can be passed');

/**
 * Takes the lock if it is free and this thread need not queue for it.
 * @returns false when it is held, or reserved for the head of the queue
 * @context never parks
 */
export function fifoTryTake(words: I32, base: number): boolean {
  const seen = Atomics.load(words, base + FIFO_WORD);
  if ((seen & OWNER_MASK) !== 0 || (seen !== 0 && (seen & PARKED) === 0)) return false;
  if (Atomics.compareExchange(words, base + FIFO_WORD, seen, seen | self.id) !== seen) return false;
  if (seen !== 0) words[base + FIFO_PASSES] = (words[base + FIFO_PASSES] as number) + 1;
  return true;
}

/**
 * Tries to pass a sleeping head, for a bounded time.
 * @returns false when the caller must queue
 * @throws BugError when this thread holds the lock
 * @context never parks
 */
export function fifoSpinPass(words: I32, base: number, cls: number): boolean {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    const seen = Atomics.load(words, base + FIFO_WORD);
    const owner = seen & OWNER_MASK;
    if (owner === self.id) selfDeadlock(cls);
    if (owner === 0 && fifoTryTake(words, base)) return true;
    if (owner !== 0 && (seen & PARKED) === 0) return false;
    if (owner === 0 && seen !== 0 && (seen & PARKED) === 0) return false;
    cpuRelax();
  }
  return false;
}

/**
 * Waits as head of the queue until this thread owns the lock.
 * @param park view and @param parkIndex word that only wakers of this thread bump
 * @throws BugError when the holder is dead
 * @context the head; may park
 */
export function fifoHeadTake(
  words: I32,
  base: number,
  cls: number,
  park: I32,
  parkIndex: number,
): void {
  const word = base + FIFO_WORD;
  if ((Atomics.load(words, word) & PARKED) !== 0) Atomics.and(words, word, ~(PARKED | WOKEN));
  for (;;) {
    for (let spins = 0; spins < SPIN_LIMIT; spins++) {
      const seen = Atomics.load(words, word);
      if ((seen & OWNER_MASK) === 0) {
        const mine = (seen & ~(PARKED | WOKEN)) | self.id;
        if (Atomics.compareExchange(words, word, seen, mine) === seen) {
          words[base + FIFO_PASSES] = 0;
          return;
        }
      }
      cpuRelax();
    }
    headPark(words, word, cls, park, parkIndex);
  }
}

/** Sleeps once, unless the lock is free, and is up again after it: PARKED and WOKEN clear. */
function headPark(words: I32, word: number, cls: number, park: I32, parkIndex: number): void {
  const seq = Atomics.load(park, parkIndex); // PAIRS(fifo-head): before PARKED is set
  const seen = Atomics.load(words, word);
  if ((seen & OWNER_MASK) === 0) return;
  if (Atomics.compareExchange(words, word, seen, seen | PARKED) !== seen) return;
  parkBegin(WAIT_LOCK, cls, true);
  try {
    if (Atomics.wait(park, parkIndex, seq, PARK_CHECK_MS) === 'timed-out') {
      checkOwnerAlive(words, word, cls);
    }
  } finally {
    parkEnd();
    Atomics.and(words, word, ~(PARKED | WOKEN));
  }
}

/**
 * Makes a queue member the head: `publish` is the kind's store that tells it so.
 * @param asleep whether it sleeps, as far as is known; then others may pass it until it is up
 * @context the holder of the lock, before it publishes
 */
export function fifoBeforePromote(words: I32, base: number, asleep: boolean): void {
  if (asleep) Atomics.or(words, base + FIFO_WORD, PARKED | WOKEN);
}

/**
 * Releases the lock after the first compare-and-swap (owner alone -> 0) returned `seen`.
 * @returns true when the caller must wake the head
 * @throws BugError when this thread does not own the lock
 */
export function fifoUnlockSlow(words: I32, base: number, cls: number, first: number): boolean {
  const handOff = (words[base + FIFO_PASSES] as number) >= PASS_LIMIT; // @racy if misused: throws
  for (let seen = first; ; ) {
    if ((seen & OWNER_MASK) !== self.id) unlockMisuse(cls, seen & OWNER_MASK);
    let next = seen & ~OWNER_MASK;
    let wake = false;
    if ((seen & PARKED) !== 0) {
      wake = handOff || (seen & WOKEN) === 0;
      next = handOff ? next & ~(PARKED | WOKEN) : next | WOKEN;
    }
    const was = Atomics.compareExchange(words, base + FIFO_WORD, seen, next);
    if (was === seen) return wake;
    seen = was;
  }
}

/**
 * After PARK_CHECK_MS in the queue: throws when the holder, or who is before us, is gone.
 * @param before thread id of who is before us, 0 for unknown
 * @param moved whether we have been promoted since: then who was before us may have ended rightly
 */
export function fifoCheckAlive(
  words: I32,
  base: number,
  cls: number,
  before: number,
  moved: () => boolean,
): void {
  checkOwnerAlive(words, base + FIFO_WORD, cls);
  if (before !== 0 && !threadAlive(before) && !moved()) deadHolderBug(cls, before);
  const dead = deadHolder(lockAddress(words, base), cls);
  if (dead !== 0) deadHolderBug(cls, dead);
}
