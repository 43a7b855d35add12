// SPDX-License-Identifier: GPL-2.0-only
/**
 * From what a user wrote to the engine's configuration.
 *
 * Definitions. The footprint is the number of pages that the processes touch, summed over address
 * spaces. `memory` P % is P % of the footprint, at least MEMORY_PAGES_MIN for each node. With
 * `memcgMax`, and `memory` not given, the node is twice the footprint, so that only the limit
 * matters. Metadata, page tables and the swap store lie outside the modelled memory.
 */
import { realpathSync, statSync } from 'node:fs';
import { sep } from 'node:path';
import { COMM_BYTES } from '../shared/thread.ts';
import { type FullConfig, type MachineConfig, parseConfig } from './config_schema.ts';
import { oneLine, UsageError } from './errors.ts';
import type {
  MemcgConfig,
  MmConfig,
  NodeConfig,
  ProcessConfig,
  SwapDeviceConfig,
} from './mm/config.ts';
import {
  MEMORY_PAGES_MIN,
  PAGE_SIZE,
  PFN_MAX,
  PROCESSES_MAX,
  PTRS_PER_TABLE,
  VPN_MAX,
} from './mm/limits.ts';
import { arenaBytes } from './mm/mm.ts';
import { swapLayout, swapSlots } from './mm/swap_types.ts';
import { formatBytes, parseSize, sizePages } from './size.ts';
import { thpConfig } from './thp_option.ts';
import {
  type GroupSpec,
  type ProcessSpec,
  type ProgramSpec,
  vmaPages,
  vmaTables,
} from './workload/workload.ts';

export { type FullConfig, type MachineConfig, parseConfig } from './config_schema.ts';

/** A group's limit is at least so much: a charge takes this many pages at once. */
const MEMCG_PAGES_MIN = 64;
/** Slots of the smallest swap device. */
const SWAP_PAGES_MIN = 256;
/** Page tables that lose a race and are in use for a moment, for each CPU. */
const SPARE_TABLES = 4;
/** Programs of more regions than this run the TypeScript twin of the access kernel. */
const KERNEL_REGIONS_MAX = 1 << 18;
const ARENA_BYTES_MAX = 2 ** 32;
/** VMAs that programs may make beyond those of the configuration, for each process. */
const SPARE_VMAS = 64;
/** VMAs of a process that is forked, beyond those of the configuration's. */
const FORK_VMAS = 16;
/** Simulated processes that may exist at once where a program is a generator. */
const TASKS_DEFAULT = 256;
/** Names of the groups: the root, and the one with the programs where there is a limit. */
const ROOT_GROUP = '';
const PROGRAMS_GROUP = 'programs';

/** Options that are sizes of tables, and the least of each. */
const TABLE_OPTIONS: readonly (readonly [string, (mm: MmConfig) => Partial<MmConfig>])[] = [
  ['memcgsMax', (mm) => ({ memcgsMax: mm.memcgs.length })],
  ['shrinkersMax', () => ({ shrinkersMax: 1 })],
  ['mountsMax', () => ({ superBlocksMax: 1 })],
  ['dentriesMax', () => ({ dentriesMax: 1 })],
  ['inodesMax', () => ({ inodesMax: 1 })],
  ['filePagesMax', () => ({ filePagesMax: 0 })],
];

/** What a machine is made of, all resolved. */
export interface ResolvedMachine {
  readonly mm: MmConfig;
  /** As reports show it: feeding it back in gives the same machine. */
  readonly config: FullConfig;
  readonly footprintPages: number;
}

function footprintOf(processes: readonly ProcessSpec[]): number {
  return processes.reduce((sum, p) => sum + (p.footprintPages ?? vmaPages(p.vmas)), 0);
}

function memoryPages(given: MachineConfig, full: FullConfig, footprint: number): number {
  const roomy = full.memcgMax !== null && given.memory === undefined;
  const size = roomy ? '200%' : full.memory;
  const least = MEMORY_PAGES_MIN * full.nodes;
  const parsed = parseSize('memory', size);
  const pages = sizePages('memory', size, footprint);
  if ('fraction' in parsed) return Math.max(pages, least);
  if (pages >= least) return pages;
  const nodes = full.nodes === 1 ? '' : ` for ${full.nodes} nodes`;
  const minimum = `${least * (PAGE_SIZE / 1024)}K (${least} pages)`;
  throw new UsageError(`memory: ${size} is too little${nodes}; give at least ${minimum}`);
}

