// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of list_lru (include/linux/list_lru.h).
 *
 *   lru      who the lists belong to: a cache's unused objects, with the shrinker that eats them
 *   entry    the lists of one lru for one group, one per node: made when the group's first object
 *            is, gone with the group or the lru
 *   list     lock, count, head. Lists 0 .. lrus x nodes - 1 are the root's; then the entries'
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';

/** Words of a list: a line for two, so that neighbours seldom meet. */
export const LIST_STRIDE = LINE_WORDS / 2;
export const LIST_LOCK = 0; // @atomic lock word of list_lru
export const LIST_COUNT = 1; // @guardedBy list_lru  items  @racy counting: a hint
export const LIST_DEAD = 2; // @guardedBy list_lru  1 once its items went to the parent's

/** Words of `words`. */
export const LRUS_MUTEX = 0; // @atomic lock word of list_lrus_mutex
export const LRU_FREE = LINE_WORDS; // @guardedBy list_lrus_mutex  first free lru
export const ENTRY_FREE = LINE_WORDS + 1; // @guardedBy list_lrus_mutex  first free entry
export const RETIRED_FIRST = LINE_WORDS + 2; // @guardedBy list_lrus_mutex  waits for RCU longest
export const RETIRED_LAST = LINE_WORDS + 3; // @guardedBy list_lrus_mutex
export const ENTRIES_USED = LINE_WORDS + 4; // @guardedBy list_lrus_mutex
const LIST_LRU_WORDS = 2 * LINE_WORDS;

const LRU_COLUMNS = {
  used: 'i32', // @guardedBy list_lrus_mutex  @racy constant for its owner
  aware: 'i32', // @guardedBy list_lrus_mutex  has lists per group  @racy as used
  shrinker: 'i32', // @guardedBy list_lrus_mutex  id, -1 for none  @racy as used
  first: 'i32', // @guardedBy list_lrus_mutex  first entry; next free
} as const;

const ENTRY_COLUMNS = {
  lru: 'i32', // @guardedBy list_lrus_mutex  @racy lookups under RCU
  memcg: 'i32', // @guardedBy list_lrus_mutex  @racy lookups under RCU
  hashNext: 'i32', // @guardedBy list_lrus_mutex  @racy lookups under RCU
  next: 'i32', // @guardedBy list_lrus_mutex  next of the lru; next free or retired
  prev: 'i32', // @guardedBy list_lrus_mutex
  memcgNext: 'i32', // @guardedBy list_lrus_mutex  next of the group
  memcgPrev: 'i32', // @guardedBy list_lrus_mutex
  cookie: 'i32', // @guardedBy list_lrus_mutex  grace period that a retired one waits for
} as const;

const LINK_COLUMNS = {
  next: 'i32', // @guardedBy list_lru
  prev: 'i32', // @guardedBy list_lru
} as const;

export interface ListLruSizes {
  readonly nrNodes: number;
  readonly nrMemcgs: number;
  /** Rows, row 0 counted. */
  readonly nrLrus: number;
  readonly nrEntries: number;
  readonly nrBuckets: number;
  readonly nrLists: number;
  /** Items, item 0 counted; heads of lists come behind. */
  readonly nrItems: number;
  /** Item of shadow node 0. */
  readonly firstShadow: number;
  /** Item of the zswap entry of slot 0. */
  readonly firstZswap: number;
}

/** @param nrObjects slab objects, 0 counted @param shadowNodes swap cache nodes of 64 slots */
export function listLruSizes(
  nrNodes: number,
  nrMemcgs: number,
  mounts: number,
  nrObjects: number,
  shadowNodes: number,
  zswapSlots = 0,
) {
  // Dentries and inodes of each mount, shadow nodes, and entries of zswap.
  const nrLrus = 2 * mounts + (zswapSlots > 0 ? 3 : 2);
  const nrEntries = 1 + Math.min(nrLrus * (nrMemcgs - 1), Math.max(nrObjects, 4096) + nrMemcgs);
  let nrBuckets = 16;
  while (nrBuckets < nrEntries) nrBuckets *= 2;
  return {
    nrNodes,
    nrMemcgs,
    nrLrus,
    nrEntries,
    nrBuckets,
    nrLists: (nrLrus + nrEntries) * nrNodes,
    nrItems: nrObjects + shadowNodes + zswapSlots,
    firstShadow: nrObjects,
    firstZswap: nrObjects + shadowNodes,
  } satisfies ListLruSizes;
}

/** Declares the tables. Pure, as the arena asks. */
export function declareListLru(builder: ArenaBuilder, s: ListLruSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    lru: builder.columns('list_lru', LRU_COLUMNS, s.nrLrus),
    entry: builder.columns('list_lru.entry', ENTRY_COLUMNS, s.nrEntries),
    // @guardedBy list_lrus_mutex  first entry of each bucket  @racy lookups under RCU
    bucket: words('list_lru.bucket', s.nrBuckets, 1),
    // @guardedBy list_lrus_mutex  first entry of each group
    ofMemcg: words('list_lru.of_memcg', s.nrMemcgs, 1),
    // @guardedBy list_lru  LIST_* words of each list
    list: words('list_lru.list', s.nrLists, LIST_STRIDE),
    link: builder.columns('list_lru.link', LINK_COLUMNS, s.nrItems + s.nrLists),
    // @atomic LRUS_MUTEX; then pools, each as it is tagged above
    words: words('list_lru.words', 1, LIST_LRU_WORDS),
  };
}
