// SPDX-License-Identifier: GPL-2.0-only
/**
 * The ABI: every table of the engine, with who may write each column and under what.
 *
 * Vocabulary: a pfn names a page frame (0 is reserved: "none" and the shared zero page); a zone is
 * a range of pfns of one node; an lruvec is the LRU lists of one memcg on one node; an mm is an
 * address space; a slot is a page of the swap device (slot 0 is reserved). Protection tags name
 * lock classes of lock_order.ts.
 */
import type { Columns } from '../../shared/arena.ts';

/** One row per pfn, and behind them one row per list head (lruNext, lruPrev only). */
export const PAGE_COLUMNS = {
  flags: 'i32', // @atomic PG_* bits, set and cleared with or/and/cas only
  refcount: 'i32', // @atomic 0 is free or frozen
  mapcount: 'i32', // @atomic page-table entries that map the page
  largeMapcount: 'i32', // @atomic of a large folio's head: the sum of its pages' mapcounts
  // @owner who makes, splits or frees it  large folio's head, or 0  @racy constant for its users
  head: 'i32',
  // @guardedBy folio_lock  anon_vma; minus the inode, while a file's; 0  @racy rmap: looks again
  mapping: 'i32',
  index: 'f64', // @guardedBy folio_lock  page in the mapping  @racy rmap: constant if mapped
  private: 'i32', // @guardedBy folio_lock  slot if PG_SWAPCACHE; order under zone->lock; slab row
  memcg: 'u16', // @guardedBy folio_lock  group charged for the page, constant from charge to free
  zone: 'u8', // @frozen zone index
  order: 'u8', // @owner as head  of a large folio's head its order, else 0  @racy as head
} as const;

/** Links of every page list: buddy, pcp, LRU. Heads are rows past the last pfn. */
export const LINK_COLUMNS = {
  next: 'i32', // @guardedBy <lock of the list>  next towards the tail
  prev: 'i32', // @guardedBy <lock of the list>  next towards the head
} as const;

export const ZONE_COLUMNS = {
  nid: 'i32', // @frozen node
  startPfn: 'i32', // @frozen
  endPfn: 'i32', // @frozen one past the last
  // @owner who moves its node, one at a time  pages of the allocator; 0 offline  @racy: a hint
  managed: 'i32',
  state: 'i32', // @atomic ZONE_ONLINE, ZONE_ISOLATED, ZONE_OFFLINE
  nrFree: 'i32', // @atomic pages in the buddy lists (pcp lists apart)
  wmarkMin: 'i32', // @owner as managed  pages  @racy watermark tests: a moment old
  wmarkLow: 'i32', // @owner as managed  pages  @racy watermark tests: a moment old
  wmarkHigh: 'i32', // @owner as managed  pages  @racy watermark tests: a moment old
  compactConsidered: 'i32', // @atomic tries since compaction failed last: a lost one costs one try
  compactDeferShift: 'i32', // @atomic 1 << this tries are passed over
  compactOrderFailed: 'i32', // @atomic smallest order that failed
  pcpBatch: 'i32', // @frozen pages moved between a pcp list and the buddy lists at once
  pcpHigh: 'i32', // @frozen pages a pcp list may hold
} as const;

