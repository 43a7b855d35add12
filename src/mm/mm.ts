// SPDX-License-Identifier: GPL-2.0-only
/**
 * The engine as one thread sees it: every table bound, the frames, and this thread's own cells.
 * Functions of src/mm take this object first (`m`); nothing of the engine is module state, so one
 * process can look into several machines.
 */
import { type ArenaBuilder, attachArena, createArena, measureArena } from '../../shared/arena.ts';
import { assert } from '../../shared/assert.ts';
import { declareBitWait } from '../../shared/bit_lock.ts';
import { declareFaults } from '../../shared/fault.ts';
import { declareHistograms } from '../../shared/histogram.ts';
import { THREADS_MAX } from '../../shared/limits.ts';
import { declareRcu, type RcuTable } from '../../shared/rcu.ts';
import { RWSEM_WORDS } from '../../shared/rwsem.ts';
import type { SpareMemory } from '../../shared/spare_memory.ts';
import type { SrcuDomain } from '../../shared/srcu.ts';
import { declareSync, type SyncDomain } from '../../shared/sync_domain.ts';
import { declareTasks, type TaskTable } from '../../shared/task.ts';
import {
  type F64,
  type I32,
  LINE_BYTES,
  LINE_WORDS,
  type U8,
  type U32,
} from '../../shared/types.ts';
import { WAIT_QUEUE_WORDS } from '../../shared/wait_queue.ts';
import { newSharedMemory, type SharedMemory } from '../../shared/wasm.ts';
import { type MmConfig, type ShrinkerFlaw, shrinkerFlaws, shrinkerWalk } from './config.ts';
import { contendedPolicy } from './contended.ts';
import { FAULT_NAMES } from './faults.ts';
import { declareOpenFiles } from './fdtable_types.ts';
import { declareFs, type FsSizes, fsSizes } from './fs_types.ts';
import { declareHostFiles } from './host_types.ts';
import { declareKcompressd, KCOMPRESSD_POLICIES } from './kcompressd_types.ts';
import { declareKshrinkd } from './kshrinkd_types.ts';
import {
  ACCESS_WINDOW_WORDS,
  CPUS_MAX,
  MEMCG_NAME_BYTES,
  NR_PAGE_ORDERS,
  PAGE_SIZE,
  PAGEVEC_SIZE,
  PFN_MAX,
  PTRS_PER_TABLE,
  SWAPFILE_CLUSTER,
} from './limits.ts';
import { declareListLru, type ListLruSizes, listLruSizes } from './list_lru_types.ts';
import { LOCK_ORDER } from './lock_order.ts';
import { declareFiles, shadowNodes } from './mapping_types.ts';
import { MEMCG_STAT_WORDS } from './memcg_events.ts';
import { type MmBuffers, newStore } from './mm_buffers.ts';
import * as T from './mm_types.ts';
import { PSI_COLUMNS } from './psi.ts';
import { declareSched } from './sched_types.ts';
import type { ShrinkScan } from './shrink_kernel.ts';
import type { ShrinkerType } from './shrinker_ops.ts';
import { declareShrinkers, type ShrinkerSizes, shrinkerSizes } from './shrinker_types.ts';
import { declareSlabs, type SlabSizes, slabSizes } from './slab_types.ts';
import { declareSwapDevices, SWAP_DEVICES_MAX, swapLayout, swapSlots } from './swap_types.ts';
import { declareThp } from './thp_types.ts';
import { NR_VM_EVENTS } from './vmstat_items.ts';
import { ZS_CLASSES, ZS_PAGES_PER_BLOCK, ZS_POOLS } from './zsmalloc_sizes.ts';
import { declareZswap } from './zswap_types.ts';

/** Frames of one frame buffer: 1 GiB. */
export const FRAME_BUFFER_PAGES = 1 << 18;

/** Bytes of what a CPU has to say about its first mismatch. */
export const CPU_NOTE_BYTES = 256;
/** Slots of a swap cache node, as of an XArray's. */
export const SHADOW_NODE_SLOTS = 64;
/** Links of the average VMA to anon_vmas: its own, and one for each generation before it. */
export const AVCS_PER_VMA = 4;
/** Hash buckets on which folio lock and writeback waiters sleep. */
const FOLIO_WAIT_BUCKETS = 64;

