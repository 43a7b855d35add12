// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where dentries and inodes are found: hash tables, and the lists of their mount (fs/dcache.c,
 * include/linux/list_nulls.h).
 *
 * A lookup walks a bucket without a lock. A row that it stands on may be freed and come back in
 * another bucket, and lead the walk astray; the end of every chain says whose it is, and a walk
 * that ends elsewhere begins again. A row that was taken out keeps its link for those on it.
 */
import { assert } from '../../shared/assert.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import { HASH_LOCKS } from './fs_types.ts';
import { hashPair } from './list_lru_entry.ts';
import { LC_OBJECT_LISTS } from './lock_order.ts';
import type { Mm } from './mm.ts';

/** A hash table of one kind of object: its two keys, its chains. */
export interface ObjectHash {
  readonly buckets: I32;
  /** First lock of its kind in `hashLock`. */
  readonly locks: number;
  readonly next: I32;
  readonly sb: I32;
  readonly key: I32;
}

/** The table of dentries, by mount and name. */
export function dentryHash(m: Mm): ObjectHash {
  const { dentry, dentryHash: buckets } = m.fs;
  return { buckets, locks: 0, next: dentry.hashNext, sb: dentry.sb, key: dentry.name };
}

/** The table of inodes, by mount and number; those of a disk only. */
export function inodeHash(m: Mm): ObjectHash {
  const { inode, inodeHash: buckets } = m.fs;
  return { buckets, locks: HASH_LOCKS, next: inode.hashNext, sb: inode.sb, key: inode.ino };
}

/** Empties the tables. @context boot */
export function fsListsInit(m: Mm): void {
  for (const { buckets } of [dentryHash(m), inodeHash(m)]) {
    for (let i = 0; i < buckets.length; i++) buckets[i] = ~i;
  }
}

function bucketOf(hash: ObjectHash, sb: number, key: number): number {
  return hashPair(sb, key, hash.buckets.length);
}

function lockOf(hash: ObjectHash, bucket: number): number {
  return (hash.locks + (bucket % HASH_LOCKS)) * LINE_WORDS;
}

/**
 * Looks a pair of keys up.
 * @returns a row that had them when it was looked at, 0 for none
 * @context inside an RCU reader; the caller locks the row and looks again
 */
export function hashFind(hash: ObjectHash, sb: number, key: number): number {
  const bucket = bucketOf(hash, sb, key);
  for (;;) {
    let at = Atomics.load(hash.buckets, bucket);
    while (at > 0) {
      if (hash.key[at] === key && hash.sb[at] === sb) return at;
      at = Atomics.load(hash.next, at);
    }
    if (at === ~bucket) return 0;
  }
}

/**
 * Puts a row into the table unless there is one with its keys.
 * @returns false when there is
 * @context the row's lock held, or nobody knows it; takes object_lists
 */
export function hashInsert(m: Mm, hash: ObjectHash, row: number): boolean {
  const sb = hash.sb[row] as number;
  const key = hash.key[row] as number;
  const bucket = bucketOf(hash, sb, key);
  const lock = lockOf(hash, bucket);
  spinLock(m.fs.hashLock, lock, LC_OBJECT_LISTS);
  const first = hash.buckets[bucket] as number;
  let known = false;
  for (let at = first; at > 0 && !known; at = hash.next[at] as number) {
    known = hash.key[at] === key && hash.sb[at] === sb;
  }
  if (!known) {
    Atomics.store(hash.next, row, first);
    // PAIRS(object-hash): the row is whole before a lookup can find it.
    Atomics.store(hash.buckets, bucket, row);
  }
  spinUnlock(m.fs.hashLock, lock, LC_OBJECT_LISTS);
  return !known;
}

/** Takes a row out of the table. @context the row's lock held; takes object_lists */
export function hashRemove(m: Mm, hash: ObjectHash, row: number): void {
  const bucket = bucketOf(hash, hash.sb[row] as number, hash.key[row] as number);
  const lock = lockOf(hash, bucket);
  spinLock(m.fs.hashLock, lock, LC_OBJECT_LISTS);
  let before = 0;
  for (let at = hash.buckets[bucket] as number; at !== row; at = hash.next[at] as number) {
    assert(at > 0, 'a hashed object is in its bucket');
    before = at;
  }
  const after = hash.next[row] as number;
  // PAIRS(object-hash): lookups go past it from here on.
  if (before === 0) Atomics.store(hash.buckets, bucket, after);
  else Atomics.store(hash.next, before, after);
  spinUnlock(m.fs.hashLock, lock, LC_OBJECT_LISTS);
}

/** One list of each mount, with what was ever made and freed of its kind. */
export interface SuperList {
  readonly first: I32;
  readonly made: I32;
  readonly freed: I32;
  readonly next: I32;
  readonly prev: I32;
}

/** Every dentry of each mount. */
export function superDentries(m: Mm): SuperList {
  const { super: s, dentry } = m.fs;
  const { dentries: first, dentriesMade: made, dentriesFreed: freed } = s;
  return { first, made, freed, next: dentry.sbNext, prev: dentry.sbPrev };
}

/** Every inode of each mount. */
export function superInodes(m: Mm): SuperList {
  const { super: s, inode } = m.fs;
  const { inodes: first, inodesMade: made, inodesFreed: freed } = s;
  return { first, made, freed, next: inode.sbNext, prev: inode.sbPrev };
}

/** A new object joins its mount. @context takes object_lists */
export function superLink(m: Mm, list: SuperList, sb: number, row: number): void {
  spinLock(m.fs.superLock, sb * LINE_WORDS, LC_OBJECT_LISTS);
  const first = list.first[sb] as number;
  list.next[row] = first;
  list.prev[row] = 0;
  if (first !== 0) list.prev[first] = row;
  list.first[sb] = row;
  list.made[sb] = ((list.made[sb] as number) + 1) | 0;
  spinUnlock(m.fs.superLock, sb * LINE_WORDS, LC_OBJECT_LISTS);
}

/** An object that is about to be freed leaves its mount. @context takes object_lists */
export function superUnlink(m: Mm, list: SuperList, sb: number, row: number): void {
  spinLock(m.fs.superLock, sb * LINE_WORDS, LC_OBJECT_LISTS);
  const next = list.next[row] as number;
  const prev = list.prev[row] as number;
  if (prev !== 0) list.next[prev] = next;
  else {
    assert(list.first[sb] === row, 'an object is on the list of its mount');
    list.first[sb] = next;
  }
  if (next !== 0) list.prev[next] = prev;
  list.freed[sb] = ((list.freed[sb] as number) + 1) | 0;
  spinUnlock(m.fs.superLock, sb * LINE_WORDS, LC_OBJECT_LISTS);
}
