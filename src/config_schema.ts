// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a user may configure, under which names, and within which bounds.
 *
 * An option has one name in the library (`memcgMax`), which is also its key in a configuration
 * file; on the command line it is `--memcg-max`; a sysctl (`vm.swappiness`) names the same option.
 */
import * as v from 'valibot';
import { oneLine, UsageError } from './errors.ts';
import type { ShrinkerPolicy, ShrinkerTypeConfig, SwapKind } from './mm/config.ts';
import {
  CONTENDED_POLICIES,
  type ContendedPolicy,
  KSHRINKD_BUGS,
  type KshrinkdBug,
} from './mm/contended.ts';
import { FAULT_NAMES, type FaultAttr, type FaultConfig, MODEST_FAULTS } from './mm/faults.ts';
import {
  KCOMPRESSD_BUGS,
  KCOMPRESSD_POLICIES,
  KCOMPRESSD_THREADS_MAX,
  type KcompressdBug,
  type KcompressdPolicy,
} from './mm/kcompressd_types.ts';
import {
  CPUS_MAX,
  MAX_SWAPPINESS,
  MEMCGS_MAX,
  NODES_MAX,
  PFN_MAX,
  TASKS_MAX,
} from './mm/limits.ts';
import { SWAP_DEVICES_MAX } from './mm/swap_types.ts';
import { THP_ORDER_MAX } from './mm/thp_types.ts';
import { shrinkerTypesSchema } from './shrinker_type_schema.ts';
import type { Size } from './size.ts';
import { VMA_KINDS, type VmaKinds } from './workload/vma_kinds.ts';

/** One of several swap devices. */
export interface SwapDeviceOption {
  readonly kind: 'zram' | 'file';
  /** Slots, 1 or more. */
  readonly sizePages: number;
  /** Higher ones are filled first, equals in turn. Default: -2 for the first, one less for each. */
  readonly priority?: number;
  /** The file; null, the default, for a temporary one. */
  readonly path?: string | null;
}

