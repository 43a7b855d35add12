// SPDX-License-Identifier: MIT
/**
 * The tables of an RCU domain: reader rows, callback queues, stall records.
 *
 * Reader rows are in rcu_state.ts, grace periods in rcu.ts, callbacks in rcu_callback.ts.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import { THREADS_MAX } from './limits.ts';
import { RCU_COMPLETED, RCU_GP, RCU_STALL_MS, RCU_WORDS, type RcuReaderRows } from './rcu_state.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** A grace period that lasts longer is reported; then again each time its age doubles. */
export const RCU_STALL_MS_DEFAULT = 2000;
/** Callbacks that a thread can have in flight, unless declared otherwise. A power of two. */
export const RCU_QUEUE_DEFAULT = 256;
/** Stall records kept; older ones are overwritten. */
export const RCU_STALL_RECORDS = 16;
/** Callback functions that can be registered. */
export const RCU_CALLBACKS_MAX = 64;

/** Wait queues in `queues`. */
export const RCU_WORK = 0;
export const RCU_DONE = LINE_WORDS;

const READER_COLUMNS = {
  seen: 'i32', // @owner thread of the row, by Atomics: grace period last seen, 0 offline
  nesting: 'i32', // @owner thread of the row  @racy reports: a stale depth is a wrong word there
} as const;

const CALLBACK_COLUMNS = {
  head: 'i32', // @atomic callbacks that the row's thread queued; written by it alone
  tail: 'i32', // @atomic callbacks that ran; written by the thread that owns the pass
} as const;

const ENTRY_COLUMNS = {
  fn: 'i32', // @guardedBy head and tail: its thread until head passes it, then the pass owner
  arg: 'i32', // @guardedBy head and tail
} as const;

const STALL_COLUMNS = {
  kind: 'i32', // @guardedBy RCU_DRIVER  @racy reports: published by stallCount
  gp: 'i32', // @guardedBy RCU_DRIVER  @racy reports
  thread: 'i32', // @guardedBy RCU_DRIVER  @racy reports
  nesting: 'i32', // @guardedBy RCU_DRIVER  @racy reports
  ms: 'i32', // @guardedBy RCU_DRIVER  @racy reports
} as const;

/** One RCU domain as a thread sees it. */
export interface RcuTable extends RcuReaderRows {
  /** Wait queues RCU_WORK (a callback was queued) and RCU_DONE (callbacks ran). */
  readonly queues: I32; // @atomic
  readonly head: I32;
  readonly tail: I32;
  readonly fn: I32;
  readonly arg: I32;
  readonly queueEntries: number;
  readonly stalls: {
    readonly count: I32; // @atomic records ever written
    readonly kind: I32;
    readonly gp: I32;
    readonly thread: I32;
    readonly nesting: I32;
    readonly ms: I32;
  };
}

/** @param queueEntries callbacks that one thread can have in flight; a power of two */
export interface RcuOptions {
  readonly queueEntries?: number;
}

/** Declares the domain's tables. Pure, as the arena asks. */
export function declareRcu(builder: ArenaBuilder, options: RcuOptions = {}): RcuTable {
  const queueEntries = options.queueEntries ?? RCU_QUEUE_DEFAULT;
  assert(
    queueEntries > 0 && (queueEntries & (queueEntries - 1)) === 0,
    'RCU queue entries must be a power of two',
  );
  // @atomic RCU_* words of the domain
  const { words } = builder.columns('rcu.words', { words: 'i32' }, RCU_WORDS);
  const { queues } = builder.columns('rcu.queues', { queues: 'i32' }, 2 * LINE_WORDS);
  const readers = builder.columns('rcu.reader', READER_COLUMNS, THREADS_MAX * LINE_WORDS);
  const callbacks = builder.columns('rcu.callback', CALLBACK_COLUMNS, THREADS_MAX * LINE_WORDS);
  const entries = builder.columns('rcu.entry', ENTRY_COLUMNS, THREADS_MAX * queueEntries);
  const stall = builder.columns('rcu.stall', STALL_COLUMNS, RCU_STALL_RECORDS);
  const { count } = builder.columns('rcu.stall.count', { count: 'i32' }, 1);
  return {
    words,
    queues,
    ...readers,
    ...callbacks,
    ...entries,
    queueEntries,
    stalls: { count, ...stall },
  };
}

/**
 * Gives the first thread's view its starting values. Idempotent: whoever comes first wins.
 * @context any thread, before its first grace period
 */
export function initRcu(table: RcuTable): void {
  const { words } = table;
  Atomics.compareExchange(words, RCU_COMPLETED, 0, 1);
  Atomics.compareExchange(words, RCU_STALL_MS, 0, RCU_STALL_MS_DEFAULT);
  Atomics.compareExchange(words, RCU_GP, 0, 1);
}

/** @param ms at least 1: grace periods longer than this are reported @context any thread */
export function setRcuStallMs(table: RcuTable, ms: number): void {
  assert(ms >= 1, 'the stall limit is at least 1 ms');
  Atomics.store(table.words, RCU_STALL_MS, ms | 0);
}
