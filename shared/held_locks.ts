// SPDX-License-Identifier: MIT
/**
 * What each thread holds: a stack of (lock, class) per thread, in the arena, so that a panic report
 * or a waiter can read the stack of a thread that died.
 *
 * Vocabulary: a lock's *address* is the byte offset of its word in the arena. Locks that have no
 * room for an owner in their word (read sides, bit locks) are always recorded here; the others only
 * while statistics or lock-order checking are on. A thread writes its own row alone. Others read it
 * when the row's thread is dead, or to print it, where a torn picture does no harm.
 *
 * Guarantee: after `heldPop` the entry is gone, whatever the order of release. A stack that is full
 * drops further entries but counts them, it never fails.
 */
import type { ArenaBuilder, Columns } from './arena.ts';
import { HELD_LOCKS_MAX, THREADS_MAX } from './limits.ts';
import { self, THREAD_DEAD, THREAD_EXITED, WAIT_LOCK } from './thread.ts';
import { type I32, LINE_WORDS } from './types.ts';

/** How a lock is held; kept beside the class in one word: class | HELD_* bits. */
export const HELD_CLASS_MASK = 0xffff;
/** Taken by a try operation: it can never have blocked. */
export const HELD_TRY = 1 << 16;
/** Its holder may not sleep (spinlock kinds). */
export const HELD_SPIN = 1 << 17;
/** Read side of a lock with two sides. */
export const HELD_READ = 1 << 18;

const HELD_COLUMNS = {
  // a row: DEPTH, then (address, class | bits) pairs, oldest first
  row: 'i32', // @owner the row's thread  @racy dead-holder check and reports: see above
} as const;

/** Offset in a row: words of pairs in use; above PAIRS_MAX when entries were dropped. */
const DEPTH = 0;
const PAIRS = 1;
const PAIRS_MAX = HELD_LOCKS_MAX * 2;
const ROW_WORDS = Math.ceil((PAIRS + PAIRS_MAX) / LINE_WORDS) * LINE_WORDS;

export type HeldTable = Columns<typeof HELD_COLUMNS>;

/** One held lock of a thread. */
export interface HeldLock {
  readonly cls: number;
  readonly address: number;
  readonly read: boolean;
  readonly tried: boolean;
}

/** Declares the held stacks, one row per thread. Pure, as the arena asks. */
export function declareHeld(builder: ArenaBuilder): HeldTable {
  return builder.columns('held', HELD_COLUMNS, THREADS_MAX * ROW_WORDS);
}

/**
 * This thread's row; outside a domain it is private memory. And the view that `lockAddress` saw
 * last: `byteOffset` costs more than the whole bookkeeping. Fields of one object, which V8 keeps in
 * registers better than it does variables of a module.
 */
const mine: { row: Int32Array; words: I32 | null; offset: number } = {
  row: new Int32Array(ROW_WORDS),
  words: null,
  offset: 0,
};
let shared: HeldTable | null = null;

/** @context once per worker, before its first lock */
export function enterHeld(table: HeldTable | null): void {
  shared = table;
  const first = self.id * ROW_WORDS;
  mine.row =
    table === null ? new Int32Array(ROW_WORDS) : table.row.subarray(first, first + ROW_WORDS);
  mine.row[DEPTH] = 0;
}

/** Byte offset of a lock word, as an i32: its identity among the locks of one arena. */
export function lockAddress(words: I32, index: number): number {
  if (words !== mine.words) {
    mine.words = words;
    mine.offset = words.byteOffset;
  }
  return (mine.offset + index * 4) | 0;
}

/** @context the thread that just took the lock; a few nanoseconds, no atomics */
export function heldPush(at: number, classAndBits: number): void {
  const { row } = mine;
  const depth = row[DEPTH] as number;
  if (depth < PAIRS_MAX) {
    row[PAIRS + depth] = at;
    row[PAIRS + depth + 1] = classAndBits;
  }
  row[DEPTH] = depth + 2;
}

/** Removes the newest entry of that lock; none when another thread took it. */
export function heldPop(at: number): void {
  const { row } = mine;
  const depth = (row[DEPTH] as number) - 2;
  if (depth >= 0 && row[PAIRS + depth] === at) row[DEPTH] = depth;
  else popDeeper(at);
}

function popDeeper(at: number): void {
  const { row } = mine;
  const used = Math.min(row[DEPTH] as number, PAIRS_MAX);
  let pair = used - 2;
  while (pair >= 0 && row[PAIRS + pair] !== at) pair -= 2;
  if (pair >= 0) row.copyWithin(PAIRS + pair, PAIRS + pair + 2, PAIRS + used);
  if (pair >= 0 || (row[DEPTH] as number) > PAIRS_MAX) row[DEPTH] = (row[DEPTH] as number) - 2;
}

/** @returns entries of this thread, capped at HELD_LOCKS_MAX */
export function heldDepth(): number {
  return Math.min(mine.row[DEPTH] as number, PAIRS_MAX) >> 1;
}

/** @param i 0 .. heldDepth()-1, oldest first @returns class | HELD_* bits */
export function heldWhat(i: number): number {
  return mine.row[PAIRS + i * 2 + 1] as number;
}

/** @param i 0 .. heldDepth()-1 */
export function heldAddress(i: number): number {
  return mine.row[PAIRS + i * 2] as number;
}

/** @returns true when this thread's stack has that lock under that class */
export function heldHas(at: number, cls: number): boolean {
  for (let i = heldDepth() - 1; i >= 0; i--) {
    if (heldAddress(i) === at && (heldWhat(i) & HELD_CLASS_MASK) === cls) return true;
  }
  return false;
}

/** @returns true when this thread holds a spinlock, as far as its locks are recorded */
export function heldAnySpin(): boolean {
  for (let i = heldDepth() - 1; i >= 0; i--) if ((heldWhat(i) & HELD_SPIN) !== 0) return true;
  return false;
}

/** The stack of any thread, oldest first. A live thread's answer may be a moment old. */
export function heldOf(table: HeldTable, id: number): HeldLock[] {
  const first = id * ROW_WORDS;
  const used = Math.min(table.row[first + DEPTH] as number, PAIRS_MAX);
  const held: HeldLock[] = [];
  for (let pair = 0; pair < used; pair += 2) {
    const bits = table.row[first + PAIRS + pair + 1] as number;
    held.push({
      cls: bits & HELD_CLASS_MASK,
      address: table.row[first + PAIRS + pair] as number,
      read: (bits & HELD_READ) !== 0,
      tried: (bits & HELD_TRY) !== 0,
    });
  }
  return held;
}

/**
 * Looks for a dead thread that still holds the lock, or that died while it waited for one of the
 * class (its place in the queue then stays counted).
 * @returns its id, or 0
 * @context waiters, once per PARK_CHECK_MS
 */
export function deadHolder(at: number, cls: number): number {
  const threads = self.table;
  if (threads === null || shared === null) return 0;
  for (let id = 1; id < THREADS_MAX; id++) {
    const state = Atomics.load(threads.state, id);
    if (state !== THREAD_DEAD && state !== THREAD_EXITED) continue;
    for (const held of heldOf(shared, id)) if (held.address === at) return id;
    const waited = Atomics.load(threads.waitKind, id) === WAIT_LOCK;
    if (waited && Atomics.load(threads.waitArg, id) === cls) return id;
  }
  return 0;
}