/** How a machine is set up. Everything has a default. */
export interface MachineConfig {
  /** Memory of all nodes together: bytes, `64M`, or a part of the footprint. Default `50%`. */
  readonly memory?: Size;
  /** Limit of the group that all programs are in. The node is then twice the footprint. */
  readonly memcgMax?: Size | null;
  /** Simulated CPUs, 1 .. 32. Default: one for each trace. */
  readonly cpus?: number;
  /** NUMA nodes that share the memory, 1 .. 16. Default 1. */
  readonly nodes?: number;
  readonly lru?: 'classic';
  /** Real threads in real time, or one at a time in the order that `seed` draws. */
  readonly mode?: 'parallel' | 'deterministic';
  /** zram; a file on the host's disk; zswap in front of one; nothing. Default `zram`. */
  readonly swap?: SwapKind;
  /**
   * The swap file, kept afterwards. It must be new, empty, or have been a swap file. Default: a
   * temporary one, gone at the end.
   */
  readonly swapFile?: string | null;
  /** Several swap devices instead of one; with `swap` 'zswap', zswap is in front of the files. */
  readonly swapDevices?: readonly SwapDeviceOption[] | null;
  /** Size of the swap device, uncompressed. Default: twice the footprint. */
  readonly swapSize?: Size;
  /** SWP_SYNCHRONOUS_IO of zram: no readahead, and a slot is freed at swap-in. Default true. */
  readonly swapSynchronous?: boolean;
  /** Reclaim only tries the rmap lock, as the kernel since 6d4675e60135. Default true. */
  readonly rmapTrylock?: boolean;
  /** What reclaim does with folios whose rmap lock is taken (src/mm/contended.ts). Default head. */
  readonly contended?: ContendedPolicy;
  /** What is wrong with kshrinkd as posted, by name. Default none. */
  readonly kshrinkdBugs?: readonly KshrinkdBug[];
  /** Who compresses what kswapd swaps out (src/mm/kcompressd_types.ts). Default off. */
  readonly kcompressd?: KcompressdPolicy;
  /** Threads of kcompressd on each node, 1 .. 4. Default 1. */
  readonly kcompressdThreads?: number;
  /** A page is compressed so often, 1 .. 1000, as a codec does that is slower. Default 1. */
  readonly compressCost?: number;
  /** What is wrong with kcompressd as posted, by name. Default none. */
  readonly kcompressdBugs?: readonly KcompressdBug[];
  /** Kernel objects on node 0 alone: the others can always be emptied. Default false. */
  readonly movableNode?: boolean;
  /** Faults find and lock their VMA without mmap_lock, where that will do. Default false. */
  readonly perVmaLocks?: boolean;
  /** A kcompactd for each node, which makes free blocks of pages. Default false. */
  readonly kcompactd?: boolean;
  /** transparent_hugepage=: `always`, `madvise` or `never`. Default: a kernel without. */
  readonly transparentHugepage?: 'always' | 'madvise' | 'never' | null;
  /** thp_anon=, by size: `16K-64K:always;2M:inherit`. Default: 2M inherits, the others never. */
  readonly thpAnon?: string | null;
  /** vm.swappiness, 0 .. 200. Default 60. */
  readonly swappiness?: number;
  /** vm.page-cluster, 0 .. 5. Default 3. */
  readonly pageCluster?: number;
  /** vm.min_free_kbytes; null, the default, for the kernel's formula. */
  readonly minFreeKbytes?: number | null;
  /** vm.watermark_scale_factor, 1 .. 3000. Default 10. */
  readonly watermarkScaleFactor?: number;
  /** Who may run while a shrinker comes or goes. Default `lockless-fixed`. */
  readonly shrinker?: ShrinkerPolicy;
  /** Types of shrinkers of the user's own, which every thread loads at boot. Default: none. */
  readonly shrinkerTypes?: readonly ShrinkerTypeConfig[];
  /** Kernel objects are charged to groups; cgroup.memory=nokmem when off. Default true. */
  readonly kmem?: boolean;
  /** vm.vfs_cache_pressure, 0 .. 1000. Default 100. */
  readonly vfsCachePressure?: number;
  /**
   * Groups that may exist at once, the root and dying ones included, 1 .. 65536; null, the default,
   * for those of the configuration, to which none can be added.
   */
  readonly memcgsMax?: number | null;
  /** Shrinkers that may exist at once, 1 .. 65536. Default 64. */
  readonly shrinkersMax?: number;
  /** Mounts that may exist at once, 1 .. 65536. Default 16. */
  readonly mountsMax?: number;
  /** Dentries that may exist at once, 1 .. 2^22. Default 1024. */
  readonly dentriesMax?: number;
  /** Inodes that may exist at once, 1 .. 2^22. Default 1024. */
  readonly inodesMax?: number;
  /** Pages that all files together may hold, swapped ones too, 0 .. 2^26. Default 1024. */
  readonly filePagesMax?: number;
  /**
   * Simulated processes and threads that generator programs may have at once, 0 .. 16384; null, the
   * default, for 256 where a program is a generator, else none.
   */
  readonly tasksMax?: number | null;
  /**
   * Programs may mount directories of the host; a list of directories: these are mounts 1, 2, ...
   * when programs begin. Needs `contents`. Default false.
   */
  readonly hostFiles?: boolean | readonly string[];
  /** read_ahead_kb: most that a read of a host's file reads ahead, 0 .. 4096. Default 128. */
  readonly readAheadKb?: number;
  /**
   * Largest order of the folios that readahead makes for host files, 0 .. 9 (2 MiB). Default 0:
   * single pages.
   */
  readonly fileLargeFolios?: number;
  /** vm.dirty_ratio, 1 .. 100: writers of more dirty memory wait. Default 20. */
  readonly dirtyRatio?: number;
  /** vm.dirty_background_ratio, 0 .. 100: from here on the flusher writes. Default 10. */
  readonly dirtyBackgroundRatio?: number;
  /** vm.dirty_writeback_centisecs, 0 .. 2^20: how often all is written. Default 500. */
  readonly dirtyWritebackCentisecs?: number;
  /** zswap.max_pool_percent, 0 .. 100: most of the memory that zswap may take. Default 20. */
  readonly zswapMaxPoolPercent?: number;
  /** zswap.accept_threshold_percent, 0 .. 100: full, it accepts again below. Default 90. */
  readonly zswapAcceptThresholdPercent?: number;
  /** zswap.shrinker_enabled: memory pressure writes its entries back. Default false. */
  readonly zswapShrinkerEnabled?: boolean;
  /** Entries of each CPU's emulated TLB, a power of two; 0, the default, for none. */
  readonly tlb?: number;
  /** The emulated TLB is flushed every so many accesses; 0, the default, for never. */
  readonly tlbFlush?: number;
  /** Page frames hold bytes, and every read is checked. Default true. */
  readonly contents?: boolean;
  /** Check the order of locks. Default false. */
  readonly lockdep?: boolean;
  /** Count acquisitions, contentions and times of locks. Default true. */
  readonly lockStat?: boolean;
  /** A thread without a sign of life for so many seconds is reported as hung. Default 10. */
  readonly hungTask?: number;
  /** Interrupt the run after so many seconds; null, the default, for never. */
  readonly timeout?: number | null;
  /** 0 .. 2^32-1. Default 1. */
  readonly seed?: number;
  /** Faults to inject, by kind; null, the default, for none; 'all' for all, at modest rates. */
  readonly faults?: FaultConfig | 'all' | null;
  /** Draws the faults. Default: `seed`. */
  readonly faultSeed?: number | null;
  /** All CPUs share one address space and one trace. Default false. */
  readonly share?: boolean;
  /**
   * How the pages of traces are mapped: 'anon', the default; 'mixed', those of files as private
   * mappings of a file, as the traces' sidecars have it; 'file', all of them as a shared one.
   */
  readonly vmas?: VmaKinds;
}