function splitNodes(pages: number, nodes: number): NodeConfig[] {
  const share = Math.floor(pages / nodes);
  const first = pages - share * (nodes - 1);
  return Array.from({ length: nodes }, (_, nid) => ({ zonePages: [nid === 0 ? first : share] }));
}

function memcgLimit(full: FullConfig, footprint: number): number | null {
  if (full.memcgMax === null) return null;
  const parsed = parseSize('memcgMax', full.memcgMax);
  const pages = sizePages('memcgMax', full.memcgMax, footprint);
  if ('fraction' in parsed) return Math.max(pages, MEMCG_PAGES_MIN);
  if (pages >= MEMCG_PAGES_MIN) return pages;
  const minimum = `${MEMCG_PAGES_MIN * (PAGE_SIZE / 1024)}K`;
  throw new UsageError(`memcgMax: ${full.memcgMax} is too little; give at least ${minimum}`);
}

/** The devices that are listed, with their priorities; null where there is no list. */
function swapDevices(full: FullConfig): SwapDeviceConfig[] | null {
  if (full.swapDevices === null) return null;
  if (full.swap === 'none') {
    throw new UsageError("swapDevices: swap is 'none'; give another, or no devices");
  }
  if (full.swapFile !== null) {
    throw new UsageError('swapFile: swapDevices names the files; give one of the two');
  }
  const devices = full.swapDevices.map((device, at) => ({
    kind: device.kind,
    pages: device.sizePages,
    priority: device.priority ?? -2 - at,
    path: device.path ?? null,
  }));
  for (const { kind, path } of devices) {
    if (kind !== 'zram' || path === null) continue;
    throw new UsageError(`swapDevices: zram has no path; leave '${oneLine(path, 40)}' out`);
  }
  return devices;
}

/** Slots that a machine numbers. @throws UsageError when an entry cannot name all of them */
function checkSlots(mm: MmConfig): void {
  if (swapSlots(swapLayout(mm)) < PFN_MAX) return;
  const most = formatBytes((PFN_MAX - 1) * PAGE_SIZE);
  throw new UsageError(`swapDevices: all together are above the limit of ${most}; give less`);
}

function swapPages(full: FullConfig, footprint: number): number {
  if (full.swap === 'none' || full.swapDevices !== null) return 0;
  const pages = sizePages('swapSize', full.swapSize, footprint);
  if (pages >= PFN_MAX) {
    const most = formatBytes((PFN_MAX - 1) * PAGE_SIZE);
    throw new UsageError(`swapSize: ${full.swapSize} is above the limit of ${most}`);
  }
  if (pages >= SWAP_PAGES_MIN || 'fraction' in parseSize('swapSize', full.swapSize)) {
    return Math.max(pages, SWAP_PAGES_MIN);
  }
  const least = formatBytes(SWAP_PAGES_MIN * PAGE_SIZE);
  throw new UsageError(`swapSize: ${full.swapSize} is too little; give ${least} or swap 'none'`);
}

const PROCESS_KEYS = [
  ...['comm', 'cpus', 'program', 'args', 'generator', 'vmas'],
  ...['footprintPages', 'pageTables', 'file', 'filePages', 'rows', 'group'],
];
/** Of programs that can be forked by name. */
const NAMED_KEYS = ['name', 'module', 'export', 'shared'];
const PROGRAM_KEYS = ['module', 'export', 'args'];

/** @throws UsageError for a key that nothing reads */
function checkKeys(name: string, given: object, known: readonly string[]): void {
  const stray = Object.keys(given).find((key) => !known.includes(key));
  if (stray === undefined) return;
  throw new UsageError(
    `${name}: unknown key '${oneLine(stray, 40)}'; known are ${known.join(', ')}`,
  );
}

/** The arguments of a program, wherever they stand. @throws UsageError for two of them */
function argsOf(spec: ProcessSpec): unknown {
  const { args, program } = spec;
  if (args === undefined || program.args === undefined || args === program.args) {
    return args ?? program.args ?? null;
  }
  throw new UsageError('processes: args stand in program and beside it; give them once');
}

/** Its VMAs map a file, or will when that is made. */
function mapsFile(spec: ProcessSpec): boolean {
  return spec.vmas.some((vma) => vma.file !== undefined);
}

function checkFile(name: string, spec: ProcessSpec): void {
  if (!mapsFile(spec)) return;
  if (spec.generator === true) {
    throw new UsageError(`${name}: a generator's VMAs map no file; map it in the program`);
  }
  if (spec.file === undefined && spec.filePages === undefined) {
    throw new UsageError(`${name}: its VMAs map a file; give it as file`);
  }
}