export const NODE_COLUMNS = {
  isolatedAnon: 'i32', // @atomic NR_ISOLATED_ANON
  isolatedFile: 'i32', // @atomic NR_ISOLATED_FILE
  anonMapped: 'i32', // @atomic NR_ANON_MAPPED: pages with mapcount > 0
  fileMapped: 'i32', // @atomic NR_FILE_MAPPED: pages of files with mapcount > 0
  filePages: 'i32', // @atomic pages of the host's files: NR_FILE_PAGES without shmem, swap cache
  dirty: 'i32', // @atomic NR_FILE_DIRTY
  dirtyTail: 'i32', // @atomic PGDAT_DIRTY: reclaim met nothing but dirty pages; kswapd may write
  swapCache: 'i32', // @atomic NR_SWAPCACHE
  writeback: 'i32', // @atomic NR_WRITEBACK
  mlocked: 'i32', // @atomic NR_MLOCK: pages with PG_MLOCKED
  slabReclaimable: 'i32', // @atomic NR_SLAB_RECLAIMABLE_B, in pages
  shmem: 'i32', // @atomic NR_SHMEM: pages that files hold
  workingsetNodes: 'i32', // @atomic WORKINGSET_NODES: nodes on the list of shadow_nodes
  kswapdFailures: 'i32', // @atomic runs of kswapd that reclaimed nothing; 16 is hopeless
  deferredDone: 'i32', // @owner kswapd of the node  deferredDone() when its last run ended
  deferredInVain: 'i32', // @owner kswapd of the node  deferredInVain() then
  kswapdOrder: 'i32', // @atomic largest order asked for since the last wake-up
  kswapdZone: 'i32', // @atomic highest zone index asked for, +1; 0 is none
  kcompactdOrder: 'i32', // @atomic largest order asked of kcompactd since it looked last
  nrThrottled: 'i32', // @atomic tasks in reclaim_throttle
  readaheadHits: 'i32', // @atomic swap readahead pages used since the last window was sized
  readaheadPrev: 'i32', // @atomic slot of the last readahead: a lost update costs one window
  readaheadWindow: 'i32', // @atomic pages of the last window
} as const;

/** Rows memcg x nid. */
export const LRUVEC_COLUMNS = {
  shrinkerInfo: 'i32', // @atomic row of the shrinker info; replaced as ids grow, freed after RCU
  iterPosition: 'i32', // @atomic group + 1 that a shared walk below this one has reached; 0 is none
  iterGeneration: 'i32', // @atomic round trips of shared walks below this group
  anonCost: 'f64', // @guardedBy lruvec->lru_lock
  fileCost: 'f64', // @guardedBy lruvec->lru_lock
  nonresidentAge: 'i32', // @atomic evictions and activations, wraps
  activateAnon: 'i32', // @atomic WORKINGSET_ACTIVATE_ANON of this lruvec
  activateFile: 'i32', // @atomic WORKINGSET_ACTIVATE_FILE
  refaultsAnon: 'i32', // @atomic activateAnon at the end of the last reclaim (snapshot_refaults)
  diskSwapins: 'i32', // @atomic pages read from a file that zswap might have had
  refaultsFile: 'i32', // @atomic activateFile at the end of the last reclaim
} as const;

export const MEMCG_COLUMNS = {
  state: 'i32', // @atomic MEMCG_FREE, MEMCG_ONLINE, MEMCG_DYING
  refs: 'i32', // @atomic references: the row is released at 0
  serial: 'i32', // @guardedBy cgroup_mutex  unique for ever: the inode of its directory
  parent: 'i32', // @guardedBy cgroup_mutex  the root is its own  @racy constant while referenced
  firstChild: 'i32', // @guardedBy cgroup_mutex  0 is none  @racy walks read it under RCU
  lastChild: 'i32', // @guardedBy cgroup_mutex
  nextSibling: 'i32', // @guardedBy cgroup_mutex  @racy walks read it under RCU
  prevSibling: 'i32', // @guardedBy cgroup_mutex
  onlineChildren: 'i32', // @guardedBy cgroup_mutex
  hashNext: 'i32', // @guardedBy cgroup_mutex  next of the same bucket of names
  procs: 'i32', // @atomic processes attached
  objcg: 'i32', // @atomic what its objects are charged through; replaced by nobody
  releaseNext: 'i32', // @atomic next of those that wait for cgroup_destroy, or of the free rows
  max: 'i32', // @atomic limit in pages; -1 for none
  high: 'i32', // @atomic throttling limit in pages; -1 for none
  min: 'i32', // @atomic pages that are never reclaimed; 0 for none
  low: 'i32', // @atomic pages that are reclaimed only when nothing else is left
  emin: 'i32', // @atomic what of min is in force: each walk of reclaim says it anew
  elow: 'i32', // @atomic what of low is in force
  minUsage: 'i32', // @atomic usage that min protects, as the parent counts it
  lowUsage: 'i32', // @atomic usage that low protects
  childrenMin: 'i32', // @atomic sum of the children's minUsage
  childrenLow: 'i32', // @atomic sum of the children's lowUsage
  usage: 'i32', // @atomic pages charged, stocks included
  peak: 'i32', // @atomic largest usage seen; a lost update costs a smaller peak
  own: 'i32', // @atomic pages charged to this group itself, stocks not included
  swap: 'i32', // @atomic swap slots charged to this group itself
  swapUsage: 'i32', // @atomic swap slots of the subtree
  swapMax: 'i32', // @atomic limit of these; -1 for none
  oomGroup: 'i32', // @atomic memory.oom.group: 1 kills all of the group or nobody
  eventsLow: 'i32', // @atomic memory.events low, of the subtree as all of them
  eventsHigh: 'i32', // @atomic memory.events high
  zswapUnits: 'i32', // @atomic memory.zswap.current of the subtree, in units of 32 bytes
  zswapped: 'i32', // @atomic entries of zswap of the subtree
  zswapLimit: 'i32', // @atomic memory.zswap.max in pages, + 1; 0 for none
  zswapNoWriteback: 'i32', // @atomic 1 when memory.zswap.writeback is 0
  eventsMax: 'i32', // @atomic memory.events max
  eventsOom: 'i32', // @atomic memory.events oom
  eventsOomKill: 'i32', // @atomic memory.events oom_kill
  eventsOomGroupKill: 'i32', // @atomic memory.events oom_group_kill
  eventsSwapMax: 'i32', // @atomic memory.swap.events max
  eventsSwapFail: 'i32', // @atomic memory.swap.events fail
} as const;

