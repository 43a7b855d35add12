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
import { SHRINKER_MEMCG_AWARE, SHRINKER_REGISTERED } from './shrinker_types.ts';

/** Folder of a shrinker. */
export function shrinkerDebugDir(m: Mm, s: number): string {
  return `/sys/kernel/debug/shrinker/${shrinkerName(m, s)}-${s}`;
}

/** Rows of the shrinkers that are registered. @context a hint while others come and go */
export function registeredShrinkers(m: Mm): number[] {
  const rows: number[] = [];
  for (let s = 1; s < m.sizes.shrinkers.nrShrinkers; s++) {
    if ((Atomics.load(m.shrinker.flags, s) & SHRINKER_REGISTERED) !== 0) rows.push(s);
  }
  return rows;
}

/** Row of the shrinker whose folder a path names, 0 for none. @param dir `<name>-<row>` */
export function shrinkerOfDir(m: Mm, dir: string): number {
  const s = Number(/-(\d+)$/.exec(dir)?.[1] ?? 0);
  if (s <= 0 || s >= m.sizes.shrinkers.nrShrinkers) return 0;
  const registered = (Atomics.load(m.shrinker.flags, s) & SHRINKER_REGISTERED) !== 0;
  return registered && dir === `${shrinkerName(m, s)}-${s}` ? s : 0;
}

/**
 * Calls `body` while the shrinker cannot go, by the means of the machine's policy. The main thread,
 * which looks at a machine at rest, takes nothing.
 * @returns what it returned, or ENOENT when the shrinker is not there
 */
function withShrinker<T>(m: Mm, s: number, body: () => T): T | typeof ENOENT {
  const here = (): boolean => (Atomics.load(m.shrinker.flags, s) & SHRINKER_REGISTERED) !== 0;
  if (m.task.id === 0) return here() ? body() : ENOENT;
  if (m.config.shrinker === 'rwsem') {
    rwsemDownRead(m.shrinker.rwsem, 0, LC_SHRINKER);
    const result = here() ? body() : ENOENT;
    rwsemUpRead(m.shrinker.rwsem, 0, LC_SHRINKER);
    return result;
  }
  if (m.config.shrinker === 'srcu') {
    const side = shrinkerSrcu(m).readLock();
    const result = here() ? body() : ENOENT;
    shrinkerSrcu(m).readUnlock(side);
    return result;
  }
  rcuReadLock();
  const got = shrinkerTryGet(m, s);
  rcuReadUnlock();
  if (!got) return ENOENT;
  const result = body();
  shrinkerPut(m, s);
  return result;
}

/** Objects of a group on every node. */
function countNodes(m: Mm, s: number, memcg: number): number[] {
  const counts: number[] = [];
  const sc = shrinkControl();
  sc.gfp = GFP_KERNEL;
  sc.shrinker = s;
  sc.arg = m.shrinker.arg[s] as number;
  sc.memcg = memcg;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    sc.nid = nid;
    shrinkerMapAcquire(m, s);
    const count = shrinkerType(m, s).countObjects(m, sc);
    shrinkerMapRelease(m, s);
    counts.push(count === SHRINK_EMPTY ? 0 : count);
  }
  return counts;
}

function line(inode: number, counts: readonly number[]): string {
  return counts.some((count) => count > 0) ? `${inode} ${counts.join(' ')}\n` : '';
}

/**
 * The text of `count`.
 * @returns the text, or ENOENT when the shrinker is not registered
 * @context may block in the count callback; a thread of the machine
 */
export function shrinkerDebugCount(m: Mm, s: number): string | typeof ENOENT {
  return withShrinker(m, s, () => {
    if (((m.shrinker.flags[s] as number) & SHRINKER_MEMCG_AWARE) === 0) {
      return line(0, countNodes(m, s, 0));
    }
    let text = '';
    for (let memcg = memcgIter(m, 0, -1, FULL_WALK); memcg >= 0; ) {
      if (memcgOnline(m, memcg)) text += line(memcgSerial(m, memcg), countNodes(m, s, memcg));
      memcg = memcgIter(m, 0, memcg, FULL_WALK);
    }
    return text;
  });
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
 * @param text `<inode> <node> <objects>`; inode 0 for a shrinker that does not tell groups apart
 * @returns 0; EINVAL for another text, or no such node; ENOENT for no such group or shrinker
 * @context may block in the scan callback; a thread of the machine
 */
export function shrinkerDebugScan(m: Mm, s: number, text: string): number {
  const match = /^(\d+) (\d+) (\d+)\s*$/.exec(text);
  if (match === null) return EINVAL;
  const [inode, nid, objects] = match.slice(1).map(Number) as [number, number, number];
  if (nid >= m.sizes.nrNodes || objects > 0x7fffffff) return EINVAL;
  const aware = ((m.shrinker.flags[s] as number) & SHRINKER_MEMCG_AWARE) !== 0;
  if (!aware && inode !== 0) return EINVAL;
  if (objects === 0) return 0;
  const memcg = aware ? groupOfInode(m, inode) : 0;
  if (memcg < 0) return ENOENT;
  const result = withShrinker(m, s, () => {
    const sc = shrinkControl();
    Object.assign(sc, { nid, memcg, gfp: GFP_KERNEL, shrinker: s, arg: m.shrinker.arg[s] });
    sc.nrToScan = objects;
    sc.nrScanned = objects;
    shrinkerMapAcquire(m, s);
    shrinkerType(m, s).scanObjects(m, sc);
    shrinkerMapRelease(m, s);
    return 0;
  });
  if (memcg > 0) memcgIterBreak(m, 0, memcg);
  return result;
}
