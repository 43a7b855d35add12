// SPDX-License-Identifier: GPL-2.0-only
/** Tables of zswap (mm/zswap.c, struct zswap_entry and the module's globals). */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { WAIT_QUEUE_WORDS } from '../../shared/wait_queue.ts';

/** One row per slot: what zswap has of it. */
const ZSWAP_COLUMNS = {
  handle: 'i32', // @guardedBy swap_cluster  object of the store; 0 without contents
  length: 'u16', // @guardedBy swap_cluster  bytes stored, PAGE_SIZE for a raw page; 0 for no entry
  nid: 'u8', // @guardedBy swap_cluster  node whose list the entry is on
  referenced: 'u8', // @atomic stored or looked at since the walk of the list came by
} as const;

/** Words of `zswapWords`, all @atomic. Parameters first, as in /sys/module/zswap/parameters. */
export const ZSWAP_ENABLED = 0;
export const ZSWAP_MAX_POOL_PERCENT = 1;
export const ZSWAP_ACCEPT_THRESHOLD_PERCENT = 2;
export const ZSWAP_SHRINKER_ENABLED = 3;
/** 1 from the limit down to the threshold: nothing is accepted. */
export const ZSWAP_FULL = 4;
export const ZSWAP_STORED = 5;
export const ZSWAP_INCOMPRESSIBLE = 6;
/** Work for zswap_shrink. */
export const ZSWAP_WORK = 7;
/** Group + 1 that the shrinking of all groups has come to; 0 is none. */
export const ZSWAP_CURSOR = 8;
/** The list and the shrinker, made at boot. */
export const ZSWAP_LRU = 9;
export const ZSWAP_SHRINKER = 10;
/** Counters of /sys/kernel/debug/zswap. */
export const ZSWAP_POOL_LIMIT_HIT = 11;
export const ZSWAP_REJECT_RECLAIM_FAIL = 12;
export const ZSWAP_REJECT_ALLOC_FAIL = 13;
export const ZSWAP_REJECT_COMPRESS_FAIL = 14;
export const ZSWAP_REJECT_COMPRESS_POOR = 15;
export const ZSWAP_DECOMPRESS_FAIL = 16;
const ZSWAP_WORDS = LINE_WORDS;

/** What a page is taken to need where there are no contents: a third. */
export const ZSWAP_VOID_BYTES = 1376;
/** What groups are charged in: the granule of the store's classes, so that 32 bits are enough. */
export const ZSWAP_UNIT = 32;

/** Declares the tables. Pure, as the arena asks. */
export function declareZswap(builder: ArenaBuilder, nrSlots: number) {
  return {
    zswap: builder.columns('zswap', ZSWAP_COLUMNS, nrSlots),
    // @atomic ZSWAP_* words
    zswapWords: builder.columns('zswap.words', { words: 'i32' }, ZSWAP_WORDS).words,
    // @atomic wait queue: woken when the pool has reached its limit
    zswapWait: builder.columns('zswap.wait', { words: 'i32' }, WAIT_QUEUE_WORDS).words,
  };
}
