// SPDX-License-Identifier: MIT
/**
 * Sequence lock: readers write nothing and retry if a writer was in; writers exclude each other.
 *
 *   SEQ       reader                                 writer
 *   even      reads, and SEQ unchanged: valid        none in
 *   odd       waits: spins, then parks               one in, it owns the spinlock word
 *
 *   do { seq = seqReadBegin(words, base, cls); ... } while (seqReadRetry(words, base, seq));
 *
 * Guarantees: (A) writers exclude each other and are named as spinlock owners are; (B) a section
 * whose retry test says false saw the data of one moment. (C) a reader that parks on a writer which
 * died says so. Data words must be read and written with Atomics: a plain read may, on a weakly
 * ordered core, move below the retry test, and a plain write above the begin. Values must be used
 * after the test only; until then they may be torn.
 * Progress: a writer never waits for readers; a reader may retry for ever under constant writing.
 * Fairness: readers yield to writers.
 */
import { cpuRelax } from './cpu_relax.ts';
import { OWNER_MASK, PARK_CHECK_MS, SPIN_LIMIT } from './limits.ts';
import { checkOwnerAlive, unlockMisuse } from './lock_class.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { spinLock, spinTryLock, spinUnlock } from './spinlock.ts';
import { self, WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

/** Words of one seqlock. Readers' data should not share its line. */
export const SEQLOCK_WORDS = 3;

const SEQ = 0; // @atomic written by the writer that is in
const LOCK = 1; // @atomic spinlock of the writers
const SLEEPERS = 2; // @atomic readers parked on SEQ

/**
 * Starts a read section.
 * @returns the sequence number to give to `seqReadRetry`; even
 * @throws BugError when the writer that is in died
 * @context may park while a writer is in; not while this thread is that writer
 */
export function seqReadBegin(words: I32, base: number, cls: number): number {
  const seq = Atomics.load(words, base + SEQ);
  return (seq & 1) === 0 ? seq : readBeginSlow(words, base, cls);
}

function readBeginSlow(words: I32, base: number, cls: number): number {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    const seq = Atomics.load(words, base + SEQ);
    if ((seq & 1) === 0) return seq;
    cpuRelax();
  }
  Atomics.add(words, base + SLEEPERS, 1); // PAIRS(seqlock): before SEQ is read for the last time
  parkBegin(WAIT_LOCK, cls, true);
  try {
    for (;;) {
      const seq = Atomics.load(words, base + SEQ);
      if ((seq & 1) === 0) return seq;
      if (Atomics.wait(words, base + SEQ, seq, PARK_CHECK_MS) === 'timed-out') {
        checkOwnerAlive(words, base + LOCK, cls);
      }
    }
  } finally {
    parkEnd();
    Atomics.sub(words, base + SLEEPERS, 1);
  }
}

/** @returns true when a writer was in since `seq`: what was read must be thrown away */
export function seqReadRetry(words: I32, base: number, seq: number): boolean {
  return Atomics.load(words, base + SEQ) !== seq;
}

/** Enters as writer. @context may park; the caller must not sleep until `seqWriteUnlock` */
export function seqWriteLock(words: I32, base: number, cls: number): void {
  spinLock(words, base + LOCK, cls);
  Atomics.add(words, base + SEQ, 1);
}

/** @returns false when another writer is in @context never parks */
export function seqWriteTryLock(words: I32, base: number, cls: number): boolean {
  if (!spinTryLock(words, base + LOCK, cls)) return false;
  Atomics.add(words, base + SEQ, 1);
  return true;
}

/** @throws BugError when this thread is not the writer @context never parks */
export function seqWriteUnlock(words: I32, base: number, cls: number): void {
  const owner = Atomics.load(words, base + LOCK) & OWNER_MASK;
  if (owner !== self.id) unlockMisuse(cls, owner);
  Atomics.add(words, base + SEQ, 1); // PAIRS(seqlock): even again before SLEEPERS is read
  if (Atomics.load(words, base + SLEEPERS) !== 0) Atomics.notify(words, base + SEQ);
  spinUnlock(words, base + LOCK, cls);
}

/** A handle on a seqlock; holds no state of its own. */
export class SeqLock {
  readonly words: I32;
  readonly base: number;
  readonly cls: number;

  constructor(words: I32, base: number, cls = 0) {
    this.words = words;
    this.base = base;
    this.cls = cls;
  }

  readBegin(): number {
    return seqReadBegin(this.words, this.base, this.cls);
  }

  readRetry(seq: number): boolean {
    return seqReadRetry(this.words, this.base, seq);
  }

  writeLock(): void {
    seqWriteLock(this.words, this.base, this.cls);
  }

  writeTryLock(): boolean {
    return seqWriteTryLock(this.words, this.base, this.cls);
  }

  writeUnlock(): void {
    seqWriteUnlock(this.words, this.base, this.cls);
  }
}
