// SPDX-License-Identifier: MIT
/**
 * MCS lock: a FIFO spinlock whose queue is a list of per-thread nodes, so that each waiter spins on
 * a line of its own. `fifo_word.ts` has the state table of the word and the bound on passing.
 *
 * A thread waits for one lock at a time, and a node is in use only while its thread waits, so one
 * node per thread serves all MCS locks of a domain. The nodes are a table of their own
 * (`declareMcsNodes`), given with every call, and their row is `self.id`.
 *
 *   node        NEXT   id of the waiter behind, 0 while unknown
 *               STATE  WAITING: not the head        HEAD: first in the queue
 *               SEQ    bumped to wake the thread; it parks here
 *               PARKED 1 while it is parked as WAITING
 *
 *   lock (slow) prev = swap(TAIL, me)      0: I am the head      else: NEXT of prev = me, wait
 *   has it      NEXT known: it becomes HEAD      else swap TAIL me -> 0, or wait for NEXT
 *
 * Guarantees: (A) exclusion; (B) what a holder wrote is seen by the next; (C) an unlock by a thread
 * that is not the owner throws and changes nothing; (D) a waiter names a holder, or its predecessor
 * in the queue, that died, within PARK_CHECK_MS.
 * Progress: blocking; parks after SPIN_LIMIT loads. Fairness: FIFO with bounded passing.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
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
import { OWNER_MASK, PARK_CHECK_MS, SPIN_LIMIT, THREADS_MAX } from './limits.ts';
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
import { type I32, LINE_WORDS } from './types.ts';

const TAIL = FIFO_QUEUE; // @atomic id of the last in the queue, 0 when nobody queues
const HEAD_ID = FIFO_QUEUE + 1; // @atomic id of the head, for the unlocker; stale once it has it

/** Words of one MCS lock, from its base. */
export const MCS_LOCK_WORDS = FIFO_QUEUE + 2;

const NODE_NEXT = 0; // @atomic
const NODE_STATE = 1; // @atomic
const NODE_SEQ = 2; // @atomic
const NODE_PARKED = 3; // @atomic

/** NODE_NEXT of a thread that has the lock and sleeps until its successor links itself. */
const LINK_AWAITED = -1;

const WAITING = 0;
const HEAD = 1;

/** Words of a node table for thread ids below `threads`. */
export function mcsNodeWords(threads: number): number {
  return threads * LINE_WORDS;
}

/** Declares the node table of a domain. Pure, as the arena asks. */
export function declareMcsNodes(builder: ArenaBuilder): I32 {
  const words = mcsNodeWords(THREADS_MAX);
  return builder.columns('mcs.node', { node: 'i32' /* @atomic by its row's lock */ }, words).node;
}

/**
 * Takes the lock.
 * @param words view that holds MCS_LOCK_WORDS words from @param base
 * @param nodes the domain's node table @param cls lock class
 * @throws BugError when this thread holds it already, or a dead thread is in the way
 * @context may park; the caller must not sleep until it unlocks
 */
export function mcsLock(words: I32, base: number, nodes: I32, cls: number): void {
  if (lockTrace.order) traceAcquire(words, base, cls, HELD_SPIN);
  if (Atomics.compareExchange(words, base + FIFO_WORD, 0, self.id) !== 0) {
    mcsWait(words, base, nodes, cls);
  }
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_SPIN);
}

function mcsWait(words: I32, base: number, nodes: I32, cls: number): void {
  const since = lockTrace.on ? ktimeNs() : 0;
  mcsLockSlow(words, base, nodes, cls);
  if (lockTrace.on) traceContended(cls, HELD_SPIN, since);
}

function mcsLockSlow(words: I32, base: number, nodes: I32, cls: number): void {
  if (fifoSpinPass(words, base, cls)) return;
  const node = self.id * LINE_WORDS;
  assert(node < nodes.length, 'thread id beyond the MCS node table');
  Atomics.store(nodes, node + NODE_NEXT, 0);
  Atomics.store(nodes, node + NODE_STATE, WAITING);
  const before = Atomics.exchange(words, base + TAIL, self.id);
  if (before === 0) {
    Atomics.store(words, base + HEAD_ID, self.id);
    Atomics.or(words, base + FIFO_WORD, QUEUED);
  } else {
    const link = before * LINE_WORDS + NODE_NEXT;
    // PAIRS(mcs-link): the predecessor may be parked until it knows us
    if (Atomics.exchange(nodes, link, self.id) === LINK_AWAITED) Atomics.notify(nodes, link);
    awaitHead(words, base, nodes, cls, before);
  }
  fifoHeadTake(words, base, cls, nodes, node + NODE_SEQ);
  promoteNext(words, base, nodes, cls);
}