/** A configuration without defaults left to fill; sizes are still as given. */
export type FullConfig = {
  readonly [Key in keyof MachineConfig]-?: Exclude<MachineConfig[Key], undefined>;
} & { readonly faults: FaultConfig | null };

const between = (low: number, high: number, what = 'an integer') =>
  `give ${what} in ${low}..${high}`;

const int = (low: number, high: number) => {
  const message = between(low, high);
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(low, message),
    v.maxValue(high, message),
  );
};
const seconds = (low: number) => {
  const message = between(low, 1e6, 'seconds');
  return v.pipe(v.number(message), v.minValue(low, message), v.maxValue(1e6, message));
};
const flag = v.boolean('give true or false');
const size = v.union([v.string(), v.number()], 'give a size such as 64M or 50%');
const powerOfTwo = v.check<number, string>(
  (value) => value === 0 || Number.isInteger(Math.log2(value)),
  'give a power of two, or 0 for none',
);

const FAULTS_HINT = `give 'all', or { NAME: '1/N' } with names of ${FAULT_NAMES.join(', ')}`;
/** One call in N, as `{ oneIn: N }` or `'1/N'`. */
const fault = v.union([
  v.pipe(
    v.string(),
    v.regex(/^1\/[1-9]\d{0,8}$/),
    v.transform((text): FaultAttr => ({ oneIn: Number(text.slice(2)), interval: 1, times: null })),
  ),
  v.strictObject({
    oneIn: int(1, 1e9),
    interval: v.optional(int(1, 1e9), 1),
    times: v.optional(v.nullable(int(0, 2 ** 31 - 1)), null),
  }),
]);
const faults = v.strictObject(
  Object.fromEntries(FAULT_NAMES.map((name) => [name, v.optional(fault)])) as Record<
    (typeof FAULT_NAMES)[number],
    ReturnType<typeof v.optional<typeof fault, undefined>>
  >,
);
const allFaults = v.pipe(
  v.literal('all'),
  v.transform((): FaultConfig => MODEST_FAULTS),
);

const SWAP_KINDS = ['zram', 'file', 'zswap', 'none'] as const;
const SWAP_HINT = "give 'zram', 'file', 'zswap' or 'none'";
const path = v.pipe(v.string('give a path'), v.minLength(1, 'give a path'));
/** sys_swapon takes what fits in 15 bits; the kernel's own are negative. */
const PRIORITY_MAX = 32767;
const swapDevice = v.strictObject({
  kind: v.picklist(['zram', 'file'], "give 'zram' or 'file'"),
  sizePages: int(1, PFN_MAX - 2),
  priority: v.optional(int(-PRIORITY_MAX, PRIORITY_MAX)),
  path: v.optional(v.nullable(path), null),
});
const DEVICES_HINT = `give 1..${SWAP_DEVICES_MAX} devices`;
const swapDevices = v.pipe(
  v.array(swapDevice, DEVICES_HINT),
  v.minLength(1, DEVICES_HINT),
  v.maxLength(SWAP_DEVICES_MAX, DEVICES_HINT),
);

const hostFiles = v.union([flag, v.array(path)], 'give true, false, or a list of directories');
/** As files of /sys/module take it, too. */
const parameterFlag = v.pipe(
  v.union([flag, v.picklist(['Y', 'N', 'y', 'n', 0, 1])], 'give Y or N'),
  v.transform((value) => value === true || value === 1 || value === 'Y' || value === 'y'),
);