/** Sizes that follow from the configuration. */
export interface MmSizes {
  readonly nrPages: number;
  readonly nrZones: number;
  readonly nrNodes: number;
  readonly nrMemcgs: number;
  readonly nrLruvecs: number;
  readonly shrinkers: ShrinkerSizes;
  readonly slabs: SlabSizes;
  readonly lists: ListLruSizes;
  readonly fs: FsSizes;
  readonly nrMms: number;
  readonly nrAnonVmas: number;
  readonly nrAvcs: number;
  readonly nrSlots: number;
  readonly nrClusters: number;
  readonly nrSwapDevices: number;
  /** Threads of kcompressd, all nodes together. */
  readonly nrKcompressd: number;
  readonly nrTables: number;
  readonly nrShadowNodes: number;
  /** Slots that zram's table, and that of files, must know: all of them, or none. */
  readonly nrZramSlots: number;
  readonly nrDiskSlots: number;
  readonly nrZswapSlots: number;
  readonly nrZramPages: number;
  /** First list head: rows from here on are sentinels, not pages. */
  readonly heads: number;
  readonly nrHeads: number;
}

/** Words of `gate`: CPUs that have not left their process. */
export const GATE_RUNNING = 0;
/** 1 once every program has ended and nobody is freeing memory; written by the last CPU to rest. */
export const GATE_ALL_ENDED = 1;
/** 1 once the main thread has looked at the machine, and the last processes may exit. */
export const GATE_OPEN = 2;
/** CPUs between the end of their program and rest: at the gate, or gone. */
export const GATE_EXITING = 3;
/** Barrier of the CPUs whose programs run: who has come, and which it is (kthreads/gate.ts). */
export const GATE_BARRIER = 4;
/** CPUs whose program has not returned: those that a barrier is of. */
export const GATE_PROGRAMS = 5;
/** 1 once the directories of the configuration are mounted: programs wait for it. */
export const GATE_MOUNTED = 6;

/** Buckets of the names of groups: a power of two, about one for each row. */
export function nameBuckets(nrMemcgs: number): number {
  return 1 << (32 - Math.clz32(nrMemcgs - 1));
}

/** Words of a CPU's region table: whole lines, since each CPU writes its own. */
export function regionTableWords(config: MmConfig): number {
  return Math.ceil(config.regionsMax / LINE_WORDS) * LINE_WORDS;
}

/** Bytes of one CPU's scratch area behind the frames (touch_kernel.ts); 0 where there is none. */
export function touchScratchBytes(config: MmConfig): number {
  if (config.accessKernel !== 'wasm' || !config.contents) return 0;
  const words = LINE_WORDS + ACCESS_WINDOW_WORDS + config.regionsMax * PTRS_PER_TABLE;
  return Math.ceil(words / LINE_WORDS) * LINE_BYTES;
}

/** Histograms kept per thread. */
export const HIST_FAULT = 0;
export const HIST_MAJOR_FAULT = 1;
export const HIST_ALLOC_STALL = 2;
export const NR_HISTOGRAMS = 3;

/** Pages of the store: what is kept, each raw at worst, and blocks of classes that are not full. */
function storePages(config: MmConfig, zramPages: number, zswapPages: number): number {
  if (!config.contents) return 0;
  const slack = ZS_CLASSES * ZS_PAGES_PER_BLOCK;
  return (zramPages > 0 ? zramPages + slack : 0) + (zswapPages > 0 ? zswapPages + slack : 0);
}

