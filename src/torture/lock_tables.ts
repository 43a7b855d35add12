// SPDX-License-Identifier: GPL-2.0-only
/** The arena of the lock torture: a sync domain, words for locks, held flags, plain data. */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { type BitWaitTable, declareBitWait } from '../../shared/bit_lock.ts';
import { declareSync, enterSync, type SyncDomain } from '../../shared/sync_domain.ts';
import { setComm, THREAD_RUNNING } from '../../shared/thread.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { TortureContext } from './job.ts';

/** Locks of a type: one that all fight for, and those that are taken around it in order. */
export const NESTED_MAX = 8;
/** Words from one lock to the next. */
export const LOCK_WORDS = 2 * LINE_WORDS;

/** Words of `flags`, each on a line of its own. */
export const WRITE_HELD = 0;
export const READERS = LINE_WORDS;
export const INSIDE = 2 * LINE_WORDS;
const FLAG_WORDS = 16 * LINE_WORDS;

/** Bits of a bit-locked word: the lock, waiters; the rest are free for others. */
export const BIT_LOCKED = 1;
export const BIT_WAITERS = 2;

/** Words of `data`: two that a writer keeps equal, far apart, and more for whoever needs them. */
export const LEFT = 0;
export const RIGHT = LINE_WORDS;
const DATA_WORDS = 64 * LINE_WORDS;

export interface LockTables {
  readonly sync: SyncDomain;
  readonly locks: I32; // @atomic lock words, LOCK_WORDS for each lock
  readonly bits: BitWaitTable;
  readonly flags: I32; // @atomic who says that it holds
  readonly data: I32; // @guardedBy the lock under torture: plain words
}

/** Class 0 and one for each lock: nested ones are taken in the order of their classes. */
const CLASSES = ['unclassed', ...Array.from({ length: NESTED_MAX + 1 }, (_, at) => `torture${at}`)];

/** Declares the tables. Pure. */
export function declareLockTables(builder: ArenaBuilder): LockTables {
  const sync = declareSync(builder, { lockClasses: CLASSES, lockStat: true, lockdep: true });
  // @atomic lock words
  const { locks } = builder.columns('torture.locks', { locks: 'i32' }, LOCK_WORDS * 10);
  const bits = declareBitWait(builder, 'torture.bits', 4, BIT_WAITERS);
  // @atomic held flags
  const { flags } = builder.columns('torture.flags', { flags: 'i32' }, FLAG_WORDS);
  // @guardedBy the lock under torture
  const { data } = builder.columns('torture.data', { data: 'i32' }, DATA_WORDS);
  return { sync, locks, bits, flags, data };
}

/**
 * Makes the worker a thread of the domain. Every other seed has lock-order checking and statistics
 * on: they are part of what is tortured. Broken variants run without: their checkers are ours.
 */
export function enterLockTables(tables: LockTables, ctx: TortureContext, seed: number): void {
  const traced = !ctx.busted && (seed & 1) === 0;
  const { sync } = tables;
  const options = { ...sync.options, lockStat: traced, lockdep: traced };
  enterSync({ ...sync, options }, ctx.id);
  setComm(sync.threads, ctx.id, `torture${ctx.id}`);
  Atomics.store(sync.threads.state, ctx.id, THREAD_RUNNING);
}
