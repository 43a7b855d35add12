// SPDX-License-Identifier: MIT
/**
 * The operations that a schedule is made of, and which of them commute.
 *
 * A step of an execution is one operation and the thread's own code up to its next one. Two steps
 * of two threads are *dependent* when their order can matter:
 *
 *            load   store  rmw/cas  wait   notify  idle notify  other
 *   load      -      x       x       -       -          -
 *   store     x      x       x       x       -          -
 *   rmw/cas   x      x       x       x       -          -
 *   wait      -      x       x       x       x          x
 *   notify    -      -       -       x       x          x
 *   idle n.   -      -       -       x       x          -
 *
 * for overlapping locations only. `wait` reads its word and joins the word's queue in one step, so
 * it depends on stores, on `notify` and on other waits of the word, whose order in the queue it
 * decides. Once it has executed, an operation is what it came to (`effect`): a store or a
 * compare-and-swap that changed nothing is a load, a notify that found nobody is idle. A wait stays
 * one though it did not block: a step that commutes with a notify can decide whether it does.
 * Whoever reasons about an execution must use the one or the other throughout: a search that turns
 * races round by effects, and lets threads sleep by kinds, misses executions.
 *
 * The call and the return of a recorded operation are steps of their own, dependent on each other:
 * a history says which operation had returned before which other was called.
 */

export const OP_NONE = 0;
/** The thread function is about to begin. */
export const OP_START = 1;
export const OP_LOAD = 2;
export const OP_STORE = 3;
/** add, and, exchange, or, sub, xor. */
export const OP_RMW = 4;
export const OP_CAS = 5;
export const OP_WAIT = 6;
/** A wait that was notified, or timed out, returns. */
export const OP_RESUME = 7;
export const OP_NOTIFY = 8;
/** `Atomics.pause`, and `cpuRelax` with it. */
export const OP_RELAX = 9;
/** A clock was read. */
export const OP_CLOCK = 10;
export const OP_PLAIN_READ = 11;
export const OP_PLAIN_WRITE = 12;
/** Nothing but a place where the thread may be switched. */
export const OP_YIELD = 13;
/** A wait with a time-out is chosen to time out while others could run. */
export const OP_TIMEOUT = 14;
/** A recorded operation is called. */
export const OP_CALL = 15;
/** A recorded operation has returned. */
export const OP_RETURN = 16;
/** What a notify that woke nobody comes to. */
export const OP_NOTIFY_IDLE = 17;
export const OP_KINDS = 18;

/** Operation names, by OP_*, as listings show them. */
export const OP_NAMES: readonly string[] = [
  'none',
  'start',
  'load',
  'store',
  'rmw',
  'compareExchange',
  'wait',
  'resume',
  'notify',
  'pause',
  'clock',
  'read',
  'write',
  'yield',
  'timeout',
  'call',
  'return',
  'notify',
];

const READS = 1;
const WRITES = 2;
const QUEUE = 4;
const CALLS = 8;
const RETURNS = 16;
const SEES_QUEUE = 32;
const CLASS = new Uint8Array(OP_KINDS);
CLASS[OP_LOAD] = READS;
CLASS[OP_STORE] = WRITES;
CLASS[OP_RMW] = READS | WRITES;
CLASS[OP_CAS] = READS | WRITES;
CLASS[OP_WAIT] = READS | QUEUE | SEES_QUEUE;
CLASS[OP_NOTIFY] = QUEUE | SEES_QUEUE;
CLASS[OP_NOTIFY_IDLE] = SEES_QUEUE;
CLASS[OP_TIMEOUT] = QUEUE | SEES_QUEUE;
CLASS[OP_PLAIN_READ] = READS;
CLASS[OP_PLAIN_WRITE] = WRITES;
CLASS[OP_CALL] = CALLS;
CLASS[OP_RETURN] = RETURNS;

/** @returns true when the order of the operation and of some other can matter */
export function opTouches(kind: number): boolean {
  return CLASS[kind] !== 0;
}

/**
 * What an operation came to, as a kind that depends on no more than it must.
 * @param changed it changed memory @param aux the log's word for it
 */
export function effect(kind: number, changed: boolean, aux: number): number {
  if (kind === OP_NOTIFY) return aux === 0 ? OP_NOTIFY_IDLE : OP_NOTIFY;
  if (kind === OP_STORE || kind === OP_RMW || kind === OP_CAS) return changed ? kind : OP_LOAD;
  return kind;
}

/** @returns true when the operation may change its location */
export function opWrites(kind: number): boolean {
  return ((CLASS[kind] as number) & WRITES) !== 0;
}

/**
 * @param loc byte address, -1 for none @param bytes width of the access
 * @returns true when the order of the two operations, of two threads, can matter
 */
export function dependent(
  kindA: number,
  locA: number,
  bytesA: number,
  kindB: number,
  locB: number,
  bytesB: number,
): boolean {
  const a = CLASS[kindA] as number;
  const b = CLASS[kindB] as number;
  if (a === 0 || b === 0) return false;
  if (((a | b) & (CALLS | RETURNS)) !== 0) return (a | b) === (CALLS | RETURNS);
  if (locA + bytesA <= locB || locB + bytesB <= locA) return false;
  if (((a | b) & WRITES) !== 0 && (a & (READS | WRITES)) !== 0 && (b & (READS | WRITES)) !== 0) {
    return true;
  }
  return ((a | b) & QUEUE) !== 0 && (a & b & SEES_QUEUE) !== 0;
}