/** @returns how many rows each table of such a machine has; pure */
export function mmSizes(config: MmConfig): MmSizes {
  const nrZones = config.nodes.reduce((sum, node) => sum + node.zonePages.length, 0);
  const managed = config.nodes.reduce(
    (sum, node) => sum + node.zonePages.reduce((a, b) => a + b, 0),
    0,
  );
  const nrPages = 1 + managed;
  assert(nrPages <= PFN_MAX, 'memory fits in the pfn field of a page-table entry');
  const nrNodes = config.nodes.length;
  const nrMemcgs = config.memcgsMax;
  assert(config.memcgs.length <= nrMemcgs, 'the groups of the configuration fit');
  const nrLruvecs = nrMemcgs * nrNodes;
  const devices = swapLayout(config);
  assert(devices.length <= SWAP_DEVICES_MAX, 'swap devices are no more than there can be');
  const nrSlots = swapSlots(devices);
  assert(nrSlots <= PFN_MAX, 'swap fits in the slot field of a page-table entry');
  const nrZswapSlots = config.swap === 'zswap' ? nrSlots : 0;
  const zramPages = devices.reduce(
    (sum, { kind, pages }) => sum + (kind === 'zram' ? pages : 0),
    0,
  );
  const slabs = slabSizes(nrNodes, nrMemcgs, config.dentriesMax, config.inodesMax);
  const mounts = config.superBlocksMax;
  const nrShadowNodes = shadowNodes(nrSlots);
  return {
    nrPages,
    nrZones,
    nrNodes,
    nrMemcgs,
    nrLruvecs,
    shrinkers: shrinkerSizes(nrNodes, nrLruvecs, config.shrinkersMax),
    slabs,
    lists: listLruSizes(nrNodes, nrMemcgs, mounts, slabs.nrObjects, nrShadowNodes, nrZswapSlots),
    fs: fsSizes(mounts, slabs),
    nrMms: Math.max(config.mmsMax, config.processes.length) + 1,
    // Half of them, and one link for each VMA, are kept for first faults (anon_vma.ts).
    nrAnonVmas: 2 * config.vmasMax + 1,
    nrAvcs: (AVCS_PER_VMA + 1) * config.vmasMax + 1,
    nrSlots,
    nrClusters: Math.ceil(nrSlots / SWAPFILE_CLUSTER),
    nrSwapDevices: devices.length,
    nrKcompressd: config.kcompressd === 'off' ? 0 : nrNodes * config.kcompressdThreads,
    nrZramSlots: zramPages > 0 ? nrSlots : 0,
    nrDiskSlots: devices.some(({ kind }) => kind === 'file') ? nrSlots : 0,
    nrZswapSlots,
    nrTables: config.pageTables + 1,
    nrShadowNodes,
    nrZramPages: storePages(config, zramPages, Math.min(managed, nrZswapSlots)),
    heads: nrPages,
    // Last, for each node: the queue of kshrinkd, and that of folios to be split.
    nrHeads: nrZones * (NR_PAGE_ORDERS + config.cpus) + nrLruvecs * T.NR_LRU_LISTS + 2 * nrNodes,
  };
}

/** Groups: their rows, their names, and what makes and removes them. */
function declareGroups(builder: ArenaBuilder, s: MmSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    memcg: builder.columns('memcg', T.MEMCG_COLUMNS, s.nrMemcgs),
    // @atomic events of memory.stat, a row for each group (memcg_events.ts)
    memcgStat: words('memcg.stat', s.nrMemcgs, MEMCG_STAT_WORDS),
    psi: builder.columns('psi', PSI_COLUMNS, s.nrMemcgs),
    // @atomic lock words of psi
    psiLock: words('psi.lock', s.nrMemcgs, LINE_WORDS),
    // @guardedBy cgroup_mutex  zero-terminated  @racy constant while referenced
    memcgName: builder.columns('memcg.name', { bytes: 'u8' }, s.nrMemcgs * MEMCG_NAME_BYTES).bytes,
    // @guardedBy cgroup_mutex  first group of each bucket of names
    cgroupHash: words('cgroup.hash', nameBuckets(s.nrMemcgs), 1),
    // @atomic words of cgroup_mutex, of the pool of rows and of cgroup_destroy
    cgroup: words('cgroup', 1, 2 * LINE_WORDS),
    // @atomic wait queue: woken when a group is to be released
    cgroupWait: words('cgroup.wait', 1, WAIT_QUEUE_WORDS),
  };
}

/** Kernel objects, the lists of unused ones, and what they are objects of. */
function declareObjects(builder: ArenaBuilder, s: MmSizes) {
  return {
    ...declareSlabs(builder, s.slabs),
    lists: declareListLru(builder, s.lists),
    fs: declareFs(builder, s.fs),
  };
}

