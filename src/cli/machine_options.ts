// SPDX-License-Identifier: GPL-2.0-only
/**
 * Options that describe a machine, from the command line to a configuration. What a value may be is
 * said once, in config_schema.ts; here strings only become numbers and switches.
 */
import type { Command } from 'commander';
import { type MachineConfig, optionFlag, parseConfigText, SYSCTLS } from '../config_schema.ts';
import { oneLine, UsageError } from '../errors.ts';
import { KSHRINKD_BUGS } from '../mm/contended.ts';
import { KCOMPRESSD_BUGS } from '../mm/kcompressd_types.ts';
import { readFileBytes } from '../workload/trace_bytes.ts';
import { addFaultOptions, type FaultFlags, faultConfig } from './fault_options.ts';

/** What commander collects for the options below. */
export interface MachineFlags extends FaultFlags {
  readonly memory?: string;
  readonly memcgMax?: string;
  readonly cpus?: string;
  readonly nodes?: string;
  readonly share?: true;
  readonly vmas?: string;
  readonly lru?: string;
  readonly mode?: string;
  readonly swap?: string;
  readonly swapFile?: string;
  readonly pageCluster?: string;
  readonly swapSize?: string;
  readonly transparentHugepage?: string;
  readonly thpAnon?: string;
  readonly swappiness?: string;
  readonly shrinker?: string;
  readonly kmem?: string;
  readonly rmapTrylock?: string;
  readonly contended?: string;
  readonly kshrinkdBugs?: string;
  readonly kcompressd?: string;
  readonly kcompressdThreads?: string;
  readonly compressCost?: string;
  readonly kcompressdBugs?: string;
  readonly movableNode?: string;
  readonly kcompactd?: string;
  readonly perVmaLocks?: string;
  readonly memcgsMax?: string;
  readonly shrinkersMax?: string;
  readonly mountsMax?: string;
  readonly dentriesMax?: string;
  readonly inodesMax?: string;
  readonly tasksMax?: string;
  readonly filePagesMax?: string;
  readonly hostFiles?: readonly string[];
  readonly readAheadKb?: string;
  readonly fileLargeFolios?: string;
  readonly dirtyRatio?: string;
  readonly dirtyBackgroundRatio?: string;
  readonly dirtyWritebackCentisecs?: string;
  readonly tlb?: string;
  readonly lockdep?: true;
  readonly lockStat?: boolean;
  readonly hungTask?: string;
  readonly timeout?: string;
  readonly contents?: string;
  readonly seed?: string;
  readonly set?: readonly string[];
  readonly config?: string;
}

const NUMBERS = [
  'cpus',
  'nodes',
  'swappiness',
  'pageCluster',
  'memcgsMax',
  'shrinkersMax',
  'mountsMax',
  'dentriesMax',
  'inodesMax',
  'tasksMax',
  'filePagesMax',
  'kcompressdThreads',
  'compressCost',
  'readAheadKb',
  'fileLargeFolios',
  'dirtyRatio',
  'dirtyBackgroundRatio',
  'dirtyWritebackCentisecs',
  'tlb',
  'hungTask',
  'timeout',
  'seed',
  'faultSeed',
] as const;
const TEXTS = [
  'memory',
  'memcgMax',
  'lru',
  'mode',
  'swap',
  'swapFile',
  'swapSize',
  'transparentHugepage',
  'thpAnon',
  'shrinker',
  'contended',
  'kcompressd',
  'vmas',
] as const;
const SWITCHES = [
  'contents',
  'kmem',
  'rmapTrylock',
  'movableNode',
  'kcompactd',
  'perVmaLocks',
] as const;

const SHRINKER_VARIANTS = 'shrinkers under rwsem, srcu, lockless or lockless-fixed';

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** Adds those of threads that reclaim for others. */
function addDaemonOptions(command: Command): void {
  command
    .option(
      '--contended <policy>',
      'folios whose rmap lock is taken: head, tail, origin, prio, kshrinkd, kshrinkd-fixed ' +
        '(default: head)',
    )
    .option('--kshrinkd-bugs <names>', `bugs of the seed's kshrinkd: ${KSHRINKD_BUGS.join(', ')}`)
    .option(
      '--kcompressd <off|seed|fixed>',
      'a thread compresses what kswapd swaps out (default: off)',
    )
    .option('--kcompressd-threads <n>', 'threads of kcompressd on each node (default: 1)')
    .option('--compress-cost <n>', 'a page is compressed so often: a slower codec (default: 1)')
    .option('--kcompressd-bugs <names>', `bugs of the prototype: ${KCOMPRESSD_BUGS.join(', ')}`);
}

