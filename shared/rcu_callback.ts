// SPDX-License-Identifier: MIT
/**
 * callRcu: run a function after a grace period, without waiting for it.
 *
 * Functions do not cross threads, so a callback is a registered function id and one i32. Every
 * thread has a bounded queue in the arena that it alone fills; the rcu_gp thread empties them all,
 * pass by pass: note how far each queue reaches, wait for a grace period, run what was noted.
 *
 *   queue of a thread    free-running i32 counts, entry = count mod entries
 *   tail .. head-1       queued; the pass owner runs them in order and moves tail past each
 *   head - tail = size   full: callRcu waits for a grace period itself and runs the function inline
 *
 * Guarantees: (A) a function runs after a grace period that began after callRcu was called; (B)
 * those of one thread run in order, but one that found the queue full runs before those still
 * queued;
 * (C) rcuBarrier returns when all that was queued before it has run.
 * Progress: callRcu is wait-free unless the queue is full.
 */
import { assert, bug } from './assert.ts';
import { PARK_CHECK_MS, THREADS_MAX } from './limits.ts';
import { rcuDomain, synchronizeRcu } from './rcu.ts';
import {
  RCU_NR_ROWS,
  RCU_PASS_OWNER,
  rcuMightSleep,
  rcuQuiescent,
  rcuReadHeld,
} from './rcu_state.ts';
import { RCU_CALLBACKS_MAX, RCU_DONE, RCU_WORK, type RcuTable } from './rcu_table.ts';
import { self, threadAlive, WAIT_RCU } from './thread.ts';
import { LINE_WORDS } from './types.ts';
import { WAKE_ALL, waitFinish, waitPrepare, waitSleep, waitUntil, wakeUp } from './wait_queue.ts';

/** Runs after a grace period. Must not sleep on RCU (no synchronizeRcu, no rcuBarrier). */
export type RcuCallback = (arg: number) => void;

const callbacks: (RcuCallback | null)[] = new Array(RCU_CALLBACKS_MAX).fill(null);
const noted = new Int32Array(THREADS_MAX);

/**
 * Registers what `fnId` means. Every thread that queues or runs callbacks registers the same table.
 * @param fnId 0 .. RCU_CALLBACKS_MAX-1
 * @context once per worker and id, at boot
 */
export function registerRcuCallback(fnId: number, fn: RcuCallback): void {
  assert(fnId >= 0 && fnId < RCU_CALLBACKS_MAX, 'RCU callback id out of range');
  const known = callbacks[fnId];
  assert(known === null || known === fn, 'RCU callback id registered twice');
  callbacks[fnId] = fn;
}

/**
 * Runs callback `fnId` with `arg` after a grace period.
 * @param arg any i32
 * @returns true when queued, false when the queue was full and the function has run already
 * @throws BugError when the queue is full inside a reader
 * @context a registered thread. With a full queue it may park and run the function: do not hold a
 * lock that the function takes
 */
export function callRcu(fnId: number, arg: number): boolean {
  const table = rcuDomain();
  assert(callbacks[fnId] !== null && callbacks[fnId] !== undefined, 'RCU callback id unknown');
  const row = self.id * LINE_WORDS;
  const head = table.head[row] as number;
  if (((head - Atomics.load(table.tail, row)) | 0) >= table.queueEntries) {
    if (rcuReadHeld()) bug('callRcu queue full inside a reader');
    synchronizeRcu();
    runCallback(fnId, arg);
    return false;
  }
  const at = self.id * table.queueEntries + (head & (table.queueEntries - 1));
  table.fn[at] = fnId;
  table.arg[at] = arg;
  Atomics.store(table.head, row, (head + 1) | 0); // PAIRS(rcu-callback): after the entry's words
  wakeUp(table.queues, RCU_WORK);
  return true;
}

/** @returns callbacks queued and not run, of all threads @context any; racy while others queue */
export function rcuCallbacksPending(table: RcuTable): number {
  let pending = 0;
  const nr = Math.min(Atomics.load(table.words, RCU_NR_ROWS), THREADS_MAX);
  for (let id = 1; id < nr; id++) {
    const row = id * LINE_WORDS;
    pending += (Atomics.load(table.head, row) - Atomics.load(table.tail, row)) | 0;
  }
  return pending;
}

/**
 * One pass of the rcu_gp thread: a grace period, then every callback that was queued before it.
 * @returns callbacks run, 0 when none was queued, -1 when another thread is at it
 * @context a registered thread that holds no lock; parks for the grace period
 */
