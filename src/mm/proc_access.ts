// SPDX-License-Identifier: GPL-2.0-only
/**
 * Files of /proc and /sys as a program of the machine opens them, while it runs: by path, one at a
 * time. `procEntries` has those that can be read, for whoever looks from outside.
 */
import { cgroupLock, cgroupUnlock } from './cgroup.ts';
import { CGROUP_MOUNT, cgroupLookup } from './cgroup_names.ts';
import { dropCaches } from './drop_caches.ts';
import { EINVAL, ENOENT, EPERM } from './errno.ts';
import { PAGE_SIZE } from './limits.ts';
import { memcgGet, memcgPut } from './memcg_css.ts';
import { memcgSetMax } from './memcg_max.ts';
import type { Mm } from './mm.ts';
import { procEntries } from './proc_files.ts';
import { addMemcgFiles, type LazyFiles, MemcgStats } from './proc_memcg.ts';
import { shrinkerDebugCount, shrinkerDebugScan, shrinkerOfDir } from './shrinker_debug.ts';
import { hasZswap } from './zswap_entry.ts';
import { isZswapFile, writeZswapFile } from './zswap_files.ts';

const DROP_CACHES = '/proc/sys/vm/drop_caches';
const SHRINKER_FILE = /^\/sys\/kernel\/debug\/shrinker\/([^/]+)\/(count|scan)$/;
/** Most pages that a limit can say. */
const MAX_PAGES = 0x7fffffff;

/** A file of a group: its group and its name. */
interface MemcgFile {
  readonly memcg: number;
  readonly file: string;
}

/** @returns the group of a path with a reference, or null when there is none */
function openMemcgFile(m: Mm, path: string): MemcgFile | null {
  if (!path.startsWith(`${CGROUP_MOUNT}/`)) return null;
  const names = path.slice(CGROUP_MOUNT.length + 1).split('/');
  const file = names.pop() as string;
  cgroupLock(m);
  let memcg = 0;
  for (const name of names) {
    memcg = cgroupLookup(m, memcg, name);
    if (memcg === 0) break;
  }
  const found = memcg !== 0 || names.length === 0;
  if (found) memcgGet(m, memcg);
  cgroupUnlock(m);
  return found ? { memcg, file } : null;
}

function readMemcgFile(m: Mm, path: string): string | number {
  const opened = openMemcgFile(m, path);
  if (opened === null) return ENOENT;
  const files: LazyFiles = new Map();
  addMemcgFiles(m, opened.memcg, new MemcgStats(m), files);
  const text = files.get(path)?.() ?? ENOENT;
  memcgPut(m, opened.memcg);
  return text;
}

/** `max`, or bytes: with K, M or G, rounded down to pages. @returns pages, -1 for max, or null */
function parseLimit(text: string): number | null {
  const value = text.trim();
  if (value === 'max') return -1;
  const match = /^(\d{1,15})([kmg]?)$/i.exec(value);
  if (match === null) return null;
  const shift = { '': 0, k: 10, m: 20, g: 30 }[(match[2] as string).toLowerCase()] as number;
  return Math.min(Math.floor((Number(match[1]) * 2 ** shift) / PAGE_SIZE), MAX_PAGES);
}

function writeMemcgFile(m: Mm, path: string, text: string): number {
  const opened = openMemcgFile(m, path);
  if (opened === null) return ENOENT;
  const { memcg, file } = opened;
  const result = memcg === 0 ? EPERM : writeLimit(m, memcg, file, text);
  memcgPut(m, memcg);
  return result;
}

/** @returns 0, EPERM for a file that can only be read, EINVAL for a text that it does not take */
function writeLimit(m: Mm, memcg: number, file: string, text: string): number {
  const pages = parseLimit(text);
  if (file === 'memory.max') {
    if (pages !== null) memcgSetMax(m, memcg, pages);
    return pages === null ? EINVAL : 0;
  }
  if (!hasZswap(m)) return EPERM;
  if (file === 'memory.zswap.max') {
    if (pages === null) return EINVAL;
    Atomics.store(m.memcg.zswapLimit, memcg, pages < 0 ? 0 : Math.min(pages, MAX_PAGES - 1) + 1);
    return 0;
  }
  if (file !== 'memory.zswap.writeback') return EPERM;
  if (!/^[01]\s*$/.test(text)) return EINVAL;
  Atomics.store(m.memcg.zswapNoWriteback, memcg, text.startsWith('0') ? 1 : 0);
  return 0;
}

/**
 * Reads a file of the machine.
 * @returns its text; ENOENT when there is none, EPERM for one that can only be written
 * @context a thread of the machine, no lock held; may block
 */
export function readMachineFile(m: Mm, path: string): string | number {
  const shrinker = SHRINKER_FILE.exec(path);
  if (path === DROP_CACHES || shrinker?.[2] === 'scan') return EPERM;
  if (shrinker !== null) {
    const s = shrinkerOfDir(m, shrinker[1] as string);
    return s === 0 ? ENOENT : shrinkerDebugCount(m, s);
  }
  if (path.startsWith(CGROUP_MOUNT)) return readMemcgFile(m, path);
  return procEntries(m, []).get(path)?.() ?? ENOENT;
}

/**
 * Writes to a file of the machine: drop_caches, a shrinker's scan, a group's memory.max and
 * memory.zswap.*, a parameter of zswap.
 * @returns 0; ENOENT when there is none, EPERM for one that can only be read, EINVAL for a text
 *   that it does not take
 * @context a thread of the machine, no lock held; may block and reclaim
 */
export function writeMachineFile(m: Mm, path: string, text: string): number {
  if (path === DROP_CACHES) return /^[1-3]\s*$/.test(text) ? dropCaches(m, +text) : EINVAL;
  const shrinker = SHRINKER_FILE.exec(path);
  if (shrinker !== null) {
    const s = shrinkerOfDir(m, shrinker[1] as string);
    if (s === 0) return ENOENT;
    return shrinker[2] === 'scan' ? shrinkerDebugScan(m, s, text) : EPERM;
  }
  if (path.startsWith(CGROUP_MOUNT)) return writeMemcgFile(m, path, text);
  if (isZswapFile(path)) return writeZswapFile(m, path, text);
  return procEntries(m, []).has(path) ? EPERM : ENOENT;
}