/** Adds the options to a command. */
export function addMachineOptions(command: Command): void {
  command
    .option(
      '--memory <size>',
      'memory of all nodes: 64M, or a part of the footprint (default: 50%)',
    )
    .option(
      '--memcg-max <size>',
      'limit of the group with the programs: 64M, 50%; the node is then ample',
    )
    .option('--cpus <n>', 'simulated CPUs (default: one for each trace)')
    .option('--nodes <n>', 'NUMA nodes that share the memory (default: 1)')
    .option('--share', 'CPU k of N replays events k, k+N, ... of one trace in one address space')
    .option(
      '--vmas <kinds>',
      "anon; mixed: a trace's file pages are mapped from a file; file: all shared (default: anon)",
    )
    .option('--lru <policy>', 'classic (default: classic)')
    .option('--swap <kind>', 'zram, zswap in front of a file, file or none (default: zram)')
    .option('--swap-file <path>', 'the swap file, kept afterwards (default: a temporary one)')
    .option('--swap-size <size>', 'swap, uncompressed (default: twice the footprint)')
    .option(
      '--transparent-hugepage <mode>',
      'large folios: always, madvise or never (default: a kernel without)',
    )
    .option('--thp-anon <sizes>', 'which of them: 16K-64K:always;2M:inherit (default: 2M:inherit)')
    .option('--swappiness <n>', 'vm.swappiness (default: 60)')
    .option('--page-cluster <n>', 'vm.page-cluster: 2^n pages of swap readahead (default: 3)')
    .option('--shrinker <variant>', `${SHRINKER_VARIANTS} (default: lockless-fixed)`)
    .option('--rmap-trylock <on|off>', 'reclaim never waits for the rmap lock (default: on)')
    .option('--movable-node <on|off>', 'kernel objects on node 0 alone (default: off)')
    .option('--kcompactd <on|off>', 'a kcompactd for each node (default: off)')
    .option('--per-vma-locks <on|off>', 'faults lock their VMA, not all of them (default: off)')
    .option('--kmem <on|off>', 'kernel objects are charged to groups (default: on)')
    .option('--memcgs-max <n>', 'groups that may exist at once (default: no more than at boot)')
    .option('--shrinkers-max <n>', 'shrinkers that may exist at once (default: 64)')
    .option('--mounts-max <n>', 'mounts that may exist at once (default: 16)')
    .option('--dentries-max <n>', 'dentries that may exist at once (default: 1024)')
    .option('--inodes-max <n>', 'inodes that may exist at once (default: 1024)')
    .option('--tasks-max <n>', 'simulated processes that may exist at once (default: 256 or none)')
    .option('--file-pages-max <n>', 'pages that all files together may hold (default: 1024)')
    .option('--host-files <dir>', 'mount a directory of the host, again for more', collect)
    .option('--read-ahead-kb <n>', "most that a read of a host's file reads ahead (default: 128)")
    .option('--file-large-folios <n>', "largest order of host files' folios, 0 to 9 (default: 0)")
    .option('--dirty-ratio <n>', 'vm.dirty_ratio: writers wait from here on (default: 20)')
    .option('--dirty-background-ratio <n>', 'vm.dirty_background_ratio (default: 10)')
    .option('--dirty-writeback-centisecs <n>', 'vm.dirty_writeback_centisecs (default: 500)')
    .option('--tlb <n>', "entries of each CPU's emulated TLB, 0 for none (default: 0)")
    .option(
      '--set <name=value>',
      `a sysctl or parameter: ${Object.keys(SYSCTLS).join(', ')}`,
      collect,
    )
    .option('--config <file>', 'JSON object of options, by their names here or in the library')
    .option('--contents <on|off>', 'page frames hold bytes, and reads are checked (default: on)')
    .option('--lockdep', 'check the order of locks')
    .option('--no-lock-stat', 'keep no lock statistics')
    .option('--hung-task <s>', 'report a thread as hung after so many seconds (default: 10)')
    .option('--timeout <s>', 'interrupt the run after so many seconds')
    .option('--mode <mode>', 'parallel or deterministic (default: parallel)')
    .option('--seed <n>', 'seed of everything drawn by chance (default: 1)');
  addDaemonOptions(command);
  addFaultOptions(command);
}

/** A number where the text is one; else the text, for the schema to refuse. */
function toNumber(text: string): number | string {
  return /^[+-]?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
}

function parseSwitch(name: string, text: string): boolean {
  if (text === 'on') return true;
  if (text === 'off') return false;
  const flag = optionFlag(name);
  throw new UsageError(`${flag} '${oneLine(text, 40)}' will not do; give on or off`);
}

function parseSysctl(text: string): [string, number | string] {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(at, 0)).trim();
  const option = SYSCTLS[name];
  if (option === undefined) {
    const known = Object.keys(SYSCTLS).join(', ');
    throw new UsageError(`--set: '${oneLine(text, 60)}' will not do; give NAME=VALUE of ${known}`);
  }
  return [option, toNumber(text.slice(at + 1))];
}

/**
 * The configuration that the options name: a file's options first, then `--set`, then the others.
 * @throws UsageError for what no configuration can be
 */
export async function machineConfig(flags: MachineFlags): Promise<MachineConfig> {
  const config: Record<string, unknown> = {};
  if (flags.config !== undefined) {
    const text = (await readFileBytes(flags.config)).toString('utf8');
    Object.assign(config, parseConfigText(text, flags.config));
  }
  for (const text of flags.set ?? []) {
    const [option, value] = parseSysctl(text);
    config[option] = value;
  }
  for (const name of NUMBERS) {
    const text = flags[name];
    if (text !== undefined) config[name] = toNumber(text);
  }
  for (const name of TEXTS) if (flags[name] !== undefined) config[name] = flags[name];
  for (const name of SWITCHES) {
    const text = flags[name];
    if (text !== undefined) config[name] = parseSwitch(name, text);
  }
  if (flags.hostFiles !== undefined) config.hostFiles = flags.hostFiles;
  const faults = faultConfig(flags);
  if (faults !== undefined) config.faults = faults;
  if (flags.kshrinkdBugs !== undefined) config.kshrinkdBugs = flags.kshrinkdBugs.split(',');
  if (flags.kcompressdBugs !== undefined) config.kcompressdBugs = flags.kcompressdBugs.split(',');
  if (flags.share === true) config.share = true;
  if (flags.lockdep === true) config.lockdep = true;
  if (flags.lockStat === false) config.lockStat = false;
  return config as MachineConfig;
}