export function rcuGpPass(table: RcuTable): number {
  rcuMightSleep();
  rcuQuiescent(); // a caller that loops on -1 must not hold up the pass that it waits for
  if (!takePass(table)) return -1;
  let ran = 0;
  try {
    if (noteHeads(table)) {
      synchronizeRcu();
      ran = runNoted(table);
    }
  } finally {
    Atomics.store(table.words, RCU_PASS_OWNER, 0); // PAIRS(rcu-pass): before the wake-up
    wakeUp(table.queues, RCU_DONE, WAKE_ALL);
    wakeUp(table.queues, RCU_WORK);
  }
  return ran;
}

/**
 * Sleeps until a callback is queued that no other thread is about to run, or somebody wakes queue
 * RCU_WORK (a stop request does).
 * @param stop tested after every wake-up: true ends the wait
 * @param timeoutMs bound, Infinity for none
 * @returns false when the time ran out
 * @context the rcu_gp thread
 */
export function rcuGpWait(table: RcuTable, stop: () => boolean, timeoutMs = Infinity): boolean {
  const free = () => Atomics.load(table.words, RCU_PASS_OWNER) === 0; // PAIRS(rcu-pass)
  const work = () => stop() || (free() && rcuCallbacksPending(table) > 0);
  return waitUntil(table.queues, RCU_WORK, work, timeoutMs);
}

/**
 * Waits until every callback that any thread queued before has run, running them if nobody else is.
 * @context a registered thread that holds no lock; not from a callback
 */
export function rcuBarrier(): void {
  const table = rcuDomain();
  rcuMightSleep();
  const nr = Math.min(Atomics.load(table.words, RCU_NR_ROWS), THREADS_MAX);
  const target = new Int32Array(nr);
  for (let id = 1; id < nr; id++) target[id] = Atomics.load(table.head, id * LINE_WORDS);
  for (;;) {
    if (reached(table, target)) return;
    if (rcuGpPass(table) >= 0) continue;
    const seq = waitPrepare(table.queues, RCU_DONE);
    // PAIRS(rcu-pass): the owner lets go before it wakes
    if (Atomics.load(table.words, RCU_PASS_OWNER) !== 0) {
      waitSleep(table.queues, RCU_DONE, seq, PARK_CHECK_MS, WAIT_RCU);
    }
    waitFinish(table.queues, RCU_DONE);
  }
}

function reached(table: RcuTable, target: Int32Array): boolean {
  for (let id = 1; id < target.length; id++) {
    const tail = Atomics.load(table.tail, id * LINE_WORDS);
    if (((tail - (target[id] as number)) | 0) < 0) return false;
  }
  return true;
}

/** Makes this thread the only one that runs callbacks. Takes over from a dead one. */
function takePass(table: RcuTable): boolean {
  const owner = Atomics.compareExchange(table.words, RCU_PASS_OWNER, 0, self.id);
  if (owner === 0) return true;
  assert(owner !== self.id, 'rcuGpPass from an RCU callback');
  if (threadAlive(owner)) return false;
  return Atomics.compareExchange(table.words, RCU_PASS_OWNER, owner, self.id) === owner;
}

function noteHeads(table: RcuTable): boolean {
  const nr = Math.min(Atomics.load(table.words, RCU_NR_ROWS), THREADS_MAX);
  noted.fill(0);
  let any = false;
  for (let id = 1; id < nr; id++) {
    const row = id * LINE_WORDS;
    noted[id] = Atomics.load(table.head, row); // PAIRS(rcu-callback): then the entries are readable
    any ||= noted[id] !== Atomics.load(table.tail, row);
  }
  return any;
}

function runNoted(table: RcuTable): number {
  const mask = table.queueEntries - 1;
  const nr = Math.min(Atomics.load(table.words, RCU_NR_ROWS), THREADS_MAX);
  let ran = 0;
  for (let id = 1; id < nr; id++) {
    const row = id * LINE_WORDS;
    let tail = Atomics.load(table.tail, row);
    while (((tail - (noted[id] as number)) | 0) < 0) {
      const at = id * table.queueEntries + (tail & mask);
      runCallback(table.fn[at] as number, table.arg[at] as number);
      tail = (tail + 1) | 0;
      Atomics.store(table.tail, row, tail);
      ran++;
    }
  }
  return ran;
}

function runCallback(fnId: number, arg: number): void {
  const fn = callbacks[fnId] ?? null;
  if (fn === null) bug(`RCU callback ${fnId} is not registered in this thread`);
  fn(arg);
}
