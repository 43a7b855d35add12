// SPDX-License-Identifier: MIT
/**
 * Bit lock: one bit of an atomic flags word is a lock (the folio lock), with a hashed table of wait
 * sequences so that a million of them cost no memory of their own.
 *
 *   lock bit  WAITERS   meaning
 *   0         0         free
 *   1         0         held; nobody waits
 *   1         1         held; somebody may be parked on the word's bucket
 *   0         1         not left behind by us; harmless, the next unlock clears it
 *
 * The other bits of the word change at any time, by anybody, with Atomics.or and Atomics.and. So
 * unlock clears the lock bit and WAITERS in one Atomics.and, whose return value says whether to
 * wake; a waiter sets both bits in one Atomics.or, whose return value says whether it now owns it.
 *
 *   waiter                                      holder
 *   seq = load(bucket)
 *   or(flags, lock | WAITERS): was held         and(flags, ~(lock | WAITERS)): WAITERS was set
 *   wait(bucket, seq)                           add(bucket, 1), notify all
 *
 * If the holder's `and` comes before the waiter's `or`, the waiter owns the lock. If after, it sees
 * WAITERS and bumps the bucket, so the wait ends or never starts. No waiter is lost.
 *
 * Guarantees: (A) exclusion; (B) no lost waiter; (C) unlock of a bit that is clear throws. The word
 * has no room for an owner: it is kept in the holder's stack of held locks (held_locks.ts), so a
 * lock whose holder died is named, in a machine. A holder may let another thread unlock, as I/O
 * completion does: it calls `bitLockDisown` first. One lock bit per word; other bits are free.
 * Progress: blocking. Fairness: none; waking a bucket wakes all who share it, and they race.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert, bug } from './assert.ts';
import { cpuRelax } from './cpu_relax.ts';
import { deadHolder, HELD_TRY, heldHas, heldPop, heldPush, lockAddress } from './held_locks.ts';
import { ktimeNs } from './ktime.ts';
import { PARK_CHECK_MS, SPIN_LIMIT } from './limits.ts';
import { deadHolderBug, lockClassName, selfDeadlock } from './lock_class.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import {
  lockTrace,
  traceAcquire,
  traceAcquired,
  traceContended,
  traceDisown,
  traceRelease,
} from './lock_trace.ts';
import { WAIT_FOLIO } from './thread.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** The wait table of one flags column. */
export interface BitWaitTable {
  readonly seq: I32; // @atomic one sequence number per bucket, each on its own line
  readonly buckets: number;
  /** The bit of the flags word that says "somebody may wait". */
  readonly waitersMask: number;
}

/** @param buckets a power of two @param waitersMask one bit of the flags word */
export function declareBitWait(
  builder: ArenaBuilder,
  name: string,
  buckets: number,
  waitersMask: number,
): BitWaitTable {
  assert((buckets & (buckets - 1)) === 0 && buckets > 0, 'buckets must be a power of two');
  const { seq } = builder.columns(
    name,
    { seq: 'i32' /* @atomic bumped by unlockers */ },
    buckets * LINE_WORDS,
  );
  return { seq, buckets, waitersMask };
}

function bucketOf(table: BitWaitTable, index: number): number {
  return ((Math.imul(index, 0x9e3779b1) >>> 12) & (table.buckets - 1)) * LINE_WORDS;
}

/**
 * Takes the lock bit.
 * @param mask the lock bit @param cls lock class
 * @throws BugError when a dead thread holds it
 * @context may park: not under a spinlock, not inside an RCU reader
 */
export function bitLock(
  flags: I32,
  index: number,
  mask: number,
  table: BitWaitTable,
  cls: number,
): void {
  if (lockTrace.order) traceAcquire(flags, index, cls, 0);
  if ((Atomics.or(flags, index, mask) & mask) !== 0) {
    const since = lockTrace.on ? ktimeNs() : 0;
    bitLockSlow(flags, index, mask, table, cls);
    if (lockTrace.on) traceContended(cls, 0, since);
  }
  if (lockTrace.on) traceAcquired(flags, index, cls, 0);
  else heldPush(lockAddress(flags, index), cls);
}

function bitLockSlow(
  flags: I32,
  index: number,
  mask: number,
  table: BitWaitTable,
  cls: number,
): void {
  if (heldHas(lockAddress(flags, index), cls)) selfDeadlock(cls);
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if ((Atomics.load(flags, index) & mask) === 0) {
      if ((Atomics.or(flags, index, mask) & mask) === 0) return;
    }
    cpuRelax();
  }
  parkOnBit(flags, index, mask, table, cls, mask | table.waitersMask);
}

