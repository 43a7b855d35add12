// SPDX-License-Identifier: GPL-2.0-only
/**
 * The slab allocator: kernel objects on pages of their own (mm/slub.c).
 *
 *   slab state   page   list             next
 *   no page      0      pool             growCache takes a page: partial, with one object in use
 *   partial      pfn    partial (node)   full when its last free object goes
 *   full         pfn    none             partial when one comes back
 *   empty                                its page goes back to the buddy allocator at once
 *
 * An object's row names a fixed place in the arena; the page stands for it in the accounts of the
 * modelled memory. Free objects of a slab are linked through their rows. Every object has a state
 * word: a second free and a use after a free are named, and what is left there reads POISON_FREE.
 */
import { bug } from '../../shared/assert.ts';
import { cpuRelax } from '../../shared/cpu_relax.ts';
import {
  LIST_NONE,
  listAdd,
  listDel,
  listFirst,
  listInit,
  listNodeInit,
} from '../../shared/list.ts';
import { POISON_FREE } from '../../shared/rcu_cells.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { folioNid, folioRefFreeze } from './folio.ts';
import { LC_SLAB } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { PG_SLAB } from './mm_types.ts';
import { objcgCharge, objcgUncharge } from './objcg.ts';
import { freePage, PFN_NONE } from './page_alloc.ts';
import { allocUnmovablePage } from './page_alloc_slow.ts';
import {
  CACHE_DENTRY,
  CACHE_INODE,
  NR_CACHES,
  OBJECT_BYTES,
  OBJECT_USED,
  SLAB_LOCK,
  SLAB_OBJECTS,
  SLAB_POOL_FREE,
} from './slab_types.ts';
import { homeNode } from './swapin.ts';

/** Chains the slabs without a page; marks every object as free. @context boot */
export function slabInit(m: Mm): void {
  const { slabs, slabBase, nrSlabs, nrNodes } = m.sizes.slabs;
  const { next, prev } = m.partial;
  listNodeInit(next, prev, 0, nrSlabs);
  for (let i = 0; i < NR_CACHES * nrNodes; i++) listInit(next, prev, nrSlabs + i);
  m.object.state.fill(POISON_FREE);
  for (let cache = 0; cache < NR_CACHES; cache++) {
    const base = slabBase[cache] as number;
    const count = slabs[cache] as number;
    for (let i = 1; i <= count; i++) m.slab.free[base + i] = i < count ? base + i + 1 : 0;
    m.slabLock[poolRow(m, cache) + SLAB_POOL_FREE] = count > 0 ? base + 1 : 0;
  }
}

function nodeRow(m: Mm, cache: number, nid: number): number {
  return (cache * m.sizes.nrNodes + nid) * LINE_WORDS;
}

function poolRow(m: Mm, cache: number): number {
  return (NR_CACHES * m.sizes.nrNodes + cache) * LINE_WORDS;
}

/** Row that heads a cache's slabs with room on a node. */
export function partialHead(m: Mm, cache: number, nid: number): number {
  return m.sizes.slabs.nrSlabs + cache * m.sizes.nrNodes + nid;
}

/** Item of a row of a cache. @param row 1 .. rows of the cache */
export function itemOf(m: Mm, cache: number, row: number): number {
  return (m.sizes.slabs.itemBase[cache] as number) + row;
}

/** Row in its cache of an item. */
export function rowOf(m: Mm, cache: number, item: number): number {
  return item - (m.sizes.slabs.itemBase[cache] as number);
}

/** Cache of an item that is a slab object. */
export function cacheOf(m: Mm, item: number): number {
  return item > (m.sizes.slabs.itemBase[CACHE_INODE] as number) ? CACHE_INODE : CACHE_DENTRY;
}

/** Slab that an item is on. */
export function slabOf(m: Mm, item: number): number {
  const cache = cacheOf(m, item);
  const objects = SLAB_OBJECTS[cache] as number;
  const index = Math.floor((rowOf(m, cache, item) - 1) / objects);
  return (m.sizes.slabs.slabBase[cache] as number) + 1 + index;
}