/** One row per address space, which is also the process table: row 0 is unused. */
export const MM_COLUMNS = {
  pgd: 'i32', // @owner who makes or ends it  top-level table, constant between; 0 is a free row
  freeNext: 'i32', // @guardedBy table_pool  free list
  fillId: 'i32', // @owner who makes it  what its pages are filled from; a child has its parent's
  vmaHead: 'i32', // @guardedBy mmap_lock  lowest VMA  @racy lookups: under vm_lock, look again
  lockSeq: 'i32', // @atomic that of its VMAs that are write-locked; moves on as mmap_lock is let go
  memcg: 'i32', // @atomic group that its pages are charged to
  users: 'i32', // @atomic threads that run in it; the last one out frees it
  running: 'i32', // @atomic CPUs whose program has not ended
  mapped: 'i32', // @atomic 1 when the files that its configuration maps are mapped, 2 for failed
  flags: 'i32', // @atomic MMF_* bits, and above MMF_LIFE_SHIFT the row's lives so far
  rssAnon: 'i32', // @atomic anonymous pages mapped
  rssFile: 'i32', // @atomic pages of files mapped
  swapEnts: 'i32', // @atomic page-table entries that are swap entries
  nrTables: 'i32', // @atomic page-table pages
  cpuMask: 'i32', // @atomic CPUs that run this mm now: who must be waited for by a shootdown
  faults: 'i32', // @atomic minor + major
  majorFaults: 'i32', // @atomic
} as const;

export const VMA_COLUMNS = {
  lockSeq: 'i32', // @atomic who may read-lock it: vma_lock.ts
  start: 'f64', // @guardedBy mmap_lock  @racy rmap: changes only under anon_vma->rwsem too
  end: 'f64', // @guardedBy mmap_lock  one past the last page  @racy rmap: as start
  flags: 'i32', // @guardedBy mmap_lock  VM_* bits  @racy rmap: a hint about recency
  mm: 'i32', // @guardedBy mmap_lock  0 is a free row
  pgoff: 'f64', // @guardedBy mmap_lock  index of its first page  @racy rmap: as start
  file: 'i32', // @guardedBy mmap_lock  inode that it maps, 0 for anonymous memory
  anonVma: 'i32', // @atomic what its own pages name; 0 before the first; set with mmap_lock held
  avcHead: 'i32', // @guardedBy mmap_lock  its links to anon_vmas, oldest first; see anon_vma.ts
  next: 'i32', // @guardedBy mmap_lock  next VMA of the mm, ascending; 0 at the end
  prev: 'i32', // @guardedBy mmap_lock
  fileNext: 'i32', // @guardedBy i_mmap_rwsem  next VMA that maps the file
  filePrev: 'i32', // @guardedBy i_mmap_rwsem
} as const;