/** Parks until an `or` of `set` finds the lock bit clear. */
function parkOnBit(
  flags: I32,
  index: number,
  mask: number,
  table: BitWaitTable,
  cls: number,
  set: number,
): void {
  const bucket = bucketOf(table, index);
  parkBegin(WAIT_FOLIO, index);
  try {
    for (;;) {
      const seq = Atomics.load(table.seq, bucket); // PAIRS(bit-lock): read before the or
      if ((Atomics.or(flags, index, set) & mask) === 0) return;
      if (Atomics.wait(table.seq, bucket, seq, PARK_CHECK_MS) === 'timed-out') {
        const dead = deadHolder(lockAddress(flags, index), cls);
        if (dead !== 0) deadHolderBug(cls, dead);
      }
    }
  } finally {
    parkEnd();
  }
}

/** Takes the lock bit if it is clear. @returns false when it is set @context never parks */
export function bitTryLock(flags: I32, index: number, mask: number, cls: number): boolean {
  if ((Atomics.or(flags, index, mask) & mask) !== 0) return false;
  if (lockTrace.on) traceAcquired(flags, index, cls, HELD_TRY);
  else heldPush(lockAddress(flags, index), cls);
  return true;
}

/**
 * Clears the lock bit and wakes those who wait for it.
 * @throws BugError when the bit is clear
 * @context never parks; may be another thread than the one that locked
 */
export function bitUnlock(
  flags: I32,
  index: number,
  mask: number,
  table: BitWaitTable,
  cls: number,
): void {
  if (lockTrace.on) traceRelease(flags, index, cls, 0);
  else heldPop(lockAddress(flags, index));
  const seen = Atomics.and(flags, index, ~(mask | table.waitersMask));
  if ((seen & mask) === 0) bug(`unlock of ${lockClassName(cls)} ${index}: its bit is clear`);
  if ((seen & table.waitersMask) !== 0) wakeBit(table, index);
}

/**
 * Clears a bit that is not the lock bit (the end of writeback) and wakes who waits for it.
 * @context any thread; never parks
 */
export function bitClearWake(flags: I32, index: number, mask: number, table: BitWaitTable): void {
  const seen = Atomics.and(flags, index, ~(mask | table.waitersMask));
  if ((seen & table.waitersMask) !== 0) wakeBit(table, index);
}

/** Takes the lock out of this thread's stack: another thread is going to unlock it. */
export function bitLockDisown(flags: I32, index: number, cls: number): void {
  traceDisown(flags, index, cls);
}

/** Puts a lock that its holder has disowned on this thread's stack: it is to unlock it. */
export function bitLockAdopt(flags: I32, index: number, cls: number): void {
  if (lockTrace.on) traceAcquired(flags, index, cls, HELD_TRY);
  else heldPush(lockAddress(flags, index), cls);
}

/** Wakes every waiter of the bucket. @context after the bit they wait for was cleared */
function wakeBit(table: BitWaitTable, index: number): void {
  const bucket = bucketOf(table, index);
  Atomics.add(table.seq, bucket, 1); // PAIRS(bit-lock): after the and, before the notify
  Atomics.notify(table.seq, bucket);
}

/**
 * Waits until the bit is clear, without taking it (the kernel's folio_wait_bit).
 * @context may park
 */
export function bitWait(
  flags: I32,
  index: number,
  mask: number,
  table: BitWaitTable,
  cls: number,
): void {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if ((Atomics.load(flags, index) & mask) === 0) return;
    cpuRelax();
  }
  parkOnBit(flags, index, mask, table, cls, table.waitersMask);
}

/**
 * Waits while somebody holds the bit, once: it may be held again, by another, on return. The word
 * is written to only while the bit is set, so the caller need not hold what the word belongs to.
 * @context may park
 */
export function bitWaitHeld(flags: I32, index: number, mask: number, table: BitWaitTable): void {
  const bucket = bucketOf(table, index);
  const set = table.waitersMask;
  parkBegin(WAIT_FOLIO, index);
  try {
    for (;;) {
      const seq = Atomics.load(table.seq, bucket); // PAIRS(bit-lock): read before the word
      const seen = Atomics.load(flags, index);
      if ((seen & mask) === 0) return;
      const waiting = (seen & set) !== 0;
      if (waiting || Atomics.compareExchange(flags, index, seen, seen | set) === seen) {
        Atomics.wait(table.seq, bucket, seq, PARK_CHECK_MS);
        return;
      }
    }
  } finally {
    parkEnd();
  }
}

/** @returns true when somebody holds the bit @context any; racy unless the caller is the holder */
export function bitLocked(flags: I32, index: number, mask: number): boolean {
  return (Atomics.load(flags, index) & mask) !== 0;
}