/** Node of the page that a live object is on: constant until it is freed. */
export function objectNid(m: Mm, item: number): number {
  return m.slab.nid[slabOf(m, item)] as number;
}

/** First line of whoever uses an object. @throws BugError when it has been freed */
export function assertObject(m: Mm, item: number): void {
  const state = m.object.state[item] as number;
  if (state !== OBJECT_USED) {
    bug(`item ${item} is used after it was freed: state 0x${(state >>> 0).toString(16)}`);
  }
}

/** Takes a free object of a slab. @returns its item @context slab_lock of the slab's node */
function takeLocked(m: Mm, slab: number): number {
  const item = m.slab.free[slab] as number;
  if (m.object.state[item] !== POISON_FREE) bug(`item ${item} is on a free list and in use`);
  m.slab.free[slab] = m.object.nextFree[item] as number;
  m.slab.inuse[slab] = (m.slab.inuse[slab] as number) + 1;
  m.object.state[item] = OBJECT_USED;
  return item;
}

/** An object of a slab that has room. @returns its item, 0 when the node has none */
function takePartial(m: Mm, cache: number, nid: number): number {
  const { next, prev } = m.partial;
  const lock = nodeRow(m, cache, nid);
  spinLock(m.slabLock, lock + SLAB_LOCK, LC_SLAB);
  const slab = listFirst(next, partialHead(m, cache, nid));
  let item = 0;
  if (slab !== LIST_NONE) {
    item = takeLocked(m, slab);
    if (m.slab.free[slab] === 0) listDel(next, prev, slab);
  }
  spinUnlock(m.slabLock, lock + SLAB_LOCK, LC_SLAB);
  return item;
}

function takeSlabRow(m: Mm, cache: number): number {
  const pool = poolRow(m, cache);
  spinLock(m.slabLock, pool + SLAB_LOCK, LC_SLAB);
  const slab = m.slabLock[pool + SLAB_POOL_FREE] as number;
  if (slab !== 0) m.slabLock[pool + SLAB_POOL_FREE] = m.slab.free[slab] as number;
  spinUnlock(m.slabLock, pool + SLAB_LOCK, LC_SLAB);
  return slab;
}

function returnSlabRow(m: Mm, cache: number, slab: number): void {
  const pool = poolRow(m, cache);
  spinLock(m.slabLock, pool + SLAB_LOCK, LC_SLAB);
  m.slab.free[slab] = m.slabLock[pool + SLAB_POOL_FREE] as number;
  m.slabLock[pool + SLAB_POOL_FREE] = slab;
  spinUnlock(m.slabLock, pool + SLAB_LOCK, LC_SLAB);
}

/** Links all objects of a slab that nobody knows yet. */
function formatSlab(m: Mm, cache: number, slab: number): void {
  const objects = SLAB_OBJECTS[cache] as number;
  const index = slab - 1 - (m.sizes.slabs.slabBase[cache] as number);
  const first = itemOf(m, cache, index * objects + 1);
  for (let i = 0; i < objects; i++) {
    m.object.nextFree[first + i] = i + 1 < objects ? first + i + 1 : 0;
  }
  m.slab.free[slab] = first;
  m.slab.inuse[slab] = 0;
}

/** A new slab. @returns an object of it, 0 when there is no row or no page for one */
function growCache(m: Mm, cache: number, nid: number): number {
  const slab = takeSlabRow(m, cache);
  if (slab === 0) return 0;
  const pfn = allocUnmovablePage(m, nid);
  if (pfn === PFN_NONE) {
    returnSlabRow(m, cache, slab);
    return 0;
  }
  const home = folioNid(m, pfn);
  m.page.private[pfn] = slab;
  Atomics.or(m.page.flags, pfn, PG_SLAB);
  Atomics.add(m.node.slabReclaimable, home, 1);
  m.slab.pfn[slab] = pfn;
  m.slab.nid[slab] = home;
  formatSlab(m, cache, slab);
  const lock = nodeRow(m, cache, home);
  spinLock(m.slabLock, lock + SLAB_LOCK, LC_SLAB);
  // The first object goes before anybody sees the slab: it is never empty on a list.
  const item = takeLocked(m, slab);
  if (m.slab.free[slab] !== 0) {
    listAdd(m.partial.next, m.partial.prev, slab, partialHead(m, cache, home));
  }
  spinUnlock(m.slabLock, lock + SLAB_LOCK, LC_SLAB);
  return item;
}