/** Waits in the queue until the predecessor makes this thread the head. */
function awaitHead(words: I32, base: number, nodes: I32, cls: number, before: number): void {
  const node = self.id * LINE_WORDS;
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    if (Atomics.load(nodes, node + NODE_STATE) === HEAD) return;
    cpuRelax();
  }
  Atomics.store(nodes, node + NODE_PARKED, 1); // PAIRS(mcs-park): before STATE is read
  parkBegin(WAIT_LOCK, cls, true);
  try {
    for (;;) {
      const seq = Atomics.load(nodes, node + NODE_SEQ);
      if (Atomics.load(nodes, node + NODE_STATE) === HEAD) return;
      if (Atomics.wait(nodes, node + NODE_SEQ, seq, PARK_CHECK_MS) === 'timed-out') {
        if (Atomics.load(nodes, node + NODE_STATE) === HEAD) return;
        const moved = (): boolean => Atomics.load(nodes, node + NODE_STATE) === HEAD;
        fifoCheckAlive(words, base, cls, before, moved);
      }
    }
  } finally {
    parkEnd();
    Atomics.store(nodes, node + NODE_PARKED, 0);
  }
}

/**
 * Waits for the one that swapped TAIL after this thread to say who it is. Bounded by its progress.
 */
function awaitLink(words: I32, base: number, nodes: I32, cls: number): number {
  const link = self.id * LINE_WORDS + NODE_NEXT;
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    const next = Atomics.load(nodes, link);
    if (next !== 0) return next;
    cpuRelax();
  }
  parkBegin(WAIT_LOCK, cls, true);
  try {
    Atomics.compareExchange(nodes, link, 0, LINK_AWAITED); // PAIRS(mcs-link): it notifies then
    for (;;) {
      const next = Atomics.load(nodes, link);
      if (next > 0) return next;
      if (Atomics.wait(nodes, link, LINK_AWAITED, PARK_CHECK_MS) === 'timed-out') {
        const moved = (): boolean => Atomics.load(nodes, link) > 0;
        fifoCheckAlive(words, base, cls, Atomics.load(words, base + TAIL), moved);
      }
    }
  } finally {
    parkEnd();
  }
}

/** The head has the lock: the next in the queue becomes head, or the queue is empty. */
function promoteNext(words: I32, base: number, nodes: I32, cls: number): void {
  const node = self.id * LINE_WORDS;
  let next = Atomics.load(nodes, node + NODE_NEXT);
  if (next === 0) {
    // QUEUED goes before TAIL: whoever finds TAIL empty after us sets it again
    Atomics.and(words, base + FIFO_WORD, ~QUEUED);
    if (Atomics.compareExchange(words, base + TAIL, self.id, 0) === self.id) return;
    Atomics.or(words, base + FIFO_WORD, QUEUED);
    next = awaitLink(words, base, nodes, cls);
  }
  const its = next * LINE_WORDS;
  const asleep = Atomics.load(nodes, its + NODE_PARKED) !== 0;
  fifoBeforePromote(words, base, asleep);
  Atomics.store(words, base + HEAD_ID, next);
  Atomics.store(nodes, its + NODE_STATE, HEAD); // PAIRS(mcs-park): before PARKED is read
  if (asleep || Atomics.load(nodes, its + NODE_PARKED) !== 0) wakeNode(nodes, next);
}

function wakeNode(nodes: I32, id: number): void {
  const seq = id * LINE_WORDS + NODE_SEQ;
  Atomics.add(nodes, seq, 1); // PAIRS(fifo-head): after the word or STATE changed
  Atomics.notify(nodes, seq);
}

/** @returns false when it is held or its queue's head is awake @context never parks */
export function mcsTryLock(words: I32, base: number, cls: number): boolean {
  if (!fifoTryTake(words, base)) return false;
  if (lockTrace.on) traceAcquired(words, base, cls, HELD_SPIN | HELD_TRY);
  return true;
}

/** @throws BugError naming class and owner when this thread does not own it @context never parks */
export function mcsUnlock(words: I32, base: number, nodes: I32, cls: number): void {
  if (lockTrace.on) traceRelease(words, base, cls, 0);
  const me = self.id;
  const seen = Atomics.compareExchange(words, base + FIFO_WORD, me, 0);
  if (seen !== me && fifoUnlockSlow(words, base, cls, seen)) {
    wakeNode(nodes, Atomics.load(words, base + HEAD_ID));
  }
}

/** @returns true when this thread holds the lock @context any */
export function mcsHeld(words: I32, base: number): boolean {
  return (Atomics.load(words, base + FIFO_WORD) & OWNER_MASK) === self.id;
}

/** A handle on an MCS lock; holds no state of its own. */
export class McsLock implements Lockable {
  readonly words: I32;
  readonly base: number;
  readonly nodes: I32;
  readonly cls: number;

  constructor(words: I32, base: number, nodes: I32, cls = 0) {
    this.words = words;
    this.base = base;
    this.nodes = nodes;
    this.cls = cls;
  }

  lock(): void {
    mcsLock(this.words, this.base, this.nodes, this.cls);
  }

  tryLock(): boolean {
    return mcsTryLock(this.words, this.base, this.cls);
  }

  unlock(): void {
    mcsUnlock(this.words, this.base, this.nodes, this.cls);
  }

  get held(): boolean {
    return mcsHeld(this.words, this.base);
  }
}
