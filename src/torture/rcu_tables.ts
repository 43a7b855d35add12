// SPDX-License-Identifier: GPL-2.0-only
/** The arena of the RCU torture: both domains, a pool of blocks, what readers look at. */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { declareRcu, enterRcu, type RcuTable, rcuOffline, rcuOnline } from '../../shared/rcu.ts';
import { declareSrcu, type SrcuTable } from '../../shared/srcu.ts';
import {
  declareThreads,
  enterThread,
  setComm,
  THREAD_RUNNING,
  type ThreadTable,
} from '../../shared/thread.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { TortureContext } from './job.ts';

/** Stages of the pipeline, and blocks: as rcutorture's RCU_TORTURE_PIPE_LEN. */
export const PIPE_LEN = 10;
export const BLOCKS = 10 * PIPE_LEN;
/** Callbacks that a thread can have queued: few, so that the queue runs full at times. */
const QUEUE_ENTRIES = 32;

/** Words of `words`. */
export const CURRENT = 0;
export const VERSION = LINE_WORDS;
export const QUEUED = 2 * LINE_WORDS;
export const RAN = 3 * LINE_WORDS;
export const STALLED = 4 * LINE_WORDS;
/** @atomic 1: callbacks are no longer needed, the thread that runs them may go */
export const WRITERS_DONE = 5 * LINE_WORDS;
const NR_WORDS = 8 * LINE_WORDS;

export interface RcuTortureTables {
  readonly threads: ThreadTable;
  readonly rcu: RcuTable;
  readonly srcu: SrcuTable;
  readonly words: I32; // @atomic
  readonly pipe: I32; // @atomic stage of each block
  readonly mbtest: I32; // @atomic 1 from before a block is published until after its grace periods
  readonly busy: I32; // @atomic 1 while a block is not in the pool
}

/** Declares the tables. Pure. */
export function declareRcuTorture(builder: ArenaBuilder): RcuTortureTables {
  const threads = declareThreads(builder);
  const rcu = declareRcu(builder, { queueEntries: QUEUE_ENTRIES });
  const srcu = declareSrcu(builder, 'torture.srcu');
  // @atomic
  const { words } = builder.columns('torture.words', { words: 'i32' }, NR_WORDS);
  // @atomic
  const schema = { pipe: 'i32', mbtest: 'i32', busy: 'i32' } as const;
  return { threads, rcu, srcu, words, ...builder.columns('torture.blocks', schema, BLOCKS) };
}

/** Makes the worker a registered thread of the domain. */
export function enterRcuTorture(t: RcuTortureTables, ctx: TortureContext): void {
  setComm(t.threads, ctx.id, `${ctx.role}${ctx.id}`);
  Atomics.store(t.threads.state, ctx.id, THREAD_RUNNING);
  enterThread(t.threads, ctx.id);
  enterRcu(t.rcu, ctx.id);
}

/** One turn of a registered thread: it is offline while all pause. */
export function rcuTurn(ctx: TortureContext): boolean {
  if (!ctx.pausing) return ctx.turn();
  rcuOffline();
  try {
    return ctx.turn();
  } finally {
    rcuOnline();
  }
}