function checkProcess(spec: ProcessSpec, index: number): void {
  const name = `processes[${index}]`;
  checkKeys(name, spec, PROCESS_KEYS);
  checkKeys(`${name}.program`, spec.program, PROGRAM_KEYS);
  let before = 0;
  for (const { start, end } of spec.vmas) {
    const whole = Number.isInteger(start) && Number.isInteger(end);
    if (whole && start >= before && start < end && end <= VPN_MAX) {
      before = end;
      continue;
    }
    const range = `${start}..${end}`;
    throw new UsageError(
      `${name}: VMA ${range} will not do; give ascending page numbers below 2^36`,
    );
  }
  if (spec.cpus.length === 0) throw new UsageError(`${name}: has no CPU; give at least one`);
  checkFile(name, spec);
  if (spec.comm === '') throw new UsageError(`${name}: has no name; give a comm`);
}

/** Every CPU runs one process. @returns the number of CPUs */
function countCpus(processes: readonly ProcessSpec[]): number {
  const cpus = processes.flatMap((spec) => spec.cpus).sort((a, b) => a - b);
  for (const [cpu, named] of cpus.entries()) {
    if (named === cpu) continue;
    throw new UsageError(`processes: CPU ${named} will not do; give each of 0..N-1 to one process`);
  }
  return cpus.length;
}

function processConfig(spec: ProcessSpec, memcg: number): ProcessConfig {
  return {
    comm: oneLine(spec.comm, COMM_BYTES).slice(0, COMM_BYTES - 1),
    memcg,
    cpus: spec.cpus,
    program: { module: spec.program.module, export: spec.program.export },
    args: argsOf(spec),
    vmas: spec.vmas,
    generator: spec.generator ?? false,
    file: spec.file ?? null,
  };
}

/**
 * Rows for simulated processes; 0 where no program is a generator.
 * @throws UsageError for too few
 */
function countTasks(full: FullConfig, processes: readonly ProcessSpec[]): number {
  const generators = processes.filter((spec) => spec.generator).length;
  if (generators === 0) return 0;
  const tasks = full.tasksMax ?? TASKS_DEFAULT;
  if (tasks >= generators) return tasks;
  throw new UsageError(`tasksMax: ${tasks} will not do for ${generators} processes; give more`);
}

/** Of the generators' processes, the most that one has of something. */
function mostOf(processes: readonly ProcessSpec[], count: (spec: ProcessSpec) => number): number {
  return processes.reduce((most, p) => Math.max(most, p.generator === true ? count(p) : 0), 0);
}

function programConfig(spec: ProgramSpec) {
  const { name, module, export: exported, shared = null } = spec;
  checkKeys(`programs: ${oneLine(name, 40)}`, spec, NAMED_KEYS);
  return { name, module, export: exported, shared };
}

/** Regions of 512 pages that a process's VMAs lie in; neighbours that share one count twice. */
function vmaRegions(spec: ProcessSpec): number {
  const regions = (start: number, end: number): number =>
    Math.ceil(end / PTRS_PER_TABLE) - Math.floor(start / PTRS_PER_TABLE);
  return spec.vmas.reduce((sum, vma) => sum + regions(vma.start, vma.end), 0);
}

/** @throws UsageError when the machine's tables would not fit */
function checkFits(mm: MmConfig, memory: number): void {
  const most = formatBytes((PFN_MAX - 1) * PAGE_SIZE);
  if (memory >= PFN_MAX) {
    const asked = formatBytes(memory * PAGE_SIZE);
    throw new UsageError(`memory: ${asked} is above the limit of ${most}; give less memory`);
  }
  if (mm.pageTables >= PFN_MAX) {
    throw new UsageError('processes: their VMAs need more page tables than there can be; map less');
  }
  const bytes = arenaBytes(mm);
  if (bytes <= ARENA_BYTES_MAX) return;
  const need = `the machine's tables need ${formatBytes(bytes)}, above the limit of 4 GiB`;
  const [option, part] = largestTables(mm, bytes);
  if (part > bytes / 2) {
    throw new UsageError(`${option}: ${need}, ${formatBytes(part)} of them for this; give less`);
  }
  throw new UsageError(`memory: ${need}; give less memory, swap or address space`);
}

