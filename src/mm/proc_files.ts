// SPDX-License-Identifier: GPL-2.0-only
/** Every file of /proc and /sys that a machine has, as text, by path. */
import { THREADS_MAX } from '../../shared/limits.ts';
import { formatLockStat } from '../../shared/lock_report.ts';
import { enterRcu, leaveRcu } from '../../shared/rcu.ts';
import type { MmConfig } from './config.ts';
import { PAGE_SIZE } from './limits.ts';
import { nodeOnline } from './memory_hotplug.ts';
import type { Mm } from './mm.ts';
import { addMemcgFiles, type LazyFiles, listedMemcgs, MemcgStats } from './proc_memcg.ts';
import { procMeminfo, procSwaps } from './proc_meminfo.ts';
import { procVmstat } from './proc_vmstat.ts';
import { procZoneinfo } from './proc_zoneinfo.ts';
import { memoryPressure } from './psi.ts';
import { totalManaged } from './show_mem.ts';
import { registeredShrinkers, shrinkerDebugCount, shrinkerDir } from './shrinker_debug.ts';
import { deviceName } from './swap_info.ts';
import { SWAP_KIND_ZRAM } from './swap_types.ts';
import { thpFiles } from './thp_files.ts';
import { defaultMinFreeKbytes } from './watermark.ts';
import { ZRAM_EMPTY, ZRAM_RAW, ZRAM_SAME } from './zram.ts';
import { zsUsage } from './zsmalloc.ts';
import { zswapFiles } from './zswap_files.ts';

/** Row of RCU's readers that no thread of a machine has: CPUs and daemons are fewer. */
const OUTSIDE_READER = THREADS_MAX - 1;

/** Files of every zram device. */
function zramFiles(m: Mm): Record<string, string> {
  const files: Record<string, string> = {};
  for (let device = 0; device < m.sizes.nrSwapDevices; device++) {
    if (m.swapDevice.kind[device] === SWAP_KIND_ZRAM) Object.assign(files, zramFilesOf(m, device));
  }
  return files;
}

/** mm_stat: what is stored, what it takes. Peaks and compaction are not kept: 0. */
function zramFilesOf(m: Mm, device: number): Record<string, string> {
  let pages = 0;
  let compressed = 0;
  let same = 0;
  let huge = 0;
  const base = m.swapDevice.base[device] as number;
  const size = m.swapDevice.pages[device] as number;
  for (let slot = base + 1; slot <= base + size; slot++) {
    const kind = m.zram.kind[slot];
    if (kind === ZRAM_EMPTY) continue;
    pages++;
    compressed += m.zram.size[slot] as number;
    if (kind === ZRAM_SAME) same++;
    if (kind === ZRAM_RAW) huge++;
  }
  // The store is one for all devices.
  const used = m.store8.length === 0 ? 0 : zsUsage(m).bytes;
  const columns = [pages * PAGE_SIZE, compressed, used, 0, used, same, 0, huge, huge];
  const text = columns.map((value) => String(value).padStart(8)).join(' ');
  const folder = deviceName(m, device).replace('/dev/', '/sys/block/');
  return { [`${folder}/disksize`]: `${size * PAGE_SIZE}\n`, [`${folder}/mm_stat`]: `${text}\n` };
}

/** What there is where files of the host are cached. */
function dirtyFiles(config: MmConfig): [string, number][] {
  return [
    ['dirty_ratio', config.dirtyRatio],
    ['dirty_background_ratio', config.dirtyBackgroundRatio],
    ['dirty_writeback_centisecs', config.dirtyWritebackCentisecs],
  ];
}

function sysctlFiles(m: Mm): Record<string, string> {
  const { config } = m;
  const at = (name: string, value: number): [string, string] => {
    return [`/proc/sys/vm/${name}`, `${value}\n`];
  };
  return Object.fromEntries([
    at('swappiness', config.swappiness),
    at('page-cluster', config.pageCluster),
    at('min_free_kbytes', config.minFreeKbytes ?? defaultMinFreeKbytes(totalManaged(m) * 4)),
    at('watermark_scale_factor', config.watermarkScaleFactor),
    at('vfs_cache_pressure', config.vfsCachePressure),
    ...(config.hostFiles ? dirtyFiles(config) : []).map(([name, value]) => at(name, value)),
  ]);
}

/**
 * Every file, not made yet: whoever wants one does not pay for the others.
 * @param memcgs groups whose files are wanted; all that are online if not given
 */
export function procEntries(m: Mm, memcgs: readonly number[] = listedMemcgs(m)): LazyFiles {
  const files: LazyFiles = new Map([
    ['/proc/vmstat', () => procVmstat(m)],
    ['/proc/meminfo', () => procMeminfo(m)],
    ['/proc/zoneinfo', () => procZoneinfo(m)],
    ['/proc/swaps', () => procSwaps(m)],
    ['/proc/pressure/memory', () => memoryPressure(m, 0)],
    ['/proc/lock_stat', () => formatLockStat(m.sync)],
  ]);
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const state = (): string => (nodeOnline(m, nid) ? 'online\n' : 'offline\n');
    files.set(`/sys/devices/system/node/node${nid}/state`, state);
  }
  const made = { ...sysctlFiles(m), ...zramFiles(m), ...zswapFiles(m), ...thpFiles(m) };
  for (const [path, text] of Object.entries(made)) files.set(path, () => text);
  const stats = new MemcgStats(m);
  for (const memcg of memcgs) addMemcgFiles(m, memcg, stats, files);
  return files;
}

/** What a shrinker counts, by a thread that is none of the machine's, and so no reader. */
function countFromOutside(m: Mm, dir: string): string {
  enterRcu(m.rcu, OUTSIDE_READER);
  try {
    const counted = shrinkerDebugCount(m, dir);
    return typeof counted === 'string' ? counted : '';
  } finally {
    leaveRcu();
  }
}

/**
 * What every registered shrinker counts, not made yet. Callbacks run: of a machine that panicked
 * nobody knows what they would find.
 * @context the main thread, while the machine rests
 */
export function shrinkerEntries(m: Mm): LazyFiles {
  const files: LazyFiles = new Map();
  for (const s of registeredShrinkers(m)) {
    const dir = shrinkerDir(m, s);
    files.set(`/sys/kernel/debug/shrinker/${dir}/count`, () => countFromOutside(m, dir));
  }
  return files;
}

/**
 * The text of every file, by path.
 * @param memcgs as procEntries @context any; exact at quiescence
 */
export function procFiles(m: Mm, memcgs?: readonly number[]): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [path, text] of procEntries(m, memcgs)) files[path] = text();
  return files;
}