/** Slots beyond their own rows: devices, what keeps their pages, the store. */
function declareSwap(builder: ArenaBuilder, s: MmSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    // @atomic bitmap: slots whose page was all zeroes
    zeromap: words('slot.zeromap', Math.ceil(s.nrSlots / 32), 1),
    cluster: builder.columns('cluster', T.CLUSTER_COLUMNS, s.nrClusters),
    // @atomic lock words of swap_cluster
    clusterLock: words('cluster.lock', s.nrClusters, 1),
    // @atomic NR_SWAP_PAGES and its like
    swapInfo: words('swap_info', 1, LINE_WORDS),
    swapDevice: declareSwapDevices(builder, s.nrSwapDevices),
    ...declareZswap(builder, s.nrZswapSlots),
    swapDisk: builder.columns('swap_disk', T.SWAP_DISK_COLUMNS, s.nrDiskSlots),
    zram: builder.columns('zram', T.ZRAM_COLUMNS, s.nrZramSlots),
    // @atomic lock words of zsmalloc_class
    zsClassLock: words('zs.class_lock', ZS_POOLS * ZS_CLASSES, LINE_WORDS),
    // @guardedBy zsmalloc_class  rows of zsmalloc.ts  @racy totals: read while stores go on
    zsClass: words('zs.class', ZS_POOLS * ZS_CLASSES, 8),
    // @guardedBy zsmalloc_class  block rows of zsmalloc.ts; free ones under zsmalloc_pool
    zsPage: words('zs.page', Math.ceil(s.nrZramPages / ZS_PAGES_PER_BLOCK), 6),
    // @guardedBy zsmalloc_pool  the lock, next unused block, free list, blocks; 6 and on: blocks of
    // each pool, which a limit reads without it
    zsPool: words('zs.pool', 1, LINE_WORDS),
  };
}

/** Address spaces: their rows, VMAs and what leads from pages to them, page tables. */
function declareAddressSpaces(builder: ArenaBuilder, config: MmConfig, s: MmSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    mm: builder.columns('mm', T.MM_COLUMNS, s.nrMms),
    // @atomic words of mmap_lock
    mmapLock: words('mm.mmap_lock', s.nrMms, RWSEM_WORDS),
    // @atomic words of vm_lock; a row for each VMA with perVmaLocks
    vmaLock: words(
      'vma.vm_lock',
      config.perVmaLocks === true ? config.vmasMax + 1 : 1,
      RWSEM_WORDS,
    ),
    // @atomic lock words of page_table_lock
    pageTableLock: words('mm.page_table_lock', s.nrMms, LINE_WORDS),
    // @atomic wait queue: woken when an OOM victim has given its memory back
    exitWait: words('mm.exit_wait', 1, WAIT_QUEUE_WORDS),
    // @atomic wait queue: woken when the OOM killer has chosen a victim
    oomReapWait: words('mm.oom_reap_wait', 1, WAIT_QUEUE_WORDS),
    vma: builder.columns('vma', T.VMA_COLUMNS, config.vmasMax + 1),
    anonVma: builder.columns('anon_vma', T.ANON_VMA_COLUMNS, s.nrAnonVmas),
    // @atomic words of anon_vma->rwsem; those of a root are in use
    anonVmaLock: words('anon_vma.rwsem', s.nrAnonVmas, RWSEM_WORDS),
    avc: builder.columns('avc', T.AVC_COLUMNS, s.nrAvcs),
    table: builder.columns('table', T.TABLE_COLUMNS, s.nrTables),
    // @atomic lock words of ptl
    ptl: words('table.ptl', s.nrTables, 1),
    // @atomic entries of all levels: cas on leaves, the CPU marks, ptl holders change
    pte: words('table.pte', s.nrTables, PTRS_PER_TABLE),
    // @guardedBy table_pool  POOL_* of row_pool.ts: three words for each kind of rows
    pool: words('pool', 1, LINE_WORDS),
    // @atomic lock word of table_pool
    poolLock: words('pool.lock', 1, LINE_WORDS),
  };
}

