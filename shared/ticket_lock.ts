// SPDX-License-Identifier: MIT
/**
 * Ticket lock: a FIFO spinlock whose queue is a pair of numbers. `fifo_word.ts` has the state table
 * of the word and the bound on passing.
 *
 *   NEXT      ticket that the next to queue draws
 *   SERVING   ticket of the head; SERVING == NEXT when nobody queues
 *   slots     a ticket waits in slot (ticket mod TICKET_SLOTS): a sequence to park on, the number
 *             parked there, and the id of who drew the ticket
 *
 * All members of the queue watch SERVING, one word: simple and small, but every change of head goes
 * to every waiter's cache. With many waiters, prefer the MCS kind.
 *
 * Guarantees: (A) exclusion; (B) what a holder wrote is seen by the next; (C) an unlock by a thread
 * that is not the owner throws and changes nothing; (D) a waiter names a holder, or one before it
 * in the queue, that died, within PARK_CHECK_MS.
 * Progress: blocking; parks after SPIN_LIMIT loads. Fairness: FIFO with bounded passing.
 */
import { cpuRelax } from './cpu_relax.ts';
import {
  FIFO_QUEUE,
  FIFO_WORD,
  fifoBeforePromote,
  fifoCheckAlive,
  fifoHeadTake,
  fifoSpinPass,
  fifoTryTake,
  fifoUnlockSlow,
  QUEUED,
} from './fifo_word.ts';
import { HELD_SPIN, HELD_TRY } from './held_locks.ts';
import { ktimeNs } from './ktime.ts';
import { OWNER_MASK, PARK_CHECK_MS, SPIN_LIMIT } from './limits.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import {
  lockTrace,
  traceAcquire,
  traceAcquired,
  traceContended,
  traceRelease,
} from './lock_trace.ts';
import type { Lockable } from './spinlock.ts';
import { self, WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

const NEXT = FIFO_QUEUE; // @atomic
const SERVING = FIFO_QUEUE + 1; // @atomic written by the holder alone
const SLOTS = FIFO_QUEUE + 2;

/** Waiters up to this number park on words of their own. A power of two. */
const TICKET_SLOTS = 8;
const SLOT_WORDS = 3;
const SLOT_SEQ = 0; // @atomic bumped to wake who parks here
const SLOT_PARKED = 1; // @atomic queue members, not the head, that are parked here
const SLOT_WHO = 2; // @atomic last to draw a ticket of this slot

/** Words of one ticket lock, from its base. */
export const TICKET_LOCK_WORDS = SLOTS + TICKET_SLOTS * SLOT_WORDS;

function slotOf(base: number, ticket: number): number {
  return base + SLOTS + (ticket & (TICKET_SLOTS - 1)) * SLOT_WORDS;
}

/**
 * Takes the lock.
 * @param words view that holds TICKET_LOCK_WORDS words from @param base @param cls lock class
 * @throws BugError when this thread holds it already, or a dead thread is in the way
 * @context may park; the caller must not sleep until it unlocks
 */
export function ticketLock(words: I32, base: number, cls: number): void {
  if (lockTrace.order) traceAcquire(words, base, cls, HELD_SPIN);
  if (Atomics.compareExchange(words, base + FIFO_WORD, 0, self.id) !== 0) {
    ticketWait(words, base, cls);
  }
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_SPIN);
}

function ticketWait(words: I32, base: number, cls: number): void {
  const since = lockTrace.on ? ktimeNs() : 0;
  ticketLockSlow(words, base, cls);
  if (lockTrace.on) traceContended(cls, HELD_SPIN, since);
}

function ticketLockSlow(words: I32, base: number, cls: number): void {
  if (fifoSpinPass(words, base, cls)) return;
  const ticket = Atomics.add(words, base + NEXT, 1);
  const slot = slotOf(base, ticket);
  Atomics.store(words, slot + SLOT_WHO, self.id);
  Atomics.or(words, base + FIFO_WORD, QUEUED);
  if (Atomics.load(words, base + SERVING) !== ticket) awaitHead(words, base, cls, ticket);
  fifoHeadTake(words, base, cls, words, slot + SLOT_SEQ);
  promoteNext(words, base, ticket);
}

