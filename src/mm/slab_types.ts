// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of the slab allocator and of who its objects are charged to (mm/slab.h,
 * include/linux/memcontrol.h).
 *
 *   item      1 .. D       D+1 .. D+I     D+I+1 ..        Every object has a place in one space of
 *   what      dentries     inodes         shadow nodes    items, so that one pair of link columns
 *   slab      1 .. Sd      Sd+1 ..        none            and one state word serve all of them.
 *
 * Rows of a cache count from 1. A slab's objects are neighbours: slab k of a cache (from 0) has
 * rows k x n + 1 .. k x n + n, whatever page it is on.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import { PAGE_SIZE } from './limits.ts';

/** Caches: one per kind of object. */
export const CACHE_DENTRY = 0;
export const CACHE_INODE = 1;
export const NR_CACHES = 2;

/** Bytes of an object of each cache, about those of the kernel's structures on 64 bits. */
export const OBJECT_BYTES: readonly number[] = [192, 720];
/** Objects of a slab, which is one page. */
export const SLAB_OBJECTS: readonly number[] = OBJECT_BYTES.map((b) => Math.floor(PAGE_SIZE / b));

/** State word of a live object: anything but this and POISON_FREE is a broken table. */
export const OBJECT_USED = 0x5aa5c33c;

/** Words of a lock row of `slabLock`. */
export const SLAB_LOCK = 0;
/** In the row of a cache's pool: first slab row without a page. */
export const SLAB_POOL_FREE = 1;

/** Words of `objcgWords`. */
export const OBJCG_FREE = 0; // @guardedBy cgroup_mutex  first free row
export const OBJCG_RELEASED = 1; // @atomic first of those that nothing is charged to any more

const OBJECT_COLUMNS = {
  state: 'i32', // @guardedBy slab_lock  OBJECT_USED or POISON_FREE  @racy its user checks it
  objcg: 'i32', // @guardedBy slab_lock  who pays, 0 for nobody  @racy constant while in use
  nextFree: 'i32', // @guardedBy slab_lock  next free object of the slab, 0 at the end
} as const;

const SLAB_COLUMNS = {
  pfn: 'i32', // @guardedBy slab_lock  its page, 0 for none  @racy constant while an object lives
  nid: 'i32', // @guardedBy slab_lock  node of the page  @racy as pfn
  inuse: 'i32', // @guardedBy slab_lock
  free: 'i32', // @guardedBy slab_lock  first free object; without a page: next such slab
} as const;

/** Links of slabs with room; heads behind the slabs, per cache and node. */
const PARTIAL_COLUMNS = {
  next: 'i32', // @guardedBy slab_lock
  prev: 'i32', // @guardedBy slab_lock
} as const;

const OBJCG_COLUMNS = {
  memcg: 'i32', // @guardedBy objcg_lock  group that its objects belong to  @racy read under RCU
  online: 'i32', // @guardedBy objcg_lock  its own group is online
  bytes: 'i32', // @guardedBy objcg_lock  of live objects; ceil(bytes / page) pages are charged
  next: 'i32', // @guardedBy cgroup_mutex  next of the group, or next free
  prev: 'i32', // @guardedBy cgroup_mutex
  released: 'i32', // @atomic next of those that nothing is charged to any more
  lock: 'i32', // @atomic lock word of objcg_lock
} as const;

export interface SlabSizes {
  /** Slabs of each cache. */
  readonly slabs: readonly number[];
  /** Row of a cache's first slab, minus 1; and item of its first object, minus 1. */
  readonly slabBase: readonly number[];
  readonly itemBase: readonly number[];
  /** Rows of slabs, row 0 counted; heads of partial lists come behind. */
  readonly nrSlabs: number;
  /** Items that are slab objects, item 0 counted. */
  readonly nrObjects: number;
  readonly nrNodes: number;
  readonly nrObjcgs: number;
  readonly nrMemcgs: number;
}

/** @param dentries @param inodes objects that may exist at once; rounded up to whole slabs */
export function slabSizes(
  nrNodes: number,
  nrMemcgs: number,
  dentries: number,
  inodes: number,
): SlabSizes {
  const [perDentrySlab, perInodeSlab] = SLAB_OBJECTS as [number, number];
  const dentrySlabs = Math.ceil(dentries / perDentrySlab);
  const inodeSlabs = Math.ceil(inodes / perInodeSlab);
  const dentryRows = dentrySlabs * perDentrySlab;
  const nrObjects = 1 + dentryRows + inodeSlabs * perInodeSlab;
  return {
    slabs: [dentrySlabs, inodeSlabs],
    slabBase: [0, dentrySlabs],
    itemBase: [0, dentryRows],
    nrSlabs: 1 + dentrySlabs + inodeSlabs,
    nrObjects,
    nrNodes,
    // A removed group's is kept by its objects.
    nrObjcgs: nrMemcgs + Math.min(nrObjects, Math.max(nrMemcgs, 4096)),
    nrMemcgs,
  };
}

/** Declares the tables. Pure, as the arena asks. */
export function declareSlabs(builder: ArenaBuilder, s: SlabSizes) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    object: builder.columns('object', OBJECT_COLUMNS, s.nrObjects),
    slab: builder.columns('slab', SLAB_COLUMNS, s.nrSlabs),
    partial: builder.columns('slab.partial', PARTIAL_COLUMNS, s.nrSlabs + NR_CACHES * s.nrNodes),
    // @guardedBy slab_lock  per cache and node: the lock; then per cache: the lock, SLAB_POOL_FREE
    slabLock: words('slab.lock', NR_CACHES * (s.nrNodes + 1), LINE_WORDS),
    objcg: builder.columns('objcg', OBJCG_COLUMNS, s.nrObjcgs),
    // @guardedBy cgroup_mutex  first objcg of each group, its own and those of removed ones below
    objcgFirst: words('objcg.first', s.nrMemcgs, 1),
    // @atomic OBJCG_* words, each as it is tagged above
    objcgWords: words('objcg.words', 1, LINE_WORDS),
  };
}