/** What a folio names to find the VMAs that may map it; row 0 is unused. */
export const ANON_VMA_COLUMNS = {
  root: 'i32', // @atomic whose rwsem guards it: itself, or the first of its family; 0 is a free row
  parent: 'i32', // @guardedBy anon_vma->rwsem  that of the process it was forked from, or itself
  avcHead: 'i32', // @guardedBy anon_vma->rwsem  links to VMAs whose pages may name it, oldest first
  numChildren: 'i32', // @guardedBy anon_vma->rwsem  those whose parent it is, itself included
  numActive: 'i32', // @guardedBy anon_vma->rwsem  VMAs whose own it is
  refcount: 'i32', // @atomic its links are one together; a root has one for each descendant
  freeNext: 'i32', // @guardedBy table_pool  free list
} as const;

/** Links between VMAs and anon_vmas (struct anon_vma_chain); row 0 is unused. */
export const AVC_COLUMNS = {
  vma: 'i32', // @guardedBy anon_vma->rwsem  0 is a free row
  anonVma: 'i32', // @guardedBy mmap_lock
  sameNext: 'i32', // @guardedBy mmap_lock  next link of the VMA; of free rows the free list
  listNext: 'i32', // @guardedBy anon_vma->rwsem  ring of the anon_vma's links
  listPrev: 'i32', // @guardedBy anon_vma->rwsem
} as const;

/** One row per page-table page. */
export const TABLE_COLUMNS = {
  parent: 'i32', // @guardedBy page_table_lock  index of the entry that points here; constant in use
  freeNext: 'i32', // @guardedBy page_table_lock  free list
} as const;

/** One row per swap slot. */
export const SLOT_COLUMNS = {
  count: 'u8', // @guardedBy swap_cluster  references from page tables, and SWAP_HAS_CACHE
  cache: 'i32', // @guardedBy swap_cluster  pfn or 0  @racy lookups: look again under folio_lock
  shadowAge: 'i32', // @guardedBy swap_cluster  nonresident age at eviction
  shadowTag: 'i32', // @guardedBy swap_cluster  memcg, node, workingset bit; 0 for no shadow
  memcg: 'u16', // @guardedBy swap_cluster  group that the slot is charged to
} as const;

/** One row per cluster of swap slots. */
export const CLUSTER_COLUMNS = {
  free: 'i32', // @guardedBy swap_cluster  @racy allocation scan: a stale count costs one visit
  hint: 'i32', // @guardedBy swap_cluster  where the search for a free slot starts
  device: 'i32', // @frozen the device that all of its slots lie on
  on: 'i32', // @guardedBy swap_cluster  1 while slots may be allocated: they count as free swap
} as const;

/** What a swap file has. */
export const SWAP_DISK_COLUMNS = {
  stored: 'u8', // @guardedBy swap_cluster  1 when the file has the slot's page
} as const;

/** zram's slot table. */
export const ZRAM_COLUMNS = {
  handle: 'i32', // @guardedBy swap_cluster  object handle, or the word of a same-filled page
  size: 'u16', // @guardedBy swap_cluster  compressed bytes; 4096 is raw; 0 is empty
  kind: 'u8', // @guardedBy swap_cluster  ZRAM_EMPTY | ZRAM_LZ | ZRAM_RAW | ZRAM_SAME
} as const;

export type PageTable = Columns<typeof PAGE_COLUMNS>;

/** States of a group: being made or gone, usable, removed but referenced. */
export const MEMCG_FREE = 0;
export const MEMCG_ONLINE = 1;
export const MEMCG_DYING = 2;

/** States of a zone: pages come and go; they only come; it has none. */
export const ZONE_ONLINE = 0;
export const ZONE_ISOLATED = 1;
export const ZONE_OFFLINE = 2;

