// SPDX-License-Identifier: GPL-2.0-only
/** Tables of large folios: which orders are used, what became of them, which are to be split. */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { LINE_WORDS } from '../../shared/types.ts';

/** Orders of anonymous large folios: those of /sys/kernel/mm/transparent_hugepage/hugepages-*. */
export const THP_ORDER_MIN = 2;
export const THP_ORDER_MAX = 9;
/** Smallest order of a large folio of a file. */
export const FILE_ORDER_MIN = 1;
export const NR_THP_ORDERS = THP_ORDER_MAX + 1;

/** Words of `thpWords`, all @atomic: bit masks of orders, by what enables them. */
export const THP_ALWAYS = 0;
export const THP_MADVISE = 1;
/** Orders that do as the file above them says, and what that says: THP_MODE_*. */
export const THP_INHERIT = 2;
export const THP_GLOBAL = 3;
/** 1 while the deferred split shrinker runs at all, and its row. */
export const THP_SHRINKER = 4;

/** What files named `enabled` say. */
export const THP_MODES = ['always', 'madvise', 'never', 'inherit'] as const;
export type ThpMode = (typeof THP_MODES)[number];
export const THP_MODE_ALWAYS = 0;
export const THP_MODE_MADVISE = 1;
export const THP_MODE_NEVER = 2;

/**
 * Per order, as files of hugepages-*kB/stats name them; those that begin with nr are gauges. The
 * kernel has none of files: these are named as its others are.
 */
export const MTHP_STATS = [
  'anon_fault_alloc',
  'anon_fault_fallback',
  'anon_fault_fallback_charge',
  'zswpout',
  'swpout',
  'swpout_fallback',
  'split',
  'split_failed',
  'split_deferred',
  'nr_anon',
  'nr_anon_partially_mapped',
  'file_alloc',
  'file_fallback',
  'file_fallback_charge',
  'nr_file',
] as const;
export type MthpStat = (typeof MTHP_STATS)[number];

/** Cell of each counter in an order's row. */
export const MTHP: Readonly<Record<MthpStat, number>> = Object.freeze(
  Object.fromEntries(MTHP_STATS.map((name, cell) => [name, cell])) as Record<MthpStat, number>,
);

/** Declares the tables. Pure, as the arena asks. */
export function declareThp(builder: ArenaBuilder, nrNodes: number) {
  return {
    // @atomic THP_* words
    thpWords: builder.columns('thp.words', { words: 'i32' }, LINE_WORDS).words,
    // @atomic a row of MTHP_STATS for each order
    mthpStat: builder.columns('thp.stat', { words: 'i32' }, NR_THP_ORDERS * MTHP_STATS.length)
      .words,
    // @atomic lock words of split_queue_lock
    splitQueueLock: builder.columns('thp.split_queue_lock', { words: 'i32' }, nrNodes * LINE_WORDS)
      .words,
    // @guardedBy split_queue_lock  folios on each node's queue  @racy counts: a hint
    splitQueueLength: builder.columns('thp.split_queue', { words: 'i32' }, nrNodes).words,
  };
}
