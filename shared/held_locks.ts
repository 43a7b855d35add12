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
 * drops further entries (counted by depth), it never fails.
 */
import type { ArenaBuilder, Columns } from './arena.ts';
import { HELD_LOCKS_MAX, THREADS_MAX } from './limits.ts';
import { self, THREAD_DEAD, THREAD_EXITED, WAIT_LOCK } from './thread.ts';
import type { I32 } from './types.ts';

/** How a lock is held; kept beside the class in one word: class | HELD_* bits. */
export const HELD_CLASS_MASK = 0xffff;
/** Taken by a try operation: it can never have blocked. */
export const HELD_TRY = 1 << 16;
/** Its holder may not sleep (spinlock kinds). */
export const HELD_SPIN = 1 << 17;
/** Read side of a lock with two sides. */
export const HELD_READ = 1 << 18;

const HELD_COLUMNS = {
  address: 'i32', // @owner the row's thread  @racy dead-holder check: reads rows of dead threads
  what: 'i32', // @owner the row's thread  @racy as address
} as const;
const DEPTH_STRIDE = 32;

export type HeldTable = Columns<typeof HELD_COLUMNS> & { readonly depth: I32 };

/** One held lock of a thread. */
export interface HeldLock {
  readonly cls: number;
  readonly address: number;
  readonly read: boolean;
  readonly tried: boolean;
}

export function declareHeld(builder: ArenaBuilder): HeldTable {
  const rows = builder.columns('held', HELD_COLUMNS, THREADS_MAX * HELD_LOCKS_MAX);
  const depth = builder.columns(
    'held.depth',
    { depth: 'i32' /* @owner the row's thread  @racy as held.address */ },
    THREADS_MAX * DEPTH_STRIDE,
  );
  return { ...rows, depth: depth.depth };
}

/** This thread's row. Outside a machine the stack is private memory: depth checks still work. */
let address: Int32Array = new Int32Array(HELD_LOCKS_MAX);
let what: Int32Array = new Int32Array(HELD_LOCKS_MAX);
let published: Int32Array = new Int32Array(1);
let depth = 0;
let spinsHeld = 0;
let shared: HeldTable | null = null;

/** @context once per worker, before its first lock */
export function enterHeld(table: HeldTable | null): void {
  depth = 0;
  spinsHeld = 0;
  shared = table;
  if (table === null) {
    address = new Int32Array(HELD_LOCKS_MAX);
    what = new Int32Array(HELD_LOCKS_MAX);
    published = new Int32Array(1);
    return;
  }
  const first = self.id * HELD_LOCKS_MAX;
  address = table.address.subarray(first, first + HELD_LOCKS_MAX);
  what = table.what.subarray(first, first + HELD_LOCKS_MAX);
  published = table.depth.subarray(self.id * DEPTH_STRIDE, self.id * DEPTH_STRIDE + 1);
  published[0] = 0;
}

/** Byte offset of a lock word, as an i32: its identity among the locks of one arena. */
export function lockAddress(words: I32, index: number): number {
  return (words.byteOffset + index * 4) | 0;
}

/** @context the thread that just took the lock; a few nanoseconds, no atomics */
export function heldPush(at: number, classAndBits: number): void {
  if (depth < HELD_LOCKS_MAX) {
    address[depth] = at;
    what[depth] = classAndBits;
  }
  depth++;
  published[0] = depth;
  if ((classAndBits & HELD_SPIN) !== 0) spinsHeld++;
}

/** Removes the newest entry of that lock. @returns false when this thread has no such entry */
export function heldPop(at: number): boolean {
  let at_ = Math.min(depth, HELD_LOCKS_MAX) - 1;
  while (at_ >= 0 && address[at_] !== at) at_--;
  if (at_ < 0) {
    if (depth > HELD_LOCKS_MAX) published[0] = --depth;
    return false;
  }
  if (((what[at_] as number) & HELD_SPIN) !== 0) spinsHeld--;
  const top = Math.min(depth, HELD_LOCKS_MAX) - 1;
  for (; at_ < top; at_++) {
    address[at_] = address[at_ + 1] as number;
    what[at_] = what[at_ + 1] as number;
  }
  published[0] = --depth;
  return true;
}

/** @returns entries of this thread, capped at HELD_LOCKS_MAX */
export function heldDepth(): number {
  return Math.min(depth, HELD_LOCKS_MAX);
}

/** Spinlocks that this thread holds: above 0 it must not sleep. Known while tracing is on. */
export function heldSpins(): number {
  return spinsHeld;
}

/** @param i 0 .. heldDepth()-1, oldest first @returns class | HELD_* bits */
export function heldWhat(i: number): number {
  return what[i] as number;
}

/** @param i 0 .. heldDepth()-1 */
export function heldAddress(i: number): number {
  return address[i] as number;
}

/** @returns true when this thread's stack has that lock under that class */
export function heldHas(at: number, cls: number): boolean {
  for (let i = heldDepth() - 1; i >= 0; i--) {
    if (address[i] === at && ((what[i] as number) & HELD_CLASS_MASK) === cls) return true;
  }
  return false;
}

/** The stack of any thread, oldest first. A live thread's answer may be a moment old. */
export function heldOf(table: HeldTable, id: number): HeldLock[] {
  const nr = Math.min(table.depth[id * DEPTH_STRIDE] as number, HELD_LOCKS_MAX);
  const held: HeldLock[] = [];
  for (let i = id * HELD_LOCKS_MAX; held.length < nr; i++) {
    const bits = table.what[i] as number;
    held.push({
      cls: bits & HELD_CLASS_MASK,
      address: table.address[i] as number,
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
