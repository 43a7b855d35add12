// SPDX-License-Identifier: GPL-2.0-only
/**
 * Inodes: what a file is, while it is in use and for a while after (fs/inode.c).
 *
 *   state          references  names   hash (disk)  LRU            left by
 *   in use         >= 1        any     yes          no, or lazily  the last iput
 *   cached         0           >= 1    yes          yes            iget, reclaim, umount
 *   I_FREEING      0           any     no           no             evict: pages, then the object
 *
 * An inode without a name goes with its last reference. One of a tmpfs is held by its name, so only
 * those of a disk are ever cached. A cached one that is used again stays on its list until reclaim
 * meets it there.
 */

import { bug } from '../../shared/assert.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { spinLock, spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import {
  hashFind,
  hashInsert,
  hashRemove,
  inodeHash,
  superInodes,
  superLink,
  superUnlink,
} from './fs_lists.ts';
import {
  HOSTFS,
  I_FREEING,
  I_HASHED,
  I_REFERENCED,
  SB_BORN,
  SUPER_INODES,
  TMPFS,
} from './fs_types.ts';
import { hostEvict } from './host_evict.ts';
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
import { LC_I_LOCK } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { objcgMemcg } from './objcg.ts';
import { shmemEvict } from './shmem.ts';
import type { ShrinkControl } from './shrinker_ops.ts';
import { assertObject, itemOf, objectNid, rowOf, slabAlloc, slabFree } from './slab.ts';
import { CACHE_INODE, OBJECT_USED } from './slab_types.ts';

function lock(m: Mm, inode: number): void {
  spinLock(m.fs.inode.lock, inode, LC_I_LOCK);
}

function unlock(m: Mm, inode: number): void {
  spinUnlock(m.fs.inode.lock, inode, LC_I_LOCK);
}

/**
 * Says whose the rows of inodes are, for the rest of the machine's life: a page that a program puts
 * in a row by number must not meet the row's next file.
 * @param whose INODES_OF_PROGRAMS or INODES_OF_MOUNTS
 * @returns false when they are the other's
 * @context any
 */
export function claimInodes(m: Mm, whose: number): boolean {
  const words = m.fs.superHint;
  const seen = Atomics.load(words, SUPER_INODES);
  if (seen !== 0) return seen === whose;
  const was = Atomics.compareExchange(words, SUPER_INODES, 0, whose);
  return was === 0 || was === whose;
}

/** Frees what the file holds. @param inode I_FREEING, its row is that of its pages @context none */
export function evictPages(m: Mm, inode: number): void {
  // A disk's files have no pages here: their content is not modelled.
  const type = m.fs.super.type[m.fs.inode.sb[inode] as number];
  if (type === TMPFS) shmemEvict(m, inode);
  else if (type === HOSTFS) hostEvict(m, inode);
}

/**
 * Makes an inode with one reference and one name.
 * @returns its row, 0 when there is no memory
 * @context may block and reclaim; no spinlock held
 */
export function newInode(m: Mm, sb: number, ino: number): number {
  if (listLruMemcgAlloc(m, m.fs.super.inodeLru[sb] as number, m.task.memcg) < 0) return 0;
  const row = slabAlloc(m, CACHE_INODE);
  if (row === 0) return 0;
  const { inode } = m.fs;
  lock(m, row);
  inode.count[row] = 1;
  inode.state[row] = 0;
  inode.nlink[row] = 1;
  inode.sb[row] = sb;
  inode.ino[row] = ino;
  unlock(m, row);
  superLink(m, superInodes(m), sb, row);
  return row;
}

/** Takes one more reference. @context the caller has one, or what it was reached by has */
export function ihold(m: Mm, row: number): void {
  assertObject(m, itemOf(m, CACHE_INODE, row));
  lock(m, row);
  const count = m.fs.inode.count[row] as number;
  if (count <= 0) bug(`inode ${row} is held without a reference`);
  m.fs.inode.count[row] = count + 1;
  unlock(m, row);
}