function declareMm(builder: ArenaBuilder, config: MmConfig, s: MmSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  const sync = declareSync(builder, {
    lockClasses: LOCK_ORDER,
    ordered: true,
    lockStat: config.lockStat,
    lockdep: config.lockdep,
  });
  return {
    sync,
    rcu: declareRcu(builder),
    page: builder.columns('page', T.PAGE_COLUMNS, s.nrPages),
    link: builder.columns('link', T.LINK_COLUMNS, s.nrPages + s.nrHeads),
    folioWait: declareBitWait(builder, 'folio.wait', FOLIO_WAIT_BUCKETS, T.PG_WAITERS),
    zone: builder.columns('zone', T.ZONE_COLUMNS, s.nrZones),
    // @atomic lock words of zone->lock
    zoneLock: words('zone.lock', s.nrZones, LINE_WORDS),
    // @guardedBy zone->lock  nr_free per order  @racy watermark test: looks again
    freeArea: words('zone.free_area', s.nrZones, NR_PAGE_ORDERS),
    // @atomic pages on each list of the zone
    zoneLru: words('zone.lru', s.nrZones, T.NR_LRU_LISTS),
    // @guardedBy pcp->lock  per zone and CPU: word 0 the lock, word 1 count
    pcp: words('pcp', s.nrZones * config.cpus, LINE_WORDS),
    node: builder.columns('node', T.NODE_COLUMNS, s.nrNodes),
    // @atomic word 0: thread id + 1 of who takes a node offline or online; 0 is nobody
    hotplug: words('node.hotplug', 1, LINE_WORDS),
    // @atomic wait queue
    kswapdWait: words('node.kswapd_wait', s.nrNodes, WAIT_QUEUE_WORDS),
    // @atomic wait queue
    kcompactdWait: words('node.kcompactd_wait', s.nrNodes, WAIT_QUEUE_WORDS),
    // @atomic wait queue
    pfmemallocWait: words('node.pfmemalloc_wait', s.nrNodes, WAIT_QUEUE_WORDS),
    // @atomic wait queue
    reclaimWait: words('node.reclaim_wait', s.nrNodes, WAIT_QUEUE_WORDS),
    ...declareKshrinkd(builder, config, s.nrNodes, s.nrPages),
    ...declareKcompressd(builder, s.nrKcompressd, config.kcompressdThreads),
    lruvec: builder.columns('lruvec', T.LRUVEC_COLUMNS, s.nrLruvecs),
    // @atomic lock words of lruvec->lru_lock
    lruLock: words('lruvec.lru_lock', s.nrLruvecs, LINE_WORDS),
    // @atomic pages on each list; written under lru_lock, read without
    lruSize: words('lruvec.size', s.nrLruvecs, T.NR_LRU_LISTS),
    // @atomic pages of each list in groups below this one; the root has its zones' sums instead
    lruBelow: words('lruvec.below', s.nrLruvecs, T.NR_LRU_LISTS),
    ...declareGroups(builder, s),
    shrinker: declareShrinkers(builder, s.shrinkers),
    ...declareObjects(builder, s),
    ...declareAddressSpaces(builder, config, s),
    slot: builder.columns('slot', T.SLOT_COLUMNS, s.nrSlots),
    ...declareThp(builder, s.nrNodes),
    ...declareFiles(builder, config, s.fs.nrInodes, s.nrShadowNodes),
    ...declareHostFiles(builder, config, s.fs),
    ...declareSwap(builder, s),
    // @guardedBy lru_batch  per thread: word 0 the lock, 1 count, 2.. pfns
    lruBatch: words('lru_batch', THREADS_MAX, 2 * LINE_WORDS),
    // @guardedBy memcg_stock  per thread: word 0 the lock, 1 memcg, 2 pages; 3 is the thread's own:
    // its `task.memcg`, for the walkers
    stock: words('memcg.stock', THREADS_MAX, LINE_WORDS),
    // @atomic word 0: odd while the CPU is in a section; word 1: who waits for it to leave
    section: words('cpu.section', config.cpus, LINE_WORDS),
    // @owner cpu  the events that it translates, and their frames (access_kernel.ts)
    accessWindow: words('cpu.access_window', config.cpus, ACCESS_WINDOW_WORDS),
    // @owner cpu  first leaf entry of each region of its program, -1 for none
    regionTable: words('cpu.region_table', config.cpus, regionTableWords(config)),
    // @atomic per CPU: how its program ended and what its checks found (CPU_* of user.ts)
    cpuState: words('cpu.state', config.cpus, LINE_WORDS),
    // @atomic word 0 lock of oom_lock; the rest OOM_* words
    oom: words('oom', 1, LINE_WORDS),
    // @guardedBy oom_lock  texts of the first reports, zero-terminated
    oomRecord: builder.columns('oom.record', { bytes: 'u8' }, 16 * 4096).bytes,
    // @owner thread of the row  @racy sums: a late increment shows next time
    events: builder.columns('vm_event', { cell: 'f64' }, THREADS_MAX * NR_VM_EVENTS).cell,
    histogram: declareHistograms(builder, 'histogram', THREADS_MAX * NR_HISTOGRAMS),
    // @atomic GATE_* words
    gate: words('gate', 1, LINE_WORDS),
    // @atomic wait queue
    gateWait: words('gate.wait', 1, WAIT_QUEUE_WORDS),
    // @owner cpu  why its program failed; read by the main thread after it ended
    cpuNote: builder.columns('cpu.note', { bytes: 'u8' }, config.cpus * CPU_NOTE_BYTES).bytes,
    // @owner cpu  events done  @racy progress: a late count shows next time
    cpuEvents: builder.columns('cpu.events', { done: 'f64' }, config.cpus * LINE_WORDS).done,
    sched: declareSched(builder, config, s.nrMms),
    ...declareOpenFiles(builder, config, s.nrMms),
    tasks: declareTasks(builder),
    faults: declareFaults(builder, FAULT_NAMES.length),
  };
}

