// SPDX-License-Identifier: MIT
/**
 * Read-write semaphore: many readers or one writer, any of whom may sleep while holding it.
 *
 * RWSEM_WORDS words: the state, and one sequence number for each side to park on. The state:
 *
 *   bit 31   30..24            23..17            16       15..0
 *   phase    writers waiting   readers waiting   WRITER   owner id if WRITER, else readers in
 *
 *   holder             downRead              tryRead   downWrite    tryWrite
 *   none, no waiters   in                    true      owner        true
 *   none, writers wait wait for a grant      false     owner        true
 *   readers            in, or wait when a    same      wait         false
 *                      writer waits
 *   writer             wait for a grant      false     wait         false
 *
 * Neither side starves the other: a reader that comes while a writer waits does not enter, and a
 * writer that leaves lets in, at once, all readers that were waiting then ("grant": the waiting
 * count becomes the readers' count and the phase bit flips, in one compare-and-swap, so a waiting
 * reader knows by the phase bit that it is in). A grant cannot be followed by another before every
 * granted reader has left, so one bit is enough.
 *
 * Guarantees: (A) exclusion; (B) what a writer wrote is seen by the next holders; (C) a reader
 * waits for at most the readers inside, one writer's turn at the lock and its section, once a
 * writer waits; (D) an unlock of a side that is not held throws; (E) a waiter names a dead writer,
 * and in a machine a dead reader, within PARK_CHECK_MS. Among writers there is no order: a running
 * one may pass.
 * Progress: blocking; everybody parks after SPIN_LIMIT loads. Readers do not nest: a second
 * downRead by the same thread can deadlock with a writer that came between.
 */
import { assert, bug } from './assert.ts';
import { cpuRelax } from './cpu_relax.ts';
import { deadHolder, HELD_READ, HELD_TRY, heldPop, heldPush, lockAddress } from './held_locks.ts';
import { ktimeNs } from './ktime.ts';
import { OWNER_BITS, OWNER_MASK, PARK_CHECK_MS, SPIN_LIMIT, THREADS_MAX } from './limits.ts';
import {
  checkOwnerAlive,
  deadHolderBug,
  lockClassName,
  selfDeadlock,
  threadLabel,
  unlockMisuse,
} from './lock_class.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import {
  lockTrace,
  traceAcquire,
  traceAcquired,
  traceContended,
  traceRelease,
} from './lock_trace.ts';
import { self, WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

/** Words of one rwsem. Give a busy one its own LINE_WORDS. */
export const RWSEM_WORDS = 3;

const STATE = 0; // @atomic the state word drawn above
const READ_SEQ = 1; // @atomic bumped at every grant; waiting readers park on it
const WRITE_SEQ = 2; // @atomic bumped when a writer may try again; waiting writers park on it

const WRITER = 1 << OWNER_BITS;
const WAIT_BITS = 7;
const READERS_SHIFT = OWNER_BITS + 1;
const READER_WAITS = 1 << READERS_SHIFT;
const READERS_WAIT_MASK = ((1 << WAIT_BITS) - 1) << READERS_SHIFT;
const WRITERS_SHIFT = READERS_SHIFT + WAIT_BITS;
const WRITER_WAITS = 1 << WRITERS_SHIFT;
const WRITERS_WAIT_MASK = ((1 << WAIT_BITS) - 1) << WRITERS_SHIFT;
const PHASE = 1 << 31;

assert(WRITERS_SHIFT + WAIT_BITS === 31, 'the rwsem state fills its word');
assert(THREADS_MAX - 1 <= (1 << WAIT_BITS) - 1, 'every thread can wait at once');

/** No writer inside and none waiting. */
const CLOSED_TO_READERS = WRITER | WRITERS_WAIT_MASK;
/** Anybody inside. */
const OCCUPIED = WRITER | OWNER_MASK;

/**
 * Takes the read side.
 * @param words view that holds the RWSEM_WORDS words from `base` @param cls lock class
 * @throws BugError when this thread holds the write side, or a dead thread holds the lock
 * @context may park: not under a spinlock, not inside an RCU reader
 */
export function rwsemDownRead(words: I32, base: number, cls: number): void {
  if (lockTrace.order) traceAcquire(words, base, cls, HELD_READ);
  // kreclaim-racy: a guess; the compare-and-swap decides
  const seen = words[base + STATE] as number;
  if (
    (seen & CLOSED_TO_READERS) !== 0 ||
    Atomics.compareExchange(words, base + STATE, seen, seen + 1) !== seen
  ) {
    const since = lockTrace.on ? ktimeNs() : 0;
    downReadSlow(words, base, cls);
    if (lockTrace.on) traceContended(cls, HELD_READ, since);
  }
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_READ);
  else heldPush(lockAddress(words, base), cls | HELD_READ);
}