/** Waits in the queue until SERVING is `ticket`. */
function awaitHead(words: I32, base: number, cls: number, ticket: number): void {
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if (Atomics.load(words, base + SERVING) === ticket) return;
    cpuRelax();
  }
  const slot = slotOf(base, ticket);
  Atomics.add(words, slot + SLOT_PARKED, 1); // PAIRS(ticket-park): before SERVING is read
  let stuckAt = (ticket + 1) | 0; // a ticket that SERVING cannot be yet
  parkBegin(WAIT_LOCK, cls, true);
  try {
    for (;;) {
      const seq = Atomics.load(words, slot + SLOT_SEQ);
      const serving = Atomics.load(words, base + SERVING);
      if (serving === ticket) return;
      if (Atomics.wait(words, slot + SLOT_SEQ, seq, PARK_CHECK_MS) !== 'timed-out') continue;
      // the head's id is stored after its ticket is drawn: believe it once nothing moved for a
      // while
      const head = Atomics.load(words, slotOf(base, serving) + SLOT_WHO);
      const moved = (): boolean => Atomics.load(words, base + SERVING) !== serving;
      fifoCheckAlive(words, base, cls, serving === stuckAt ? head : 0, moved);
      stuckAt = serving;
    }
  } finally {
    parkEnd();
    Atomics.sub(words, slot + SLOT_PARKED, 1);
  }
}

/** The head has the lock: the next in the queue becomes head, or the queue is empty. */
function promoteNext(words: I32, base: number, ticket: number): void {
  const next = (ticket + 1) | 0;
  if (Atomics.load(words, base + NEXT) === next) {
    Atomics.and(words, base + FIFO_WORD, ~QUEUED);
    Atomics.store(words, base + SERVING, next);
    if (Atomics.load(words, base + NEXT) === next) return;
    Atomics.or(words, base + FIFO_WORD, QUEUED); // somebody drew a ticket meanwhile
  } else {
    const asleep = Atomics.load(words, slotOf(base, next) + SLOT_PARKED) !== 0;
    fifoBeforePromote(words, base, asleep);
    Atomics.store(words, base + SERVING, next); // PAIRS(ticket-park): before SLOT_PARKED is read
  }
  const slot = slotOf(base, next);
  if (Atomics.load(words, slot + SLOT_PARKED) !== 0) wakeSlot(words, slot);
}

function wakeSlot(words: I32, slot: number): void {
  Atomics.add(words, slot + SLOT_SEQ, 1); // PAIRS(fifo-head): after the word or SERVING changed
  Atomics.notify(words, slot + SLOT_SEQ);
}

/** @returns false when it is held or its queue's head is awake @context never parks */
export function ticketTryLock(words: I32, base: number, cls: number): boolean {
  if (!fifoTryTake(words, base)) return false;
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_SPIN | HELD_TRY);
  return true;
}

/** @throws BugError naming class and owner when this thread does not own it @context never parks */
export function ticketUnlock(words: I32, base: number, cls: number): void {
  if (lockTrace.on) traceRelease(words, base, cls, 0);
  const me = self.id;
  const seen = Atomics.compareExchange(words, base + FIFO_WORD, me, 0);
  if (seen !== me && fifoUnlockSlow(words, base, cls, seen)) {
    wakeSlot(words, slotOf(base, Atomics.load(words, base + SERVING)));
  }
}

/** @returns true when this thread holds the lock @context any */
export function ticketHeld(words: I32, base: number): boolean {
  return (Atomics.load(words, base + FIFO_WORD) & OWNER_MASK) === self.id;
}

/** A handle on a ticket lock; holds no state of its own. */
export class TicketLock implements Lockable {
  readonly words: I32;
  readonly base: number;
  readonly cls: number;

  constructor(words: I32, base: number, cls = 0) {
    this.words = words;
    this.base = base;
    this.cls = cls;
  }

  lock(): void {
    ticketLock(this.words, this.base, this.cls);
  }

  tryLock(): boolean {
    return ticketTryLock(this.words, this.base, this.cls);
  }

  unlock(): void {
    ticketUnlock(this.words, this.base, this.cls);
  }

  get held(): boolean {
    return ticketHeld(this.words, this.base);
  }
}
