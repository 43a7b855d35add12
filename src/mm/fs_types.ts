// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of mounts and of their names and files (include/linux/fs.h, dcache.h).
 *
 * A mount has one flat directory: a name is a number, 1 .. 2^31-1. A dentry says what file a name
 * has, or that it has none (negative). Rows of dentries and inodes stay what they are when they
 * are freed (SLAB_TYPESAFE_BY_RCU): a lookup may stand on one that is somebody else's by now, and
 * finds out under the row's lock.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { assert } from '../../shared/assert.ts';
import { RWSEM_WORDS } from '../../shared/rwsem.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import type { SlabSizes } from './slab_types.ts';

/** Kinds of mounts. */
export const TMPFS = 1;
/** A read-only disk: every name has a file, which can be read again at any time. */
export const DISKFS = 2;
/** A directory of the host: its files are cached, and written back. */
export const HOSTFS = 3;

/** States of a mount's row. */
export const SB_FREE = 0;
export const SB_NEW = 1;
/** Mounted: SB_BORN and SB_ACTIVE. */
export const SB_BORN = 2;
/** generic_shutdown_super has begun. */
export const SB_DYING = 3;

/** In `users` once a mount is going away: nobody may begin anything. */
export const SB_NO_USERS = -0x40000000;

/** The dentry is in the hash. */
export const D_HASHED = 1;
/** DCACHE_REFERENCED: used since reclaim last looked. */
export const D_REFERENCED = 2;
/** DCACHE_LRU_LIST: on the LRU list, or with D_SHRINK_LIST on a list of who reclaims it. */
export const D_LRU_LIST = 4;
export const D_SHRINK_LIST = 8;
/** DCACHE_MAY_FREE: killed while on a shrink list, whose owner frees it. */
export const D_MAY_FREE = 16;
/** A linked file of a mount without a disk: the name holds a reference of its own. */
export const D_PINNED = 32;

/** Count of a dentry that is killed. */
export const D_DEAD = -128;

export const I_HASHED = 1;
/** Used since reclaim last looked. */
export const I_REFERENCED = 2;
/** Nobody may take a reference any more. */
export const I_FREEING = 4;

const DENTRY_COLUMNS = {
  lock: 'i32', // @atomic lock word of d_lock
  count: 'i32', // @guardedBy d_lock  references; D_DEAD
  flags: 'i32', // @guardedBy d_lock  D_*
  sb: 'i32', // @guardedBy d_lock  @racy lookups under RCU
  name: 'i32', // @guardedBy d_lock  @racy lookups under RCU
  inode: 'i32', // @guardedBy d_lock  0 is negative
  hashNext: 'i32', // @guardedBy object_lists  ends as nulls lists do  @racy lookups under RCU
  sbNext: 'i32', // @guardedBy object_lists
  sbPrev: 'i32', // @guardedBy object_lists
} as const;

const INODE_COLUMNS = {
  lock: 'i32', // @atomic lock word of i_lock
  count: 'i32', // @guardedBy i_lock  references
  state: 'i32', // @guardedBy i_lock  I_*
  nlink: 'i32', // @guardedBy i_lock  names
  sb: 'i32', // @guardedBy i_lock  @racy lookups under RCU; constant while referenced
  ino: 'i32', // @guardedBy i_lock  @racy lookups under RCU
  hashNext: 'i32', // @guardedBy object_lists  as the dentry's  @racy lookups under RCU
  sbNext: 'i32', // @guardedBy object_lists
  sbPrev: 'i32', // @guardedBy object_lists
} as const;

const SUPER_COLUMNS = {
  state: 'i32', // @atomic SB_*
  users: 'i32', // @atomic calls under way and open files; SB_NO_USERS once it is being unmounted
  type: 'i32', // @guardedBy s_umount  @racy constant while mounted
  shrinker: 'i32', // @guardedBy s_umount  @racy as type
  dentryLru: 'i32', // @guardedBy s_umount  @racy as type
  inodeLru: 'i32', // @guardedBy s_umount  @racy as type
  root: 'i32', // @guardedBy s_umount  root dentry
  nextIno: 'i32', // @atomic
  dentries: 'i32', // @guardedBy object_lists  first dentry
  inodes: 'i32', // @guardedBy object_lists  first inode
  dentriesMade: 'i32', // @guardedBy object_lists
  dentriesFreed: 'i32', // @guardedBy object_lists
  inodesMade: 'i32', // @guardedBy object_lists
  inodesFreed: 'i32', // @guardedBy object_lists
} as const;

/** In word SUPER_INODES of `superHint`: whose the rows of inodes are. Nobody's at first. */
export const SUPER_INODES = 1;
/** Of programs, which use rows by number: nobody mounts anything. */
export const INODES_OF_PROGRAMS = 1;
/** Of mounts: a page belongs to a file that is open. */
export const INODES_OF_MOUNTS = 2;

/** Locks of the hash tables: buckets share them. */
export const HASH_LOCKS = 64;

export interface FsSizes {
  /** Rows, row 0 counted. */
  readonly nrSupers: number;
  readonly nrDentries: number;
  readonly nrInodes: number;
  readonly dentryBuckets: number;
  readonly inodeBuckets: number;
}

function buckets(rows: number): number {
  let size = HASH_LOCKS;
  while (size < rows) size *= 2;
  return size;
}

/** @param mounts mounts that may exist at once */
export function fsSizes(mounts: number, slabs: SlabSizes) {
  const nrDentries = 1 + (slabs.itemBase[1] as number);
  const nrInodes = slabs.nrObjects - (slabs.itemBase[1] as number);
  return {
    nrSupers: mounts + 1,
    nrDentries,
    nrInodes,
    dentryBuckets: buckets(nrDentries),
    inodeBuckets: buckets(nrInodes),
  } satisfies FsSizes;
}

/** Declares the tables. Pure, as the arena asks. */
export function declareFs(builder: ArenaBuilder, s: FsSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    dentry: builder.columns('dentry', DENTRY_COLUMNS, s.nrDentries),
    inode: builder.columns('inode', INODE_COLUMNS, s.nrInodes),
    super: builder.columns('super', SUPER_COLUMNS, s.nrSupers),
    // @atomic words of s_umount
    umountLock: words('super.s_umount', s.nrSupers, LINE_WORDS),
    // @atomic lock words of object_lists: a mount's lists
    superLock: words('super.lists_lock', s.nrSupers, LINE_WORDS),
    // @guardedBy object_lists  first of each bucket, or ~bucket  @racy lookups under RCU
    dentryHash: words('dentry.hash', s.dentryBuckets, 1),
    // @guardedBy object_lists  first of each bucket, or ~bucket  @racy lookups under RCU
    inodeHash: words('inode.hash', s.inodeBuckets, 1),
    // @atomic lock words of object_lists: buckets of dentries, then of inodes
    hashLock: words('fs.hash_lock', 2 * HASH_LOCKS, LINE_WORDS),
    // @atomic word 0: row from which the search for a free mount begins; word 1: INODES_*
    superHint: words('super.hint', 1, LINE_WORDS),
  };
}

assert(RWSEM_WORDS <= LINE_WORDS, 's_umount fits in its line');