/** Takes a reference on a row that had the right keys a moment ago. */
function tryHold(m: Mm, row: number, sb: number, ino: number): boolean {
  const { inode } = m.fs;
  lock(m, row);
  const same =
    m.object.state[itemOf(m, CACHE_INODE, row)] === OBJECT_USED &&
    inode.sb[row] === sb &&
    inode.ino[row] === ino &&
    ((inode.state[row] as number) & (I_HASHED | I_FREEING)) === I_HASHED;
  if (same) inode.count[row] = (inode.count[row] as number) + 1;
  unlock(m, row);
  return same;
}

/**
 * Takes a reference on whatever file of a mount a row is now.
 * @returns false when it is free, another mount's, or going
 * @context the mount cannot go: s_umount held for reading
 */
export function igrabRow(m: Mm, row: number, sb: number): boolean {
  const { inode } = m.fs;
  lock(m, row);
  const live =
    m.object.state[itemOf(m, CACHE_INODE, row)] === OBJECT_USED &&
    inode.sb[row] === sb &&
    ((inode.state[row] as number) & I_FREEING) === 0;
  if (live) inode.count[row] = (inode.count[row] as number) + 1;
  unlock(m, row);
  return live;
}

/** The name is another file's from now on. @context the caller has a reference */
export function inodeUnhash(m: Mm, row: number): void {
  lock(m, row);
  const state = m.fs.inode.state[row] as number;
  if ((state & I_HASHED) !== 0) {
    hashRemove(m, inodeHash(m), row);
    m.fs.inode.state[row] = state & ~I_HASHED;
  }
  unlock(m, row);
}

/**
 * The inode of a file of a disk: the cached one, or a new one.
 * @param fill makes a new one what it is to be, before anybody can find it; 0, or an errno
 * @returns a reference, 0 when there is no memory, or what `fill` failed with
 * @context may block and reclaim; no spinlock held
 */
export function iget(m: Mm, sb: number, ino: number, fill?: (row: number) => number): number {
  const hash = inodeHash(m);
  for (;;) {
    rcuReadLock();
    const known = hashFind(hash, sb, ino);
    const held = known !== 0 && tryHold(m, known, sb, ino);
    rcuReadUnlock();
    if (held) return known;
    if (known !== 0) continue;
    const made = newInode(m, sb, ino);
    if (made === 0) return 0;
    const error = fill?.(made) ?? 0;
    if (error < 0) {
      dropNlink(m, made);
      iput(m, made);
      return error;
    }
    lock(m, made);
    const inserted = hashInsert(m, hash, made);
    if (inserted) m.fs.inode.state[made] = I_HASHED;
    else m.fs.inode.nlink[made] = 0;
    unlock(m, made);
    if (inserted) return made;
    iput(m, made);
  }
}

/** Takes a name away. @context the caller has a reference */
export function dropNlink(m: Mm, row: number): void {
  lock(m, row);
  m.fs.inode.nlink[row] = (m.fs.inode.nlink[row] as number) - 1;
  unlock(m, row);
}

function lruAdd(m: Mm, row: number): boolean {
  const item = itemOf(m, CACHE_INODE, row);
  const lru = m.fs.super.inodeLru[m.fs.inode.sb[row] as number] as number;
  rcuReadLock();
  const memcg = objcgMemcg(m, m.object.objcg[item] as number);
  const added = listLruAdd(m, lru, item, objectNid(m, item), memcg);
  rcuReadUnlock();
  return added;
}

function lruDel(m: Mm, row: number): void {
  const item = itemOf(m, CACHE_INODE, row);
  const lru = m.fs.super.inodeLru[m.fs.inode.sb[row] as number] as number;
  rcuReadLock();
  const memcg = objcgMemcg(m, m.object.objcg[item] as number);
  listLruDel(m, lru, item, objectNid(m, item), memcg);
  rcuReadUnlock();
}

