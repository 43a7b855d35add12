// SPDX-License-Identifier: GPL-2.0-only
/**
 * Every lock class of the engine, outer to inner. The index is the class id that lock words carry
 * to the lock-order checker and to /proc/lock_stat. docs/locking.md says why each pair nests.
 */

export const LOCK_ORDER = [
  'unclassed',
  'oom_lock',
  'mmap_lock',
  'folio_lock',
  'anon_vma->rwsem',
  'page_table_lock',
  'ptl',
  'table_pool',
  'swap_cluster',
  'lru_batch',
  'lruvec->lru_lock',
  'memcg_stock',
  'pcp->lock',
  'zone->lock',
  'zsmalloc_class',
  'zsmalloc_pool',
] as const;

export const LC_OOM = 1;
export const LC_MMAP = 2;
export const LC_FOLIO = 3;
export const LC_ANON_VMA = 4;
export const LC_PAGE_TABLE = 5;
export const LC_PTL = 6;
export const LC_TABLE_POOL = 7;
export const LC_SWAP_CLUSTER = 8;
export const LC_LRU_BATCH = 9;
export const LC_LRU = 10;
export const LC_MEMCG_STOCK = 11;
export const LC_PCP = 12;
export const LC_ZONE = 13;
export const LC_ZS_CLASS = 14;
export const LC_ZS_POOL = 15;