function downReadSlow(words: I32, base: number, cls: number): void {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    const seen = Atomics.load(words, base + STATE);
    if ((seen & CLOSED_TO_READERS) === 0) {
      if (Atomics.compareExchange(words, base + STATE, seen, seen + 1) === seen) return;
    } else if (ownedBySelf(seen)) selfDeadlock(cls);
    cpuRelax();
  }
  const phase = joinReaders(words, base);
  if (phase !== ENTERED) awaitGrant(words, base, cls, phase);
}

/** What `joinReaders` says when nobody kept it out: no value of the phase bit. */
const ENTERED = 1;

/** Enters, or is counted among those that wait. @returns ENTERED, or the phase that it waits in */
function joinReaders(words: I32, base: number): number {
  for (;;) {
    const seen = Atomics.load(words, base + STATE);
    const open = (seen & CLOSED_TO_READERS) === 0;
    const next = (seen + (open ? 1 : READER_WAITS)) | 0;
    if (Atomics.compareExchange(words, base + STATE, seen, next) !== seen) continue;
    return open ? ENTERED : seen & PHASE;
  }
}

/**
 * Takes the read side, unless that takes too long.
 * @param timeoutMs bound of the wait, 0 or more
 * @returns false when the time ran out: the lock is not held then
 * @throws BugError when this thread holds the write side, or a dead thread holds the lock
 * @context may park: not under a spinlock, not inside an RCU reader
 */
export function rwsemDownReadTimeout(
  words: I32,
  base: number,
  cls: number,
  timeoutMs: number,
): boolean {
  if (lockTrace.order) traceAcquire(words, base, cls, HELD_READ);
  if (ownedBySelf(Atomics.load(words, base + STATE))) selfDeadlock(cls);
  const since = ktimeNs();
  const phase = joinReaders(words, base);
  if (phase !== ENTERED) {
    if (!awaitGrantUntil(words, base, cls, phase, since + timeoutMs * 1e6)) return false;
    if (lockTrace.on) traceContended(cls, HELD_READ, since);
  }
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_READ);
  else heldPush(lockAddress(words, base), cls | HELD_READ);
  return true;
}

/** As awaitGrant, until a time. @returns false when this thread waits no longer */
function awaitGrantUntil(
  words: I32,
  base: number,
  cls: number,
  phase: number,
  untilNs: number,
): boolean {
  parkBegin(WAIT_LOCK, cls);
  try {
    for (;;) {
      const seq = Atomics.load(words, base + READ_SEQ); // PAIRS(rwsem-grant): before the state
      const seen = Atomics.load(words, base + STATE);
      if ((seen & PHASE) !== phase) return true;
      const leftMs = (untilNs - ktimeNs()) / 1e6;
      if (leftMs <= 0) {
        // A grant that came between shows in the state: then this thread is in.
        const left = (seen - READER_WAITS) | 0;
        if (Atomics.compareExchange(words, base + STATE, seen, left) === seen) return false;
        continue;
      }
      const whole = leftMs > PARK_CHECK_MS;
      const waitMs = whole ? PARK_CHECK_MS : leftMs;
      const slept = Atomics.wait(words, base + READ_SEQ, seq, waitMs);
      if (whole && slept === 'timed-out') checkHolders(words, base, cls);
    }
  } finally {
    parkEnd();
  }
}

/** Waits until the phase bit differs from `phase`: this thread is then counted as a reader. */
function awaitGrant(words: I32, base: number, cls: number, phase: number): void {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if ((Atomics.load(words, base + STATE) & PHASE) !== phase) return;
    cpuRelax();
  }
  parkBegin(WAIT_LOCK, cls);
  try {
    for (;;) {
      const seq = Atomics.load(words, base + READ_SEQ); // PAIRS(rwsem-grant): before the state
      const seen = Atomics.load(words, base + STATE);
      if ((seen & PHASE) !== phase) return;
      if (Atomics.wait(words, base + READ_SEQ, seq, PARK_CHECK_MS) === 'timed-out') {
        checkHolders(words, base, cls);
      }
    }
  } finally {
    parkEnd();
  }
}