/** From here on nobody finds it. @context i_lock held; no reference left */
function markFreeing(m: Mm, row: number): void {
  const { inode } = m.fs;
  const state = inode.state[row] as number;
  if ((state & I_HASHED) !== 0) hashRemove(m, inodeHash(m), row);
  inode.state[row] = (state & ~I_HASHED) | I_FREEING;
}

/** Frees an inode that is marked, and on no list. @context no lock held but s_umount */
function evict(m: Mm, row: number): void {
  const sb = m.fs.inode.sb[row] as number;
  superUnlink(m, superInodes(m), sb, row);
  evictPages(m, row);
  lock(m, row);
  m.fs.inode.sb[row] = 0;
  m.fs.inode.ino[row] = 0;
  unlock(m, row);
  slabFree(m, CACHE_INODE, row);
}

/**
 * Drops a reference; the last one caches the inode or frees it.
 * @throws BugError when there is none
 * @context may free pages: no spinlock held
 */
export function iput(m: Mm, row: number): void {
  const { inode } = m.fs;
  assertObject(m, itemOf(m, CACHE_INODE, row));
  lock(m, row);
  const count = (inode.count[row] as number) - 1;
  if (count < 0) bug(`inode ${row} is put without a reference`);
  inode.count[row] = count;
  if (count > 0) {
    unlock(m, row);
    return;
  }
  const sb = inode.sb[row] as number;
  const keep =
    (inode.nlink[row] as number) > 0 &&
    ((inode.state[row] as number) & I_HASHED) !== 0 &&
    Atomics.load(m.fs.super.state, sb) === SB_BORN;
  if (keep) {
    if (!lruAdd(m, row)) inode.state[row] = (inode.state[row] as number) | I_REFERENCED;
    unlock(m, row);
    return;
  }
  lruDel(m, row);
  markFreeing(m, row);
  unlock(m, row);
  evict(m, row);
}

/** Takes unused inodes off their list, for `freeing`. Those used since last time stay. */
function isolateInode(m: Mm, item: number, list: number, freeing: number[]): number {
  const row = rowOf(m, CACHE_INODE, item);
  const { inode } = m.fs;
  if (!spinTryLock(inode.lock, row, LC_I_LOCK)) return LRU_SKIP;
  let result = LRU_REMOVED;
  const state = inode.state[row] as number;
  if ((inode.count[row] as number) > 0) listLruIsolate(m, item, list);
  else if ((state & I_REFERENCED) !== 0 || (m.mapping.nrPages[row] as number) > 0) {
    // One with pages waits until reclaim has had them: nothing is written from here.
    inode.state[row] = state & ~I_REFERENCED;
    result = LRU_ROTATE;
  } else {
    listLruIsolate(m, item, list);
    markFreeing(m, row);
    freeing.push(row);
  }
  unlock(m, row);
  return result;
}

/**
 * Frees unused inodes of a mount, oldest first.
 * @param nr inodes to look at
 * @returns inodes that left the list
 * @context a scan callback: s_umount held for reading, no spinlock
 */
export function pruneIcache(m: Mm, sb: number, sc: ShrinkControl, nr: number): number {
  const freeing: number[] = [];
  const lru = m.fs.super.inodeLru[sb] as number;
  const isolate = (mm: Mm, item: number, list: number): number =>
    isolateInode(mm, item, list, freeing);
  const isolated = listLruWalk(m, lru, sc.nid, sc.memcg, isolate, nr);
  for (const row of freeing) evict(m, row);
  return isolated;
}

/**
 * Frees every inode of a mount that nobody uses any more.
 * @throws BugError when one is in use
 * @context s_umount held for writing, the shrinker freed, the dentries gone
 */
export function evictInodes(m: Mm, sb: number): void {
  const { inode, super: supers } = m.fs;
  for (let row = supers.inodes[sb] as number; row !== 0; row = supers.inodes[sb] as number) {
    lock(m, row);
    if (inode.count[row] !== 0) bug(`inode ${row} of mount ${sb} is in use after umount`);
    lruDel(m, row);
    markFreeing(m, row);
    unlock(m, row);
    evict(m, row);
  }
}