export type MmTables = ReturnType<typeof declareMm>;

/** The engine's tables plus what is private to this thread. */
export interface Mm extends MmTables {
  readonly config: MmConfig;
  readonly buffers: MmBuffers;
  readonly sizes: MmSizes;
  readonly sync: SyncDomain;
  readonly rcu: RcuTable;
  readonly tasks: TaskTable;
  readonly arenaBytes: number;
  /** Views of the frame buffers, by pfn / FRAME_BUFFER_PAGES. */
  readonly frame8: readonly U8[];
  readonly frame32: readonly I32[];
  /** Views of the store's buffers, by block / ZS_BUFFER_BLOCKS. */
  readonly store8: readonly U8[];
  readonly store32: readonly U32[];
  /** Callbacks of shrinkers, by type: this thread's own copies. */
  readonly shrinkerTypes: (ShrinkerType | undefined)[];
  /** Flaws of the policy, one by one. */
  readonly shrinkerFlaws: ReadonlySet<ShrinkerFlaw>;
  /** The policy's walk, WALK_*: a number compares faster than a word of the configuration. */
  readonly shrinkerWalk: number;
  /** What becomes of folios whose rmap lock is taken, CONTENDED_*. */
  readonly contended: number;
  /** Who compresses what kswapd swaps out, KCOMPRESSD_*. */
  readonly kcompressdPolicy: number;
  /** This thread. Not shared. */
  readonly task: Task;
}

/** A thread's own state in the engine. Private to the thread: plain fields. */
export interface Task {
  /** Thread id, 1 .. THREADS_MAX-1; 0 for the main thread, which only reads. */
  readonly id: number;
  /** Simulated CPU, or -1 for a kthread. */
  readonly cpu: number;
  /** This thread's event cells. */
  readonly events: F64;
  /** PF_MEMALLOC: reclaim's own allocations ignore watermarks and never reclaim. */
  memalloc: boolean;
  /** PF_KSWAPD. */
  kswapd: boolean;
  /** The address space it runs in, 0 for a kthread. */
  mm: number;
  /** Group that it charges to; it holds a reference on it. */
  memcg: number;
  /** Round of the shared walk over groups that it has joined (memcg_iter.ts). */
  iterGeneration: number;
  /** Depth of psiMemstallEnter, and the group that is told. */
  memstall: number;
  psiMemcg: number;
  /** It runs a program, which waits for nothing when it is not stalled. */
  productive: boolean;
  /** Pages that it has charged above memory.high and not paid for. */
  overHigh: number;
  /** Slab pages that it has given back since reclaim last asked. */
  reclaimedSlab: number;
  /** Its handle on the shrinkers' SRCU domain, made at first use. */
  shrinkerSrcu: SrcuDomain | null;
  /** What finds the next shrinker of a walk, made at first use. */
  shrinkScan: ShrinkScan | null;
  /** Swap device that it allocates from, for so many slots more. */
  swapDevice: number;
  swapLeft: number;
  /** Its cluster on each device, counted from the device's first. */
  readonly swapClusters: Int32Array;
}