/** The option whose rows take most of the arena, and the bytes that go without them. */
function largestTables(mm: MmConfig, bytes: number): readonly [string, number] {
  const parts = TABLE_OPTIONS.map(([option, least]) => {
    return [option, bytes - arenaBytes({ ...mm, ...least(mm) })] as const;
  });
  return parts.reduce((most, part) => (part[1] > most[1] ? part : most), ['', 0]);
}

/**
 * The groups that exist at boot.
 * @param limit of the programs' group, null for no such group @param own below that, or the root
 */
function groupsOf(limit: number | null, own: readonly GroupSpec[]): MemcgConfig[] {
  const root = { name: ROOT_GROUP, parent: 0, maxPages: null };
  const groups: MemcgConfig[] = [root];
  if (limit !== null) groups.push({ name: PROGRAMS_GROUP, parent: 0, maxPages: limit });
  const parent = groups.length - 1;
  return [...groups, ...own.map((group) => ({ ...group, parent }))];
}

/** @returns index of the group that a process begins in @throws UsageError for one there is not */
function groupOf(spec: ProcessSpec, groups: readonly MemcgConfig[], limited: boolean): number {
  if (spec.group === undefined) return limited ? 1 : 0;
  const index = groups.findIndex(({ name }) => name === spec.group);
  if (index > 0) return index;
  throw new UsageError(`processes: no group '${oneLine(spec.group, 40)}'; give one of the groups`);
}

/** VMAs and page tables of the processes, and of as many tasks as may be forked. */
function countRows(
  processes: readonly ProcessSpec[],
  tasks: number,
): { readonly vmas: number; readonly tables: number } {
  const vmasOf = (spec: ProcessSpec): number => spec.vmas.length + FORK_VMAS;
  const tablesOf = (spec: ProcessSpec): number => spec.pageTables ?? vmaTables(spec.vmas);
  const forking = processes.filter((spec) => spec.rows === undefined);
  const known = (name: 'vmas' | 'pageTables'): number =>
    processes.reduce((sum, { rows }) => sum + (rows?.[name] ?? 0), 0);
  const vmas =
    processes.reduce((sum, spec) => sum + spec.vmas.length + SPARE_VMAS, 0) +
    tasks * mostOf(forking, vmasOf);
  const tables =
    processes.reduce((sum, p) => sum + tablesOf(p), 0) + tasks * mostOf(forking, tablesOf);
  return { vmas: vmas + known('vmas'), tables: tables + known('pageTables') };
}

/** @throws UsageError where two directories share files: each mount has a cache of its own */
function checkApart(dirs: readonly string[]): void {
  const paths = dirs.map((dir) => `${realpathSync(dir)}${sep}`);
  for (const [at, dir] of dirs.entries()) {
    const other = paths.findIndex((path, i) => i !== at && (paths[at] as string).startsWith(path));
    if (other < 0) continue;
    const [inner, outer] = [oneLine(dir, 80), oneLine(dirs[other] as string, 80)];
    throw new UsageError(`hostFiles: '${inner}' is in '${outer}'; mount each directory once`);
  }
}

/** @throws UsageError for directories that cannot be mounted */
function checkHostFiles(full: FullConfig): void {
  if (!full.contents) throw new UsageError('hostFiles: needs page contents; give contents true');
  const dirs = hostDirs(full);
  for (const dir of dirs) {
    if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    throw new UsageError(`hostFiles: '${oneLine(dir, 80)}' is no directory; give one that is`);
  }
  checkApart(dirs);
  if (dirs.length <= full.mountsMax) return;
  throw new UsageError(`mountsMax: ${full.mountsMax} is too little for ${dirs.length} directories`);
}

/** Directories that are mounted at boot. */
function hostDirs({ hostFiles }: FullConfig): readonly string[] {
  return typeof hostFiles === 'boolean' ? [] : hostFiles;
}

/** What cannot be, whatever the sizes. @throws UsageError */
function checkGiven(full: ReturnType<typeof parseConfig>, processes: readonly ProcessSpec[]): void {
  if (processes.some(mapsFile) && !full.contents) {
    throw new UsageError('vmas: mapped files need page contents; give contents true');
  }
  if (full.hostFiles !== false) checkHostFiles(full);
  if (processes.length === 0 || processes.length > PROCESSES_MAX) {
    throw new UsageError(`processes: ${processes.length} will not do; give 1..${PROCESSES_MAX}`);
  }
  processes.forEach(checkProcess);
}

