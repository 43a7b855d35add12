// SPDX-License-Identifier: GPL-2.0-only
/**
 * Dentries: names and what they stand for (fs/dcache.c).
 *
 *   state        count    flags                     left by
 *   in use       >= 1     hashed or not             the last dput
 *   cached       0        D_HASHED, D_LRU_LIST      dLookup; reclaim, umount
 *   shrinking    0        and D_SHRINK_LIST         shrinkDentryList; dLookup: in use again
 *   dead         D_DEAD   D_MAY_FREE if shrinking   freed by who killed it, else by the shrinker
 *
 * A dentry that is used again stays on its LRU list until reclaim meets it there. One that was used
 * since reclaim last looked gets another round (D_REFERENCED). Negative dentries, which say that
 * there is no such file, are cached like others.
 *
 * A row that is freed may be somebody else's at once: whoever finds one without a lock looks again
 * under d_lock.
 */
import { bug } from '../../shared/assert.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { condResched } from '../../shared/sched.ts';
import { spinLock, spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import {
  dentryHash,
  hashFind,
  hashInsert,
  hashRemove,
  superDentries,
  superLink,
  superUnlink,
} from './fs_lists.ts';
import {
  D_DEAD,
  D_HASHED,
  D_LRU_LIST,
  D_MAY_FREE,
  D_PINNED,
  D_REFERENCED,
  D_SHRINK_LIST,
  SB_BORN,
} from './fs_types.ts';
import { iput } from './inode.ts';
import {
  LRU_REMOVED,
  LRU_ROTATE,
  LRU_SKIP,
  listLruAdd,
  listLruDel,
  listLruIsolate,
  listLruMemcgAlloc,
  listLruWalk,
} from './list_lru.ts';
import { LC_D_LOCK } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { objcgMemcg } from './objcg.ts';
import type { ShrinkControl } from './shrinker_ops.ts';
import { assertObject, itemOf, objectNid, rowOf, slabAlloc, slabFree } from './slab.ts';
import { CACHE_DENTRY, OBJECT_USED } from './slab_types.ts';

/** Locks a dentry. @context takes d_lock */
export function dLock(m: Mm, row: number): void {
  spinLock(m.fs.dentry.lock, row, LC_D_LOCK);
}

/** Lets go of it. @context d_lock held */
export function dUnlock(m: Mm, row: number): void {
  spinUnlock(m.fs.dentry.lock, row, LC_D_LOCK);
}

/** First line of whoever has a reference. @throws BugError when the dentry is gone */
function assertHeld(m: Mm, row: number): void {
  assertObject(m, itemOf(m, CACHE_DENTRY, row));
  if ((m.fs.dentry.count[row] as number) <= 0) bug(`dentry ${row} is used without a reference`);
}

/**
 * Finds the dentry of a name.
 * @returns it, with a reference; 0 when it is not cached
 * @context no d_lock held; takes no lock but the dentry's own
 */
export function dLookup(m: Mm, sb: number, name: number): number {
  const { dentry } = m.fs;
  const hash = dentryHash(m);
  rcuReadLock();
  for (;;) {
    const row = hashFind(hash, sb, name);
    if (row === 0) break;
    dLock(m, row);
    // Looked at again: the row may be free, dead, or another name's by now.
    const same =
      m.object.state[itemOf(m, CACHE_DENTRY, row)] === OBJECT_USED &&
      dentry.sb[row] === sb &&
      dentry.name[row] === name &&
      ((dentry.flags[row] as number) & D_HASHED) !== 0;
    if (same) dentry.count[row] = (dentry.count[row] as number) + 1;
    dUnlock(m, row);
    if (!same) continue;
    rcuReadUnlock();
    return row;
  }
  rcuReadUnlock();
  return 0;
}

/**
 * Makes a dentry with one reference, in no hash table.
 * @param name 1 .. 2^31-1, or 0 for the root @param inode reference that it takes over, 0: negative
 * @returns its row, 0 when there is no memory; then the reference is still the caller's
 * @context may block and reclaim; no spinlock held
 */
export function dAlloc(m: Mm, sb: number, name: number, inode: number): number {
  if (listLruMemcgAlloc(m, m.fs.super.dentryLru[sb] as number, m.task.memcg) < 0) return 0;
  const row = slabAlloc(m, CACHE_DENTRY);
  if (row === 0) return 0;
  const { dentry } = m.fs;
  dLock(m, row);
  dentry.count[row] = 1;
  dentry.flags[row] = 0;
  dentry.sb[row] = sb;
  dentry.name[row] = name;
  dentry.inode[row] = inode;
  dUnlock(m, row);
  superLink(m, superDentries(m), sb, row);
  return row;
}

/**
 * Shows a new dentry to lookups.
 * @returns false when the name has one by now
 * @context takes d_lock; the caller has the dentry's reference
 */
export function dAdd(m: Mm, row: number): boolean {
  dLock(m, row);
  const inserted = hashInsert(m, dentryHash(m), row);
  if (inserted) m.fs.dentry.flags[row] = (m.fs.dentry.flags[row] as number) | D_HASHED;
  dUnlock(m, row);
  return inserted;
}

/** Takes a dentry out of the hash: the name is free for another one. @context d_lock held */
export function dDropLocked(m: Mm, row: number): void {
  const flags = m.fs.dentry.flags[row] as number;
  if ((flags & D_HASHED) === 0) return;
  hashRemove(m, dentryHash(m), row);
  m.fs.dentry.flags[row] = flags & ~D_HASHED;
}

function lruMove(m: Mm, row: number, add: boolean): void {
  const item = itemOf(m, CACHE_DENTRY, row);
  const lru = m.fs.super.dentryLru[m.fs.dentry.sb[row] as number] as number;
  rcuReadLock();
  const memcg = objcgMemcg(m, m.object.objcg[item] as number);
  const change = add ? listLruAdd : listLruDel;
  if (!change(m, lru, item, objectNid(m, item), memcg)) {
    bug(`dentry ${row}: its flags and its list disagree`);
  }
  rcuReadUnlock();
}

function free(m: Mm, row: number): void {
  slabFree(m, CACHE_DENTRY, row);
}

/**
 * Kills a dentry that nobody refers to.
 * @context d_lock held, which is let go of; nothing else held but s_umount
 */
function killLocked(m: Mm, row: number): void {
  const { dentry } = m.fs;
  let flags = dentry.flags[row] as number;
  if ((flags & (D_LRU_LIST | D_SHRINK_LIST)) === D_LRU_LIST) lruMove(m, row, false);
  dDropLocked(m, row);
  superUnlink(m, superDentries(m), dentry.sb[row] as number, row);
  const inode = dentry.inode[row] as number;
  const shrinking = (flags & D_SHRINK_LIST) !== 0;
  flags = shrinking ? D_SHRINK_LIST | D_MAY_FREE : 0;
  dentry.flags[row] = flags;
  dentry.count[row] = D_DEAD;
  dentry.inode[row] = 0;
  dentry.sb[row] = 0;
  dentry.name[row] = 0;
  dUnlock(m, row);
  if (inode !== 0) iput(m, inode);
  if (!shrinking) free(m, row);
}

/**
 * Drops a reference; the last one caches the dentry, or kills it when its name is gone.
 * @throws BugError when there is none
 * @context may free pages: no spinlock held
 */
export function dput(m: Mm, row: number): void {
  const { dentry } = m.fs;
  dLock(m, row);
  assertHeld(m, row);
  const count = (dentry.count[row] as number) - 1;
  dentry.count[row] = count;
  if (count > 0) {
    dUnlock(m, row);
    return;
  }
  const flags = dentry.flags[row] as number;
  const active = Atomics.load(m.fs.super.state, dentry.sb[row] as number) === SB_BORN;
  if ((flags & D_HASHED) === 0 || !active) {
    killLocked(m, row);
    return;
  }
  if ((flags & D_LRU_LIST) !== 0) dentry.flags[row] = flags | D_REFERENCED;
  else {
    lruMove(m, row, true);
    dentry.flags[row] = flags | D_LRU_LIST;
  }
  dUnlock(m, row);
}

/**
 * A file's name is removed: the dentry says so, or, if others use it, leaves the name to a new one.
 * @returns the inode that the dentry gave up, with its reference; 0 when it kept it
 * @context d_lock held; the caller has a reference
 */
export function dDeleteLocked(m: Mm, row: number): number {
  const { dentry } = m.fs;
  const inode = dentry.inode[row] as number;
  if (dentry.count[row] !== 1) {
    dDropLocked(m, row);
    return 0;
  }
  dentry.inode[row] = 0;
  return inode;
}

/** Takes unused dentries off their list, for `dispose`. Those used since last time stay. */
function isolateDentry(m: Mm, item: number, list: number, dispose: number[]): number {
  const row = rowOf(m, CACHE_DENTRY, item);
  const { dentry } = m.fs;
  if (!spinTryLock(dentry.lock, row, LC_D_LOCK)) return LRU_SKIP;
  let result = LRU_REMOVED;
  const flags = dentry.flags[row] as number;
  if ((dentry.count[row] as number) > 0) {
    listLruIsolate(m, item, list);
    dentry.flags[row] = flags & ~D_LRU_LIST;
  } else if ((flags & D_REFERENCED) !== 0) {
    dentry.flags[row] = flags & ~D_REFERENCED;
    result = LRU_ROTATE;
  } else {
    listLruIsolate(m, item, list);
    dentry.flags[row] = flags | D_SHRINK_LIST;
    dispose.push(row);
  }
  dUnlock(m, row);
  return result;
}

/** Kills what was isolated and is still unused. @context no lock held but s_umount */
function shrinkDentryList(m: Mm, dispose: readonly number[]): void {
  const { dentry } = m.fs;
  for (const row of dispose) {
    dLock(m, row);
    const flags = dentry.flags[row] as number;
    dentry.flags[row] = flags & ~(D_SHRINK_LIST | D_LRU_LIST);
    if ((dentry.count[row] as number) === 0) killLocked(m, row);
    else {
      dUnlock(m, row);
      if ((flags & D_MAY_FREE) !== 0) free(m, row);
    }
  }
}

/**
 * Frees unused dentries of a mount, oldest first.
 * @param nr dentries to look at
 * @returns dentries that left the list
 * @context a scan callback: s_umount held for reading, no spinlock
 */
export function pruneDcache(m: Mm, sb: number, sc: ShrinkControl, nr: number): number {
  const dispose: number[] = [];
  const lru = m.fs.super.dentryLru[sb] as number;
  const isolate = (mm: Mm, item: number, list: number): number =>
    isolateDentry(mm, item, list, dispose);
  const isolated = listLruWalk(m, lru, sc.nid, sc.memcg, isolate, nr);
  shrinkDentryList(m, dispose);
  return isolated;
}

/**
 * Kills every dentry of a mount, the root last; names give up what they hold of their files.
 * @throws BugError when one is in use
 * @context s_umount held for writing, the shrinker freed, no call under way
 */
export function shrinkDcacheForUmount(m: Mm, sb: number): void {
  const { dentry, super: supers } = m.fs;
  for (let row = supers.dentries[sb] as number; row !== 0; row = supers.dentries[sb] as number) {
    condResched();
    dLock(m, row);
    const own = ((dentry.flags[row] as number) & D_PINNED) !== 0 || row === supers.root[sb] ? 1 : 0;
    if (dentry.count[row] !== own) bug(`dentry ${row} of mount ${sb} is in use after umount`);
    dentry.count[row] = 0;
    killLocked(m, row);
  }
}