const THP_CHOICES = ['always', 'madvise', 'never'] as const;
const THP_HINT = "give 'always', 'madvise' or 'never'";
const SHRINKER_POLICIES = ['rwsem', 'srcu', 'lockless', 'lockless-fixed'] as const;
const CONTENDED_HINT = `give one of ${CONTENDED_POLICIES.join(', ')}`;
const BUGS_HINT = `give a list of ${KSHRINKD_BUGS.join(', ')}`;
const KCOMPRESSD_HINT = `give one of ${KCOMPRESSD_POLICIES.join(', ')}`;
const PROTOTYPE_HINT = `give a list of ${KCOMPRESSD_BUGS.join(', ')}`;
const POLICY_HINT = "give 'rwsem', 'srcu', 'lockless' or 'lockless-fixed'";
/** More than a machine has a use for, and far from what an i32 of a table can name. */
const SHRINKERS_MAX = 1 << 16;
const MOUNTS_MAX = 1 << 16;
const FILE_PAGES_MAX = 1 << 26;
const OBJECTS_MAX = 1 << 22;

/** What later versions bring: accepted by name, refused by value. */
const LATER: Readonly<Record<string, readonly string[]>> = {
  lru: ['mglru'],
};

/** All options with their bounds and defaults. */
export const MACHINE_SCHEMA = v.strictObject({
  memory: v.optional(size, '50%'),
  memcgMax: v.optional(v.nullable(size), null),
  cpus: v.optional(int(1, CPUS_MAX), 1),
  nodes: v.optional(int(1, NODES_MAX), 1),
  lru: v.optional(v.picklist(['classic'], "give 'classic'"), 'classic'),
  mode: v.optional(
    v.picklist(['parallel', 'deterministic'], "give 'parallel' or 'deterministic'"),
    'parallel',
  ),
  swap: v.optional(v.picklist(SWAP_KINDS, SWAP_HINT), 'zram'),
  swapFile: v.optional(v.nullable(path), null),
  swapDevices: v.optional(v.nullable(swapDevices), null),
  swapSize: v.optional(size, '200%'),
  swapSynchronous: v.optional(flag, true),
  rmapTrylock: v.optional(flag, true),
  contended: v.optional(v.picklist(CONTENDED_POLICIES, CONTENDED_HINT), 'head'),
  kshrinkdBugs: v.optional(v.array(v.picklist(KSHRINKD_BUGS, BUGS_HINT)), []),
  kcompressd: v.optional(v.picklist(KCOMPRESSD_POLICIES, KCOMPRESSD_HINT), 'off'),
  kcompressdThreads: v.optional(int(1, KCOMPRESSD_THREADS_MAX), 1),
  compressCost: v.optional(int(1, 1000), 1),
  kcompressdBugs: v.optional(v.array(v.picklist(KCOMPRESSD_BUGS, PROTOTYPE_HINT)), []),
  movableNode: v.optional(flag, false),
  kcompactd: v.optional(flag, false),
  perVmaLocks: v.optional(flag, false),
  transparentHugepage: v.optional(v.nullable(v.picklist(THP_CHOICES, THP_HINT)), null),
  thpAnon: v.optional(v.nullable(v.string("give '16K-64K:always'")), null),
  swappiness: v.optional(int(0, MAX_SWAPPINESS), 60),
  pageCluster: v.optional(int(0, 5), 3),
  minFreeKbytes: v.optional(v.nullable(int(1, 2 ** 25)), null),
  watermarkScaleFactor: v.optional(int(1, 3000), 10),
  shrinker: v.optional(v.picklist(SHRINKER_POLICIES, POLICY_HINT), 'lockless-fixed'),
  shrinkerTypes: v.optional(shrinkerTypesSchema, []),
  kmem: v.optional(flag, true),
  vfsCachePressure: v.optional(int(0, 1000), 100),
  memcgsMax: v.optional(v.nullable(int(1, MEMCGS_MAX)), null),
  shrinkersMax: v.optional(int(1, SHRINKERS_MAX), 64),
  mountsMax: v.optional(int(1, MOUNTS_MAX), 16),
  dentriesMax: v.optional(int(1, OBJECTS_MAX), 1024),
  filePagesMax: v.optional(int(0, FILE_PAGES_MAX), 1024),
  inodesMax: v.optional(int(1, OBJECTS_MAX), 1024),
  tasksMax: v.optional(v.nullable(int(0, TASKS_MAX)), null),
  hostFiles: v.optional(hostFiles, false),
  readAheadKb: v.optional(int(0, 4096), 128),
  fileLargeFolios: v.optional(int(0, THP_ORDER_MAX), 0),
  dirtyRatio: v.optional(int(1, 100), 20),
  dirtyBackgroundRatio: v.optional(int(0, 100), 10),
  dirtyWritebackCentisecs: v.optional(int(0, 1 << 20), 500),
  zswapMaxPoolPercent: v.optional(int(0, 100), 20),
  zswapAcceptThresholdPercent: v.optional(int(0, 100), 90),
  zswapShrinkerEnabled: v.optional(parameterFlag, false),
  tlb: v.optional(v.pipe(int(0, 2 ** 20), powerOfTwo), 0),
  tlbFlush: v.optional(int(0, 2 ** 30), 0),
  contents: v.optional(flag, true),
  lockdep: v.optional(flag, false),
  lockStat: v.optional(flag, true),
  hungTask: v.optional(seconds(0.1), 10),
  timeout: v.optional(v.nullable(seconds(0.001)), null),
  seed: v.optional(int(0, 2 ** 32 - 1), 1),
  faults: v.optional(v.nullable(v.union([allFaults, faults], FAULTS_HINT)), null),
  faultSeed: v.optional(v.nullable(int(0, 2 ** 32 - 1)), null),
  share: v.optional(flag, false),
  vmas: v.optional(v.picklist(VMA_KINDS, "give 'anon', 'mixed' or 'file'"), 'anon'),
});