/** As a last resort, any node's slabs. */
function takeAnyPartial(m: Mm, cache: number): number {
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const item = takePartial(m, cache, nid);
    if (item !== 0) return item;
  }
  return 0;
}

/**
 * Allocates an object, charged to the group of this thread.
 * @param cache CACHE_*
 * @returns its row in the cache, contents undefined; 0 when there is no memory, no row, or no room
 *   below a group's limit
 * @context may block and reclaim; no spinlock held
 */
export function slabAlloc(m: Mm, cache: number): number {
  const bytes = OBJECT_BYTES[cache] as number;
  const objcg = objcgCharge(m, bytes);
  if (objcg < 0) return 0;
  const nid = m.config.movableNode === true ? 0 : homeNode(m);
  const item = takePartial(m, cache, nid) || growCache(m, cache, nid) || takeAnyPartial(m, cache);
  if (item === 0) {
    objcgUncharge(m, objcg, bytes);
    return 0;
  }
  m.object.objcg[item] = objcg;
  return rowOf(m, cache, item);
}

/** Gives the page of an empty slab back. */
function freeSlab(m: Mm, cache: number, slab: number): void {
  const pfn = m.slab.pfn[slab] as number;
  Atomics.sub(m.node.slabReclaimable, m.slab.nid[slab] as number, 1);
  m.slab.pfn[slab] = 0;
  m.page.private[pfn] = 0;
  Atomics.and(m.page.flags, pfn, ~PG_SLAB);
  // A lookup that read the page's number when it was a file's may hold it for a moment.
  while (!folioRefFreeze(m, pfn, 1)) cpuRelax();
  freePage(m, pfn);
  // A page that comes back outside of reclaim is no progress of the next one.
  if (m.task.memalloc) m.task.reclaimedSlab++;
  returnSlabRow(m, cache, slab);
}

/**
 * Frees an object; the page goes with the last one of its slab.
 * @throws BugError when it is free already
 * @context any thread; takes slab_lock, and frees a page: nothing below it held
 */
export function slabFree(m: Mm, cache: number, row: number): void {
  const item = itemOf(m, cache, row);
  const slab = slabOf(m, item);
  const { next, prev } = m.partial;
  const objcg = m.object.objcg[item] as number;
  // Constant while this object lives.
  const nid = m.slab.nid[slab] as number;
  const lock = nodeRow(m, cache, nid);
  spinLock(m.slabLock, lock + SLAB_LOCK, LC_SLAB);
  if (m.object.state[item] !== OBJECT_USED) bug(`item ${item} is freed twice`);
  m.object.state[item] = POISON_FREE;
  m.object.objcg[item] = 0;
  const wasFull = m.slab.free[slab] === 0;
  m.object.nextFree[item] = m.slab.free[slab] as number;
  m.slab.free[slab] = item;
  const left = (m.slab.inuse[slab] as number) - 1;
  m.slab.inuse[slab] = left;
  if (left === 0 && !wasFull) listDel(next, prev, slab);
  if (left > 0 && wasFull) listAdd(next, prev, slab, partialHead(m, cache, nid));
  spinUnlock(m.slabLock, lock + SLAB_LOCK, LC_SLAB);
  if (left === 0) freeSlab(m, cache, slab);
  objcgUncharge(m, objcg, OBJECT_BYTES[cache] as number);
}
