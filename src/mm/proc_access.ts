// SPDX-License-Identifier: GPL-2.0-only
/**
 * Files of /proc and /sys as a program of the machine opens them, while it runs: by path, one at a
 * time. `procEntries` has those that can be read, for whoever looks from outside.
 */
import { cgroupLock, cgroupUnlock } from './cgroup.ts';
import { CGROUP_MOUNT, cgroupLookup } from './cgroup_names.ts';
import { compactNode, compactNodes } from './compaction_daemon.ts';
import { dropCaches } from './drop_caches.ts';
import { EINVAL, ENOENT, EPERM } from './errno.ts';
import { memcgGet, memcgPut } from './memcg_css.ts';
import { writeMemcgFile } from './memcg_files.ts';
import { offlineNode, onlineNode } from './memory_hotplug.ts';
import type { Mm } from './mm.ts';
import { procEntries } from './proc_files.ts';
import { addMemcgFiles, type LazyFiles, MemcgStats } from './proc_memcg.ts';
import {
  registeredShrinkers,
  shrinkerDebugCount,
  shrinkerDebugScan,
  shrinkerDir,
  shrinkerOfDir,
} from './shrinker_debug.ts';
import { isThpFile, writeThpFile } from './thp_files.ts';
import { isZswapFile, writeZswapFile } from './zswap_files.ts';

const DROP_CACHES = '/proc/sys/vm/drop_caches';
const COMPACT_MEMORY = '/proc/sys/vm/compact_memory';
const NODE_COMPACT = /^\/sys\/devices\/system\/node\/node(\d+)\/compact$/;
const NODE_FILE = /^\/sys\/devices\/system\/node\/node(\d+)\/state$/;
const SHRINKER_DIR = /^\/sys\/kernel\/debug\/shrinker\/?$/;
const SHRINKER_FILE = /^\/sys\/kernel\/debug\/shrinker\/([^/]+)\/(count|scan)$/;

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

function writeGroupFile(m: Mm, path: string, text: string): number {
  const opened = openMemcgFile(m, path);
  if (opened === null) return ENOENT;
  const result = writeMemcgFile(m, opened.memcg, opened.file, text);
  memcgPut(m, opened.memcg);
  return result;
}

/** Takes a node offline or online. @returns 0 or an errno */
function writeNodeState(m: Mm, nid: number, text: string): number {
  if (nid >= m.sizes.nrNodes) return ENOENT;
  if (text.trim() === 'offline') return offlineNode(m, nid);
  return text.trim() === 'online' ? onlineNode(m, nid) : EINVAL;
}

/** What `ls` shows of the shrinkers' folder, a name a line. */
function shrinkerNames(m: Mm): string {
  const names = registeredShrinkers(m).map((s) => shrinkerDir(m, s));
  return names.map((name) => `${name}\n`).join('');
}

/**
 * Reads a file of the machine. The folder of the shrinkers has a text too: their names.
 * @returns its text; ENOENT when there is none, EPERM for one that can only be written
 * @context a thread of the machine, no lock held; may block
 */
export function readMachineFile(m: Mm, path: string): string | number {
  const shrinker = SHRINKER_FILE.exec(path);
  const written = path === DROP_CACHES || path === COMPACT_MEMORY || NODE_COMPACT.test(path);
  if (written || shrinker?.[2] === 'scan') return EPERM;
  if (shrinker !== null) {
    return shrinkerDebugCount(m, shrinker[1] as string);
  }
  if (SHRINKER_DIR.test(path)) return shrinkerNames(m);
  if (path.startsWith(CGROUP_MOUNT)) return readMemcgFile(m, path);
  return procEntries(m, []).get(path)?.() ?? ENOENT;
}

/**
 * Writes to a file of the machine: drop_caches, compact_memory, a node's compact, a node's state
 * (online, offline), a shrinker's scan, a group's limits and memory.reclaim, a parameter of zswap,
 * what enables large folios.
 * @returns 0; ENOENT when there is none, EPERM for one that can only be read, EINVAL for a text
 *   that it does not take
 * @context a thread of the machine, no lock held; may block and reclaim
 */
export function writeMachineFile(m: Mm, path: string, text: string): number {
  if (path === DROP_CACHES) return /^[1-3]\s*$/.test(text) ? dropCaches(m, +text) : EINVAL;
  if (path === COMPACT_MEMORY) return text.trim() === '1' ? compactNodes(m) : EINVAL;
  const compact = NODE_COMPACT.exec(path);
  if (compact !== null) return compactNode(m, Number(compact[1]));
  const node = NODE_FILE.exec(path);
  if (node !== null) return writeNodeState(m, Number(node[1]), text);
  const shrinker = SHRINKER_FILE.exec(path);
  if (shrinker !== null) {
    const dir = shrinker[1] as string;
    if (shrinker[2] === 'scan') return shrinkerDebugScan(m, dir, text);
    return shrinkerOfDir(m, dir) === 0 ? ENOENT : EPERM;
  }
  if (path.startsWith(CGROUP_MOUNT)) return writeGroupFile(m, path, text);
  if (isZswapFile(path)) return writeZswapFile(m, path, text);
  if (isThpFile(path)) return writeThpFile(m, path, text);
  return procEntries(m, []).has(path) ? EPERM : ENOENT;
}