// --- page flags
// -----------------------------------------------------------------------------------
export const PG_LOCKED = 1 << 0;
/** Somebody sleeps for the folio lock or the end of writeback. */
export const PG_WAITERS = 1 << 1;
export const PG_REFERENCED = 1 << 2;
export const PG_UPTODATE = 1 << 3;
export const PG_DIRTY = 1 << 4;
export const PG_LRU = 1 << 5;
export const PG_ACTIVE = 1 << 6;
export const PG_WORKINGSET = 1 << 7;
export const PG_RECLAIM = 1 << 8;
export const PG_WRITEBACK = 1 << 9;
export const PG_SWAPBACKED = 1 << 10;
export const PG_SWAPCACHE = 1 << 11;
export const PG_UNEVICTABLE = 1 << 12;
export const PG_MLOCKED = 1 << 13;
/** Head of a free block in the buddy lists. */
export const PG_BUDDY = 1 << 14;
/** Brought in by readahead and not yet used. */
export const PG_READAHEAD = 1 << 15;
/** Never allocated: the zero page, and frames of a node that is offline. */
export const PG_RESERVED = 1 << 16;
/** Holds kernel objects: on no list, its slab's row in `private`. */
export const PG_SLAB = 1 << 17;
/** Large: some page of it may be mapped twice. Never cleared before the folio is. */
export const PG_MAYSHARE = 1 << 18;
/** Large: on its node's queue of folios to be split; changes under split_queue_lock. */
export const PG_DEFERRED = 1 << 19;
/** Large: made for a file, from its allocation until it is freed or split. */
export const PG_LARGE_FILE = 1 << 20;

// --- LRU lists
// --------------------------------------------------------------------------------------
export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
export const LRU_UNEVICTABLE = 4;
export const NR_LRU_LISTS = 5;

// --- address spaces
// -----------------------------------------------------------------------------------
export const VM_READ = 1;
export const VM_WRITE = 2;
export const VM_EXEC = 4;
export const VM_LOCKED = 8;
export const VM_SEQ_READ = 16;
export const VM_RAND_READ = 32;
/** MAP_SHARED: stores go to the file's page. */
export const VM_SHARED = 64;
/** MADV_HUGEPAGE, MADV_NOHUGEPAGE. */
export const VM_HUGEPAGE = 1 << 29;
export const VM_NOHUGEPAGE = 1 << 30;

/** The OOM killer chose this address space. */
export const MMF_OOM_VICTIM = 1;
/** Its pages are gone: the OOM killer need not wait for it any more. */
export const MMF_OOM_SKIP = 2;
/** exit_mmap has begun. */
export const MMF_EXITING = 4;
/** A page of it could not be read from swap: it was killed (SIGBUS). */
export const MMF_SIGBUS = 8;
/** The OOM reaper took pages: faults fail, since what they would find is not what was there. */
export const MMF_UNSTABLE = 16;
/** Bits from here on count the row's lives: what was seen of one is not taken for another. */
export const MMF_LIFE_SHIFT = 8;

// --- swap
// -----------------------------------------------------------------------------------------------
export const SWAP_HAS_CACHE = 0x40;
export const SWAP_MAP_MAX = 0x3e;
/** The slot is broken or reserved: never allocated. */
export const SWAP_MAP_BAD = 0x3f;

// --- page-table entries
// ---------------------------------------------------------------------------------
//   present:   pfn 23 | unused | SPECIAL 4 | DIRTY 3 | YOUNG 2 | WRITE 1 | PRESENT 0
//   swapped:   slot 23 | ... | PRESENT 0 clear; 0 is empty
//   migrating: pfn 23 | FILE 6 | MIGRATION 5 | DIRTY 3 | YOUNG 2 | WRITE 1 | PRESENT 0 clear
//   non-leaf:  table 23 | YOUNG 2 | PRESENT 0
export const PTE_PRESENT = 1;
export const PTE_WRITE = 2;
export const PTE_YOUNG = 4;
export const PTE_DIRTY = 8;
/** Maps the shared zero page: no rmap, no refcount. */
export const PTE_SPECIAL = 16;
/** Its page is on its way to another frame, and locked: wait for that, then look again. */
export const PTE_MIGRATION = 32;
/** With PTE_MIGRATION: the page is one of a file of the host, and counts in rssFile. */
export const PTE_FILE = 64;
export const PTE_SHIFT = 8;
