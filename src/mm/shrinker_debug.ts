// SPDX-License-Identifier: GPL-2.0-only
/**
 * The files of a shrinker in /sys/kernel/debug/shrinker/<name>-<id>/ (mm/shrinker_debug.c).
 *
 *   count   a line per group that has objects: inode of the group, then a count per node. Inode 0
 *           stands for a shrinker that does not tell groups apart
 *   scan    what is written to it, `<inode> <node> <objects>`, is scanned at once
 */
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { rwsemDownRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { EINVAL, ENOENT } from './errno.ts';
import { LC_SHRINKER } from './lock_order.ts';
import { memcgOnline, memcgSerial } from './memcg_css.ts';
import { FULL_WALK, memcgIter, memcgIterBreak } from './memcg_iter.ts';
import type { Mm } from './mm.ts';
import { shrinkerName, shrinkerPut, shrinkerTryGet } from './shrinker.ts';
import { shrinkerMapAcquire, shrinkerMapRelease } from './shrinker_map.ts';
import { GFP_KERNEL, SHRINK_EMPTY, shrinkControl, shrinkerType } from './shrinker_ops.ts';
import { shrinkerSrcu } from './shrinker_srcu.ts';
import {
  SHRINKER_MEMCG_AWARE,
  SHRINKER_NUMA_AWARE,
  SHRINKER_REGISTERED,
} from './shrinker_types.ts';

/** Name of a shrinker's folder. */
export function shrinkerDir(m: Mm, s: number): string {
  return `${shrinkerName(m, s)}-${s}`;
}

/** Rows of the shrinkers that are registered. @context a hint while others come and go */
export function registeredShrinkers(m: Mm): number[] {
  const rows: number[] = [];
  for (let s = 1; s < m.sizes.shrinkers.nrShrinkers; s++) {
    if ((Atomics.load(m.shrinker.flags, s) & SHRINKER_REGISTERED) !== 0) rows.push(s);
  }
  return rows;
}

/**
 * Row of the shrinker whose folder a path names, 0 for none.
 * @param dir `<name>-<row>` @context a hint, unless the row cannot change owner
 */
export function shrinkerOfDir(m: Mm, dir: string): number {
  const s = rowOfDir(m, dir);
  const registered = (Atomics.load(m.shrinker.flags, s) & SHRINKER_REGISTERED) !== 0;
  return registered && dir === shrinkerDir(m, s) ? s : 0;
}

/** The row that a folder's name ends with, 0 for none. */
function rowOfDir(m: Mm, dir: string): number {
  const s = Number(/-(\d+)$/.exec(dir)?.[1] ?? 0);
  return s < m.sizes.shrinkers.nrShrinkers ? s : 0;
}

/**
 * Calls `body` with the shrinker of a folder while that cannot go, by the means of the machine's
 * policy: its row is looked at only then. The main thread, which looks at a machine at rest, takes
 * nothing.
 * @returns what it returned, or ENOENT when the shrinker is not there
 */
function withShrinker<T>(m: Mm, dir: string, body: (s: number) => T): T | typeof ENOENT {
  const run = (): T | typeof ENOENT => {
    const s = shrinkerOfDir(m, dir);
    return s === 0 ? ENOENT : body(s);
  };
  if (m.task.id === 0) return run();
  if (m.config.shrinker === 'rwsem') return underReadSide(m, run);
  if (m.config.shrinker === 'srcu') return inSrcu(m, run);
  return referenced(m, rowOfDir(m, dir), run);
}

function underReadSide<T>(m: Mm, run: () => T): T {
  rwsemDownRead(m.shrinker.rwsem, 0, LC_SHRINKER);
  try {
    return run();
  } finally {
    rwsemUpRead(m.shrinker.rwsem, 0, LC_SHRINKER);
  }
}

function inSrcu<T>(m: Mm, run: () => T): T {
  const srcu = shrinkerSrcu(m);
  const side = srcu.readLock();
  try {
    return run();
  } finally {
    srcu.readUnlock(side);
  }
}

function referenced<T>(m: Mm, s: number, run: () => T): T | typeof ENOENT {
  rcuReadLock();
  const got = s !== 0 && shrinkerTryGet(m, s);
  rcuReadUnlock();
  if (!got) return ENOENT;
  try {
    return run();
  } finally {
    shrinkerPut(m, s);
  }
}

/** Tells the lock-order checker of a callback. */
function inCallback<T>(m: Mm, s: number, run: () => T): T {
  shrinkerMapAcquire(m, s);
  try {
    return run();
  } finally {
    shrinkerMapRelease(m, s);
  }
}

/** Objects of a group on every node; a shrinker that tells no nodes apart has all on the first. */
function countNodes(m: Mm, s: number, memcg: number): number[] {
  const counts = new Array<number>(m.sizes.nrNodes).fill(0);
  const sc = shrinkControl();
  sc.gfp = GFP_KERNEL;
  sc.shrinker = s;
  sc.arg = m.shrinker.arg[s] as number;
  sc.memcg = memcg;
  const nodes = hasFlag(m, s, SHRINKER_NUMA_AWARE) ? m.sizes.nrNodes : 1;
  for (let nid = 0; nid < nodes; nid++) {
    sc.nid = nid;
    const count = inCallback(m, s, () => shrinkerType(m, s).countObjects(m, sc));
    counts[nid] = count === SHRINK_EMPTY ? 0 : count;
  }
  return counts;
}

/** @context the shrinker cannot go: other bits change, what it is aware of does not */
function hasFlag(m: Mm, s: number, flag: number): boolean {
  return (Atomics.load(m.shrinker.flags, s) & flag) !== 0;
}

function line(inode: number, counts: readonly number[]): string {
  return counts.some((count) => count > 0) ? `${inode} ${counts.join(' ')}\n` : '';
}

/**
 * The text of `count`.
 * @param dir the shrinker's folder, `<name>-<row>`
 * @returns the text, or ENOENT when the shrinker is not registered
 * @context may block in the count callback; a thread of the machine
 */
export function shrinkerDebugCount(m: Mm, dir: string): string | typeof ENOENT {
  return withShrinker(m, dir, (s) => {
    if (!hasFlag(m, s, SHRINKER_MEMCG_AWARE)) return line(0, countNodes(m, s, 0));
    return countGroups(m, s);
  });
}

function countGroups(m: Mm, s: number): string {
  let text = '';
  let memcg = memcgIter(m, 0, -1, FULL_WALK);
  try {
    while (memcg >= 0) {
      if (memcgOnline(m, memcg)) text += line(memcgSerial(m, memcg), countNodes(m, s, memcg));
      memcg = memcgIter(m, 0, memcg, FULL_WALK);
    }
  } finally {
    if (memcg >= 0) memcgIterBreak(m, 0, memcg);
  }
  return text;
}

/** The online group of an inode, with a reference; -1 for none. */
function groupOfInode(m: Mm, inode: number): number {
  for (let memcg = memcgIter(m, 0, -1, FULL_WALK); memcg >= 0; ) {
    if (memcgSerial(m, memcg) === inode && memcgOnline(m, memcg)) return memcg;
    memcg = memcgIter(m, 0, memcg, FULL_WALK);
  }
  return -1;
}

/**
 * What a write to `scan` does.
 * @param dir the shrinker's folder, `<name>-<row>`
 * @param text `<inode> <node> <objects>`; inode 0 for a shrinker that does not tell groups apart
 * @returns 0; EINVAL for another text, or no such node; ENOENT for no such group or shrinker
 * @context may block in the scan callback; a thread of the machine
 */
export function shrinkerDebugScan(m: Mm, dir: string, text: string): number {
  const match = /^(\d+) (\d+) (\d+)\s*$/.exec(text);
  const numbers = match === null ? [0, Infinity, 0] : match.slice(1).map(Number);
  const [inode, nid, objects] = numbers as [number, number, number];
  return withShrinker(m, dir, (s) => {
    if (nid >= m.sizes.nrNodes || objects > 0x7fffffff) return EINVAL;
    const aware = hasFlag(m, s, SHRINKER_MEMCG_AWARE);
    if (!aware && inode !== 0) return EINVAL;
    if (objects === 0) return 0;
    const memcg = aware ? groupOfInode(m, inode) : 0;
    if (memcg < 0) return ENOENT;
    try {
      scan(m, s, nid, memcg, objects);
    } finally {
      memcgIterBreak(m, 0, memcg);
    }
    return 0;
  });
}

function scan(m: Mm, s: number, nid: number, memcg: number, objects: number): void {
  const sc = shrinkControl();
  Object.assign(sc, { nid, memcg, gfp: GFP_KERNEL, shrinker: s, arg: m.shrinker.arg[s] });
  sc.nrToScan = objects;
  sc.nrScanned = objects;
  inCallback(m, s, () => shrinkerType(m, s).scanObjects(m, sc));
}