function bindMm(
  tables: MmTables,
  arenaBytes: number,
  buffers: MmBuffers,
  config: MmConfig,
  id: number,
  cpu: number,
): Mm {
  const frames = buffers.frames;
  const { nrPages } = mmSizes(config);
  const bytesOfFrames = (index: number): number =>
    Math.min(FRAME_BUFFER_PAGES, nrPages - index * FRAME_BUFFER_PAGES) * PAGE_SIZE;
  return {
    ...tables,
    config,
    buffers,
    sizes: mmSizes(config),
    arenaBytes,
    frame8: frames.map(({ buffer }, i) => new Uint8Array(buffer, 0, bytesOfFrames(i))),
    frame32: frames.map(({ buffer }, i) => new Int32Array(buffer, 0, bytesOfFrames(i) / 4)),
    store8: buffers.store.map((buffer) => new Uint8Array(buffer)),
    store32: buffers.store.map((buffer) => new Uint32Array(buffer)),
    shrinkerTypes: [],
    shrinkerFlaws: shrinkerFlaws(config),
    shrinkerWalk: shrinkerWalk(config.shrinker),
    contended: contendedPolicy(config.contended),
    kcompressdPolicy: KCOMPRESSD_POLICIES.indexOf(config.kcompressd),
    task: {
      id,
      cpu,
      events: tables.events.subarray(id * NR_VM_EVENTS, (id + 1) * NR_VM_EVENTS),
      memalloc: false,
      kswapd: false,
      mm: 0,
      memcg: 0,
      iterGeneration: 0,
      memstall: 0,
      psiMemcg: 0,
      productive: false,
      overHigh: 0,
      reclaimedSlab: 0,
      shrinkerSrcu: null,
      shrinkScan: null,
      swapDevice: 0,
      swapLeft: 0,
      swapClusters: new Int32Array(SWAP_DEVICES_MAX).fill(cpu + 1),
    },
  };
}

/** Bytes of metadata that a machine of this configuration needs (frames and zram store apart). */
export function arenaBytes(config: MmConfig): number {
  return measureArena((builder) => declareMm(builder, config, mmSizes(config)));
}

/**
 * Makes the tables and the frames, all zero: `mmInit` of mm_init.ts fills them.
 * @param spare memory to take where it has the size: `giveMmBuffers`
 * @throws RangeError when the metadata exceeds the arena's 4 GiB or the host has no memory for the
 *   frames
 * @context the main thread, before any worker starts
 */
export function createMm(config: MmConfig, spare?: SpareMemory): Mm {
  const sizes = mmSizes(config);
  const arena = createArena((builder) => declareMm(builder, config, sizes), spare);
  const frames: SharedMemory[] = [];
  if (config.contents) {
    for (let pfn = 0; pfn < sizes.nrPages; pfn += FRAME_BUFFER_PAGES) {
      const pages = Math.min(FRAME_BUFFER_PAGES, sizes.nrPages - pfn);
      const scratch = pages === sizes.nrPages ? config.cpus * touchScratchBytes(config) : 0;
      frames.push(newSharedMemory(pages * PAGE_SIZE + scratch, spare));
    }
  }
  const store = newStore(sizes.nrZramPages, spare);
  const buffers: MmBuffers = { memory: arena.memory, frames, store };
  return bindMm(arena.tables, arena.sizeBytes, buffers, config, 0, -1);
}

/**
 * Binds to a machine that another thread made.
 * @param id this thread's id @param cpu the simulated CPU it is, or -1
 */
export function attachMm(buffers: MmBuffers, config: MmConfig, id: number, cpu: number): Mm {
  assert(id < THREADS_MAX && cpu < CPUS_MAX, 'thread id or CPU out of range');
  const sizes = mmSizes(config);
  const arena = attachArena(buffers.memory, (builder) => declareMm(builder, config, sizes));
  return bindMm(arena.tables, arena.sizeBytes, buffers, config, id, cpu);
}

/** Declares a machine's tables in an arena that has others too. Pure, as the arena asks. */
export function declareMmTables(builder: ArenaBuilder, config: MmConfig): MmTables {
  return declareMm(builder, config, mmSizes(config));
}

/**
 * Binds to such tables: a machine without page contents, whose parts are tortured one by one.
 * @param memory the arena's @param config `contents` is off
 * @param id this thread's id, 0 for the main thread @param cpu the simulated CPU it is, or -1
 */
export function bindMmTables(
  tables: MmTables,
  memory: SharedMemory,
  config: MmConfig,
  id: number,
  cpu: number,
): Mm {
  assert(!config.contents, 'tables in a foreign arena have no page contents');
  return bindMm(tables, 0, { memory, frames: [], store: [] }, config, id, cpu);
}

/** The batch row must hold the lock, the count and the entries. */
assert(PAGEVEC_SIZE + 2 <= 2 * LINE_WORDS, 'an LRU batch fits in its row');
