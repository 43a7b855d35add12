// SPDX-License-Identifier: GPL-2.0-only
/**
 * Every lock class of the engine, outer to inner. The index is the class id that lock words carry
 * to the lock-order checker and to /proc/lock_stat. docs/locking.md says why each pair nests.
 */

export const LOCK_ORDER = [
  'unclassed',
  'oom_lock',
  'cgroup_mutex',
  's_umount',
  'f_pos_lock',
  'i_rwsem',
  'mmap_lock',
  'vm_lock',
  'invalidate_lock',
  'shrinker_rwsem',
  'shrinker_srcu',
  'shrinker',
  'list_lrus_mutex',
  'folio_lock',
  'i_mmap_rwsem',
  'anon_vma->rwsem',
  'page_table_lock',
  'ptl',
  'table_pool',
  'i_lock',
  'd_lock',
  'i_pages',
  'swap_cluster',
  'list_lru',
  'object_lists',
  'objcg_lock',
  'slab_lock',
  'lru_batch',
  'lruvec->lru_lock',
  'split_queue_lock',
  'memcg_stock',
  'pcp->lock',
  'zone->lock',
  'zsmalloc_class',
  'zsmalloc_pool',
  'shrinker_pool',
  'file_nodes',
  'host_names',
  'psi',
  'tasklist_lock',
  'rq->lock',
  'stamp_pool',
  'kf_lock',
] as const;

export const LC_OOM = 1;
export const LC_CGROUP = 2;
export const LC_S_UMOUNT = 3;
export const LC_F_POS = 4;
export const LC_I_RWSEM = 5;
export const LC_MMAP = 6;
export const LC_VMA = 7;
export const LC_INVALIDATE = 8;
export const LC_SHRINKER = 9;
export const LC_SHRINKER_SRCU = 10;
export const LC_SHRINKER_MAP = 11;
export const LC_LIST_LRUS = 12;
export const LC_FOLIO = 13;
export const LC_I_MMAP = 14;
export const LC_ANON_VMA = 15;
export const LC_PAGE_TABLE = 16;
export const LC_PTL = 17;
export const LC_TABLE_POOL = 18;
export const LC_I_LOCK = 19;
export const LC_D_LOCK = 20;
export const LC_I_PAGES = 21;
export const LC_SWAP_CLUSTER = 22;
export const LC_LIST_LRU = 23;
export const LC_OBJECT_LISTS = 24;
export const LC_OBJCG = 25;
export const LC_SLAB = 26;
export const LC_LRU_BATCH = 27;
export const LC_LRU = 28;
export const LC_SPLIT_QUEUE = 29;
export const LC_MEMCG_STOCK = 30;
export const LC_PCP = 31;
export const LC_ZONE = 32;
export const LC_ZS_CLASS = 33;
export const LC_ZS_POOL = 34;
export const LC_SHRINKER_POOL = 35;
export const LC_FILE_NODES = 36;
export const LC_HOST_NAMES = 37;
export const LC_PSI = 38;
export const LC_TASKLIST = 39;
export const LC_RQ = 40;
export const LC_STAMP_POOL = 41;
export const LC_KF = 42;