/** @returns false when a writer holds or waits @context never parks */
export function rwsemTryRead(words: I32, base: number, cls: number): boolean {
  // kreclaim-racy: a guess; the compare-and-swap decides
  let seen = words[base + STATE] as number;
  for (;;) {
    if ((seen & CLOSED_TO_READERS) !== 0) {
      seen = Atomics.load(words, base + STATE);
      if ((seen & CLOSED_TO_READERS) !== 0) return false;
    }
    const was = Atomics.compareExchange(words, base + STATE, seen, seen + 1);
    if (was === seen) break;
    seen = was;
  }
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_READ | HELD_TRY);
  else heldPush(lockAddress(words, base), cls | HELD_READ);
  return true;
}

/** @throws BugError when nobody holds the read side @context never parks */
export function rwsemUpRead(words: I32, base: number, cls: number): void {
  if (lockTrace.on) traceRelease(words, base, cls, HELD_READ);
  else heldPop(lockAddress(words, base));
  const seen = Atomics.sub(words, base + STATE, 1);
  if ((seen & WRITER) !== 0 || (seen & OWNER_MASK) === 0) {
    Atomics.add(words, base + STATE, 1);
    bug(
      `read unlock of ${lockClassName(cls)} by ${threadLabel(self.id)}: it is ` +
        ((seen & WRITER) !== 0 ? `held for writing by ${threadLabel(seen & OWNER_MASK)}` : 'free'),
    );
  }
  if ((seen & OWNER_MASK) === 1 && (seen & WRITERS_WAIT_MASK) !== 0) wakeWriter(words, base);
}

/**
 * Takes the write side.
 * @throws BugError when this thread holds it already, or a dead thread holds the lock
 * @context may park: not under a spinlock, not inside an RCU reader
 */
export function rwsemDownWrite(words: I32, base: number, cls: number): void {
  if (lockTrace.order) traceAcquire(words, base, cls, 0);
  // kreclaim-racy: a guess; the compare-and-swap decides
  const seen = words[base + STATE] as number;
  if (
    (seen & ~PHASE) !== 0 ||
    Atomics.compareExchange(words, base + STATE, seen, seen | WRITER | self.id) !== seen
  ) {
    const since = lockTrace.on ? ktimeNs() : 0;
    downWriteSlow(words, base, cls);
    if (lockTrace.on) traceContended(cls, 0, since);
  }
  if (lockTrace.on) traceAcquired(words, base, cls, 0);
}

function downWriteSlow(words: I32, base: number, cls: number): void {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if (tryWrite(words, base)) return;
    if (ownedBySelf(Atomics.load(words, base + STATE))) selfDeadlock(cls);
    cpuRelax();
  }
  Atomics.add(words, base + STATE, WRITER_WAITS);
  parkBegin(WAIT_LOCK, cls);
  try {
    for (;;) {
      const seq = Atomics.load(words, base + WRITE_SEQ); // PAIRS(rwsem-writer): before the state
      const seen = Atomics.load(words, base + STATE);
      if ((seen & OCCUPIED) === 0) {
        const next = (seen - WRITER_WAITS) | WRITER | self.id;
        if (Atomics.compareExchange(words, base + STATE, seen, next) === seen) return;
      } else if (Atomics.wait(words, base + WRITE_SEQ, seq, PARK_CHECK_MS) === 'timed-out') {
        checkHolders(words, base, cls);
      }
    }
  } finally {
    parkEnd();
  }
}

function tryWrite(words: I32, base: number): boolean {
  const seen = Atomics.load(words, base + STATE);
  if ((seen & OCCUPIED) !== 0) return false;
  return Atomics.compareExchange(words, base + STATE, seen, seen | WRITER | self.id) === seen;
}

/** @returns false when anybody holds either side @context never parks */
export function rwsemTryWrite(words: I32, base: number, cls: number): boolean {
  let seen = Atomics.load(words, base + STATE);
  for (;;) {
    if ((seen & OCCUPIED) !== 0) return false;
    const was = Atomics.compareExchange(words, base + STATE, seen, seen | WRITER | self.id);
    if (was === seen) break;
    seen = was;
  }
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_TRY);
  return true;
}

/**
 * Releases the write side; readers that wait are let in, else one waiting writer may try.
 * @throws BugError naming class and owner when this thread does not own it
 * @context never parks
 */
export function rwsemUpWrite(words: I32, base: number, cls: number): void {
  if (lockTrace.on) traceRelease(words, base, cls, 0);
  // kreclaim-racy: a guess, as in downWrite
  const guess = ((words[base + STATE] as number) & PHASE) | WRITER | self.id;
  if (Atomics.compareExchange(words, base + STATE, guess, guess & PHASE) !== guess) {
    upWriteSlow(words, base, cls);
  }
}