/** Options that the engine takes as they are. */
function knobs(full: FullConfig) {
  return {
    readAheadKb: full.readAheadKb,
    fileLargeFolios: full.fileLargeFolios,
    dirtyRatio: full.dirtyRatio,
    dirtyBackgroundRatio: full.dirtyBackgroundRatio,
    dirtyWritebackCentisecs: full.dirtyWritebackCentisecs,
    vfsCachePressure: full.vfsCachePressure,
    swappiness: full.swappiness,
    thp: thpConfig(full.transparentHugepage, full.thpAnon),
    pageCluster: full.pageCluster,
    swapSynchronous: full.swapSynchronous,
    rmapTryLock: full.rmapTrylock,
    contended: full.contended,
    kshrinkdBugs: full.kshrinkdBugs,
    kcompressd: full.kcompressd,
    kcompressdThreads: full.kcompressdThreads,
    compressCost: full.compressCost,
    kcompressdBugs: full.kcompressdBugs,
    movableNode: full.movableNode,
    kcompactd: full.kcompactd,
    perVmaLocks: full.perVmaLocks,
    minFreeKbytes: full.minFreeKbytes,
    watermarkScaleFactor: full.watermarkScaleFactor,
    zswap: {
      maxPoolPercent: full.zswapMaxPoolPercent,
      acceptThresholdPercent: full.zswapAcceptThresholdPercent,
      shrinkerEnabled: full.zswapShrinkerEnabled,
    },
    tlbEntries: full.tlb,
    tlbFlushEvents: full.tlbFlush,
  };
}

/**
 * Resolves a configuration for the processes that are to run.
 * @param given as the user wrote it @param processes at least one
 * @param programs that processes can fork by name @param own groups that exist at boot
 * @throws UsageError, one line, for anything that cannot be
 */
export function resolveMachine(
  given: MachineConfig,
  processes: readonly ProcessSpec[],
  programs: readonly ProgramSpec[] = [],
  own: readonly GroupSpec[] = [],
): ResolvedMachine {
  const full = parseConfig(given);
  checkGiven(full, processes);
  const cpus = countCpus(processes);
  const hostFiles = full.hostFiles !== false || processes.some(mapsFile);
  const footprintPages = footprintOf(processes);
  const memory = memoryPages(given, full, footprintPages);
  const limit = memcgLimit(full, footprintPages);
  const groups = groupsOf(limit, own);
  const tasks = countTasks(full, processes);
  const { vmas, tables } = countRows(processes, tasks);
  const swap = swapPages(full, footprintPages);
  const mm: MmConfig = {
    nodes: splitNodes(memory, full.nodes),
    cpus,
    memcgs: groups,
    memcgsMax: Math.max(full.memcgsMax ?? 1, groups.length),
    kmem: full.kmem,
    shrinker: full.shrinker,
    shrinkerFlaws: null,
    shrinkersMax: full.shrinkersMax,
    shrinkerTypes: full.shrinkerTypes,
    superBlocksMax: full.mountsMax,
    dentriesMax: full.dentriesMax,
    inodesMax: full.inodesMax,
    // Shadows take room beside the pages.
    filePagesMax: Math.max(full.filePagesMax, hostFiles ? 4 * memory : 0),
    hostFiles,
    hostDirs: hostDirs(full),
    processes: processes.map((p) => processConfig(p, groupOf(p, groups, limit !== null))),
    programs: programs.map(programConfig),
    tasksMax: tasks,
    mmsMax: processes.length + tasks,
    contents: full.contents,
    swap: full.swap,
    swapPages: swap,
    swapFile: full.swapFile,
    swapDevices: swapDevices(full),
    ...knobs(full),
    accessKernel: full.mode === 'deterministic' ? 'ts' : 'wasm',
    regionsMax: Math.min(KERNEL_REGIONS_MAX, Math.max(...processes.map(vmaRegions))),
    pageTables: tables + cpus * SPARE_TABLES,
    vmasMax: vmas,
    lockStat: full.lockStat,
    lockdep: full.lockdep,
    hungTaskMs: full.hungTask * 1000,
    seed: full.seed,
    faults: full.faults,
    faultSeed: full.faultSeed ?? full.seed,
  };
  checkSlots(mm);
  checkFits(mm, memory);
  const config: FullConfig = {
    ...full,
    cpus,
    memory: memory * PAGE_SIZE,
    memcgMax: limit === null ? null : limit * PAGE_SIZE,
    memcgsMax: mm.memcgsMax,
    swapSize: full.swapDevices === null ? swap * PAGE_SIZE : full.swapSize,
    tasksMax: tasks,
    faultSeed: full.faultSeed ?? full.seed,
  };
  return { mm, config, footprintPages };
}
