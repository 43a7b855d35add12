// SPDX-License-Identifier: GPL-2.0-only
/**
 * The engine's configuration: plain data, resolved (no defaults left), handed to every worker by
 * structured clone. `src/config.ts` makes one from what a user wrote.
 */

import type { ContendedPolicy, KshrinkdBug } from './contended.ts';
import type { FaultConfig } from './faults.ts';
import type { KcompressdBug, KcompressdPolicy } from './kcompressd_types.ts';
import type { ThpMode } from './thp_types.ts';

/** Code that a worker loads at boot. Code does not cross workers; names do. */
export interface ModuleRef {
  /** URL of the module, as `import()` takes it. */
  readonly module: string;
  /** Name of the exported function. */
  readonly export: string;
}

/** A range of virtual page numbers that a process maps at start. */
export interface VmaSpec {
  /** First virtual page number, 0 .. 2^36-1. */
  readonly start: number;
  /** One past the last virtual page number. */
  readonly end: number;
  /** It maps the process's file; anonymous memory if not given. */
  readonly file?: VmaFile;
}

/** How a VMA maps its process's file. */
export interface VmaFile {
  /** Page of the file at its start. */
  readonly pgoff: number;
  /** MAP_SHARED: stores go to the file. */
  readonly shared: boolean;
  /** PROT_WRITE, PROT_EXEC. */
  readonly write: boolean;
  readonly exec: boolean;
}

/** A file of the host that VMAs of a process map at start. */
export interface ProcessFile {
  /** Directory of the host, which only the machine changes while it runs. */
  readonly dir: string;
  /** Name in it. */
  readonly name: string;
  /** What its pages were filled from (content.ts), for the check at the end; 0 for not known. */
  readonly fillId: number;
}

export interface ProcessConfig {
  readonly comm: string;
  /** Index into `memcgs`; 0 is the root group. */
  readonly memcg: number;
  /** Simulated CPUs that run this process: one thread of it on each. */
  readonly cpus: readonly number[];
  readonly program: ModuleRef;
  /** Passed to the program: structured-clonable, shared buffers allowed. */
  readonly args: unknown;
  readonly vmas: readonly VmaSpec[];
  /**
   * The program is a generator: it starts on the first of `cpus`, and those that it forks run on
   * any of them, taking turns. Otherwise it is a function, one thread of which runs on each.
   */
  readonly generator: boolean;
  /** What those of `vmas` map that map a file. */
  readonly file?: ProcessFile | null;
}

/** A generator program that simulated processes can fork and spawn by name. */
export interface ProgramConfig extends ModuleRef {
  readonly name: string;
  /** What every instance sees as `proc.shared`: structured-clonable, shared buffers too. */
  readonly shared: unknown;
}

export interface MemcgConfig {
  readonly name: string;
  /** Index of the parent group; the root (index 0) is its own parent. */
  readonly parent: number;
  /** Limit in pages, or null for none. */
  readonly maxPages: number | null;
  /** memory.high and memory.swap.max in pages; not given, or null, for none. */
  readonly highPages?: number | null;
  readonly swapMaxPages?: number | null;
  /** memory.min and memory.low in pages. Default 0. */
  readonly minPages?: number;
  readonly lowPages?: number;
}

export interface NodeConfig {
  /** Managed pages of each zone, lowest first. One entry is the usual case: zone Normal. */
  readonly zonePages: readonly number[];
}

/** How walks and the freeing of shrinkers keep clear of each other: seed 004, before and after. */
export type ShrinkerPolicy = 'rwsem' | 'srcu' | 'lockless' | 'lockless-fixed';

/** The walks of the policies: the last two have the same. */
export const WALK_RWSEM = 0;
export const WALK_SRCU = 1;
export const WALK_LOCKLESS = 2;

/** @returns the policy's WALK_* */
export function shrinkerWalk(policy: ShrinkerPolicy): number {
  if (policy === 'rwsem') return WALK_RWSEM;
  return policy === 'srcu' ? WALK_SRCU : WALK_LOCKLESS;
}

/**
 * What is wrong with the seed's version as posted, one by one.
 *   leak          one that does not run for a group, as objects are not accounted, is not put
 *   early-clear   the bit of a shrinker that is not registered yet is cleared
 *   stale-clear   a bit is cleared although its id has found a new owner since it was looked at
 *   stale-state   bits and put-off work of an id outlive its owner, and fall to the next
 *   lost-work     work put off for a removed group stays there
 */