function upWriteSlow(words: I32, base: number, cls: number): void {
  for (;;) {
    const seen = Atomics.load(words, base + STATE);
    if (!ownedBySelf(seen)) {
      unlockMisuse(cls, (seen & WRITER) !== 0 ? seen & OWNER_MASK : 0);
    }
    const readers = (seen & READERS_WAIT_MASK) >>> READERS_SHIFT;
    const writers = seen & WRITERS_WAIT_MASK;
    const phase = readers > 0 ? (seen ^ PHASE) & PHASE : seen & PHASE;
    if (Atomics.compareExchange(words, base + STATE, seen, phase | writers | readers) !== seen) {
      continue;
    }
    if (readers > 0) {
      Atomics.add(words, base + READ_SEQ, 1); // PAIRS(rwsem-grant): after the phase flipped
      Atomics.notify(words, base + READ_SEQ);
    } else if (writers !== 0) wakeWriter(words, base);
    return;
  }
}

/**
 * Turns the write side into a read side without letting another writer in between.
 * @throws BugError when this thread does not own the write side
 * @context never parks
 */
export function rwsemDowngrade(words: I32, base: number, cls: number): void {
  for (;;) {
    const seen = Atomics.load(words, base + STATE);
    if (!ownedBySelf(seen)) unlockMisuse(cls, (seen & WRITER) !== 0 ? seen & OWNER_MASK : 0);
    const readers = (seen & READERS_WAIT_MASK) >>> READERS_SHIFT;
    const phase = readers > 0 ? (seen ^ PHASE) & PHASE : seen & PHASE;
    const next = phase | (seen & WRITERS_WAIT_MASK) | (readers + 1);
    if (Atomics.compareExchange(words, base + STATE, seen, next) !== seen) continue;
    if (readers > 0) {
      Atomics.add(words, base + READ_SEQ, 1);
      Atomics.notify(words, base + READ_SEQ);
    }
    if (lockTrace.on) {
      traceRelease(words, base, cls, 0);
      traceAcquired(words, base, cls, HELD_READ);
    } else heldPush(lockAddress(words, base), cls | HELD_READ);
    return;
  }
}

function wakeWriter(words: I32, base: number): void {
  Atomics.add(words, base + WRITE_SEQ, 1); // PAIRS(rwsem-writer): after the state was freed
  Atomics.notify(words, base + WRITE_SEQ, 1);
}

function ownedBySelf(state: number): boolean {
  return (state & OCCUPIED) === (WRITER | self.id);
}

/** After PARK_CHECK_MS without progress: throws when who we wait for is gone. */
function checkHolders(words: I32, base: number, cls: number): void {
  const seen = Atomics.load(words, base + STATE);
  if ((seen & WRITER) !== 0) {
    checkOwnerAlive(words, base + STATE, cls);
    return;
  }
  const dead = deadHolder(lockAddress(words, base), cls);
  if (dead !== 0) deadHolderBug(cls, dead);
}

/** @returns true when this thread holds the write side @context any */
export function rwsemWriteHeld(words: I32, base: number): boolean {
  return ownedBySelf(Atomics.load(words, base + STATE));
}

/** @returns true when anybody holds either side @context any; racy unless the caller does */
export function rwsemLocked(words: I32, base: number): boolean {
  return (Atomics.load(words, base + STATE) & OCCUPIED) !== 0;
}

/** @returns true when a thread waits for either side @context any; a hint */
export function rwsemContended(words: I32, base: number): boolean {
  return (Atomics.load(words, base + STATE) & (READERS_WAIT_MASK | WRITERS_WAIT_MASK)) !== 0;
}

/** A handle on a read-write semaphore; holds no state of its own. */
export class RwSem {
  readonly words: I32;
  readonly base: number;
  readonly cls: number;

  constructor(words: I32, base: number, cls = 0) {
    this.words = words;
    this.base = base;
    this.cls = cls;
  }

  downRead(): void {
    rwsemDownRead(this.words, this.base, this.cls);
  }

  tryRead(): boolean {
    return rwsemTryRead(this.words, this.base, this.cls);
  }

  upRead(): void {
    rwsemUpRead(this.words, this.base, this.cls);
  }

  downWrite(): void {
    rwsemDownWrite(this.words, this.base, this.cls);
  }

  tryWrite(): boolean {
    return rwsemTryWrite(this.words, this.base, this.cls);
  }

  upWrite(): void {
    rwsemUpWrite(this.words, this.base, this.cls);
  }

  downgrade(): void {
    rwsemDowngrade(this.words, this.base, this.cls);
  }

  get writeHeld(): boolean {
    return rwsemWriteHeld(this.words, this.base);
  }
}