/** Sysctls and parameters of modules, and the option that each one is. */
export const SYSCTLS: Readonly<Record<string, keyof MachineConfig>> = {
  'vm.swappiness': 'swappiness',
  'vm.page-cluster': 'pageCluster',
  'vm.min_free_kbytes': 'minFreeKbytes',
  'vm.watermark_scale_factor': 'watermarkScaleFactor',
  'vm.vfs_cache_pressure': 'vfsCachePressure',
  'vm.dirty_ratio': 'dirtyRatio',
  'vm.dirty_background_ratio': 'dirtyBackgroundRatio',
  'vm.dirty_writeback_centisecs': 'dirtyWritebackCentisecs',
  'zswap.max_pool_percent': 'zswapMaxPoolPercent',
  'zswap.accept_threshold_percent': 'zswapAcceptThresholdPercent',
  'zswap.shrinker_enabled': 'zswapShrinkerEnabled',
};

const OPTION_NAMES = Object.keys(MACHINE_SCHEMA.entries);

/** @returns the name in the library of `memcg-max`, `vm.swappiness`, or what there is not */
export function optionName(key: string): string {
  return SYSCTLS[key] ?? key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** @returns `--memcg-max:` for `memcgMax`, null for what is no option */
export function optionFlag(name: string): string | null {
  if (!OPTION_NAMES.includes(name)) return null;
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}:`;
}

function refuseLater(key: string, value: unknown): void {
  if (LATER[key]?.includes(value as string) !== true) return;
  throw new UsageError(`${key}: '${value as string}' is not in this version yet`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${oneLine(value, 40)}'`;
  if (typeof value === 'number') return String(value);
  return oneLine(JSON.stringify(value) ?? String(value), 40);
}

/**
 * Checks a configuration and fills in the defaults.
 * @param config keys are option names or sysctls @param source named in errors: a file, or empty
 * @returns every option; throws UsageError, one line, for the first wrong one
 */
export function parseConfig(config: unknown, source = ''): FullConfig {
  const where = source === '' ? '' : `${source}: `;
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new UsageError(`${where}not a configuration: give an object of options`);
  }
  const named: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    const name = optionName(key);
    if (!OPTION_NAMES.includes(name)) {
      const known = OPTION_NAMES.join(', ');
      throw new UsageError(`${where}unknown option '${oneLine(key, 40)}'; known are ${known}`);
    }
    if (value === undefined) continue;
    refuseLater(name, value);
    named[name] = value;
  }
  const result = v.safeParse(MACHINE_SCHEMA, named);
  if (result.success) return result.output as FullConfig;
  const issue = result.issues[0];
  const key = v.getDotPath(issue) ?? '';
  // Of a list, the entry that is wrong.
  const option = key.replace(/\.\d+$/, '');
  const value = option === key ? named[key] : issue.input;
  throw new UsageError(`${where}${option}: ${shown(value)} will not do; ${issue.message}`);
}

/**
 * The options of a configuration file, a JSON object, checked one by one.
 * @throws UsageError for what is no such object
 */
export function parseConfigText(text: string, source: string): MachineConfig {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    const reason = oneLine((error as Error).message);
    throw new UsageError(`${source}: not JSON: ${reason}; give an object of options`);
  }
  return parseConfigObject(config, source);
}

/**
 * Options under their names in the library, checked one by one; defaults are not filled in.
 * @param config keys are option names or sysctls @throws UsageError as parseConfig
 */
export function parseConfigObject(config: unknown, source: string): MachineConfig {
  parseConfig(config, source);
  const entries = Object.entries(config as object);
  return Object.fromEntries(entries.map(([key, value]) => [optionName(key), value]));
}