export type ShrinkerFlaw = 'leak' | 'early-clear' | 'stale-clear' | 'stale-state' | 'lost-work';
const AS_POSTED: readonly ShrinkerFlaw[] = [
  'leak',
  'early-clear',
  'stale-clear',
  'stale-state',
  'lost-work',
];

/** @returns the flaws that a machine has: those asked for, else those of its policy */
export function shrinkerFlaws(config: MmConfig): ReadonlySet<ShrinkerFlaw> {
  const asked = config.shrinkerFlaws ?? (config.shrinker === 'lockless' ? AS_POSTED : []);
  return new Set(asked);
}

/** A type of shrinker of the user's own: its module is loaded by every worker at boot. */
export interface ShrinkerTypeConfig extends ModuleRef {
  readonly name: string;
  /** Passed to the export, which returns the callbacks: structured-clonable, shared buffers too. */
  readonly args: unknown;
}

/** zram; a file of the host; zswap in front of a file; nothing. */
export type SwapKind = 'zram' | 'file' | 'zswap' | 'none';

/** /sys/module/zswap/parameters, as they are at boot. */
export interface ZswapParameters {
  /** Most of the memory that the pool may take, in percent. */
  readonly maxPoolPercent: number;
  /** Once it is full, it accepts pages again below so many percent of that. */
  readonly acceptThresholdPercent: number;
  /** Memory pressure writes entries back. */
  readonly shrinkerEnabled: boolean;
}

export interface SwapDeviceConfig {
  readonly kind: 'zram' | 'file';
  /** Usable slots, at least 1. */
  readonly pages: number;
  /** Higher ones are filled first, equals in turn. */
  readonly priority: number;
  /** File of the host; null for a temporary one. */
  readonly path: string | null;
}

/** What the files named `enabled` say at boot. */
export interface ThpConfig {
  /** /sys/kernel/mm/transparent_hugepage/enabled: for orders that inherit it. */
  readonly enabled: 'always' | 'madvise' | 'never';
  /** hugepages-*kB/enabled, by order (2 .. 9); what is not given is never, of order 9 inherit. */
  readonly orders: Readonly<Record<number, ThpMode>>;
}

export interface MmConfig {
  readonly nodes: readonly NodeConfig[];
  /** Simulated CPUs, 1 .. CPUS_MAX. */
  readonly cpus: number;
  /** Groups that exist at boot. */
  readonly memcgs: readonly MemcgConfig[];
  /** Groups that may exist at once, the root and dying ones included: 1 .. MEMCGS_MAX. */
  readonly memcgsMax: number;
  /** Kernel objects are charged to groups (cgroup.memory=nokmem when off). */
  readonly kmem: boolean;
  readonly shrinker: ShrinkerPolicy;
  /** Null for those that the policy has: all of them for 'lockless', none for the others. */
  readonly shrinkerFlaws: readonly ShrinkerFlaw[] | null;
  /** Shrinkers that may exist at once. */
  readonly shrinkersMax: number;
  readonly shrinkerTypes: readonly ShrinkerTypeConfig[];
  /** Mounts that may exist at once. */
  readonly superBlocksMax: number;
  /** Dentries and inodes that may exist at once. */
  readonly dentriesMax: number;
  readonly inodesMax: number;
  /** Pages that all files together may hold, swapped ones included: 0 .. 2^26. */
  readonly filePagesMax: number;
  /** Directories of the host can be mounted; there is a flusher thread then. */
  readonly hostFiles: boolean;
  /** Those that are mounted at boot, as mounts 1, 2, ...; not given for none. */
  readonly hostDirs?: readonly string[];
  /** read_ahead_kb of the host's files: 0 reads only what is asked for. */
  readonly readAheadKb: number;
  /** Largest order of the host's files' folios, 0 .. 9; 0, or not given, for single pages. */
  readonly fileLargeFolios?: number;
  /** vm.dirty_ratio and vm.dirty_background_ratio, in percent of the memory that may be dirty. */
  readonly dirtyRatio: number;
  readonly dirtyBackgroundRatio: number;
  /** vm.dirty_writeback_centisecs: dirty pages are written every so often; 0 is never. */
  readonly dirtyWritebackCentisecs: number;
  /** vm.vfs_cache_pressure, in percent: 0 .. 1000. */
  readonly vfsCachePressure: number;
  readonly processes: readonly ProcessConfig[];
  /** Programs that processes can fork, by name. */
  readonly programs: readonly ProgramConfig[];
  /** Simulated processes and threads of them that may exist at once; 0 without generators. */
  readonly tasksMax: number;
  /** Page frames hold bytes. Off: metadata only, for runs larger than the host's memory. */
  readonly contents: boolean;
  /** What one device is, where `swapDevices` lists none; zswap in front of all files, or not. */
  readonly swap: SwapKind;
  /** Parameters of zswap; those that are not given are the kernel's. */
  readonly zswap?: Partial<ZswapParameters>;
  /** Slots of the one device. */
  readonly swapPages: number;
  /** File of the one device; null, or not given, for a temporary one. */
  readonly swapFile?: string | null;
  /** Devices, lowest slots first; null, or not given, for the one above. */
  readonly swapDevices?: readonly SwapDeviceConfig[] | null;
  /** vm.swappiness, 0 .. 200. */
  readonly swappiness: number;
  /** vm.page-cluster: swap readahead of 2^n pages; a synchronous device does none. */
  readonly pageCluster: number;
  /** SWP_SYNCHRONOUS_IO: zram's default. Off: the swap cache and readahead are used. */
  readonly swapSynchronous: boolean;
  /**
   * Reclaim only tries the rmap lock, and keeps the folio when it is taken: the kernel since
   * 6d4675e60135. Off: it waits, as before.
   */
  readonly rmapTryLock: boolean;
  /** What reclaim does with folios whose rmap lock is taken. */
  readonly contended: ContendedPolicy;
  /** What is wrong with kshrinkd as posted, one by one. */
  readonly kshrinkdBugs: readonly KshrinkdBug[];
  /** Who compresses what kswapd swaps out. */
  readonly kcompressd: KcompressdPolicy;
  /** Threads of kcompressd on each node: 1, 2 or 4. */
  readonly kcompressdThreads: number;
  /** Each page is compressed so often: a slower codec. Once if not given. */
  readonly compressCost?: number;
  /** What is wrong with kcompressd as posted, one by one. */
  readonly kcompressdBugs: readonly KcompressdBug[];
  /**
   * Kernel objects go to node 0 alone, so that the others can be emptied (movable_node). Off, or
   * not given: they go where they are made.
   */
  readonly movableNode?: boolean;
  /** Faults find and lock their VMA without mmap_lock (CONFIG_PER_VMA_LOCK). Not given: off. */
  readonly perVmaLocks?: boolean;
  /** A kcompactd for each node; off, or not given: there is none. */
  readonly kcompactd?: boolean;
  /** vm.min_free_kbytes, or null for the kernel's formula. */
  readonly minFreeKbytes: number | null;
  /** vm.watermark_scale_factor, 1 .. 3000, in units of 1/10,000 of the zone. */
  readonly watermarkScaleFactor: number;
  /** Entries of each CPU's emulated TLB (a power of two), or 0 for none. */
  readonly tlbEntries: number;
  /** The emulated TLB is flushed every so many events; 0 for never. */
  readonly tlbFlushEvents: number;
  /**
   * What translates and marks: WebAssembly, or its TypeScript twin. The emulated TLB has its own
   * loop.
   */
  readonly accessKernel: 'wasm' | 'ts';
  /**
   * Regions (512 pages) of the largest program that the WebAssembly kernel runs; larger ones run
   * the twin.
   */
  readonly regionsMax: number;
  /** Page-table pages that the arena has room for. */
  readonly pageTables: number;
  readonly vmasMax: number;
  /**
   * Address spaces that may exist at once, those of `processes` included, which keep their
   * rows.
   */
  readonly mmsMax: number;
  /** Large folios of anonymous memory; null, or not given, for a kernel without. */
  readonly thp?: ThpConfig | null;
  readonly lockStat: boolean;
  readonly lockdep: boolean;
  /** A thread that shows no sign of life for so long is reported as hung, in ms. */
  readonly hungTaskMs: number;
  readonly seed: number;
  /** Kinds of faults that are injected; null for none. */
  readonly faults: FaultConfig | null;
  readonly faultSeed: number;
}
