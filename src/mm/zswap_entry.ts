// SPDX-License-Identifier: GPL-2.0-only
/**
 * Entries of zswap: one per slot at most, with the object that has its page, its place in the list
 * of its group, and what the group is charged (mm/zswap.c, zswap_entry_free and its like).
 *
 * All under the slot's cluster lock. An entry is put on its list last and taken off first: what is
 * on a list is whole. Its group is the slot's, whose charge keeps it.
 */
import { PAGE_SIZE } from './limits.ts';
import { listLruAdd, listLruDel, listLruMemcgMake } from './list_lru.ts';
import type { Mm } from './mm.ts';
import { EV } from './vmstat_items.ts';
import { zsFree } from './zsmalloc.ts';
import { ZS_BLOCK_BYTES, ZS_POOL_ZSWAP, zsClassBytes, zsSizeClass } from './zsmalloc_sizes.ts';
import {
  ZSWAP_ENABLED,
  ZSWAP_INCOMPRESSIBLE,
  ZSWAP_LRU,
  ZSWAP_STORED,
  ZSWAP_UNIT,
  ZSWAP_VOID_BYTES,
} from './zswap_types.ts';

/** @returns whether it takes pages: it is there, and switched on */
export function zswapEnabled(m: Mm): boolean {
  return hasZswap(m) && Atomics.load(m.zswapWords, ZSWAP_ENABLED) === 1;
}

/** @returns whether the machine has zswap, on or off @context any */
export function hasZswap(m: Mm): boolean {
  return m.sizes.nrZswapSlots !== 0;
}

/** @returns whether zswap has a slot's page @context swap_cluster, or the slot's folio locked */
export function zswapHolds(m: Mm, slot: number): boolean {
  return hasZswap(m) && m.zswap.length[slot] !== 0;
}

/**
 * Makes the lists of a new group, so that its entries have one; without, they are never written
 * back.
 * @context cgroup_mutex held, or boot; may block
 */
export function zswapPrepare(m: Mm, memcg: number): void {
  if (hasZswap(m)) listLruMemcgMake(m, m.zswapWords[ZSWAP_LRU] as number, memcg);
}

/** Item of a slot's entry in its list. */
export function zswapItem(m: Mm, slot: number): number {
  return m.sizes.lists.firstZswap + slot;
}

/** Pages of the pool (zswap_total_pages). @context any; a moment old */
export function zswapTotalPages(m: Mm): number {
  if (!m.config.contents) {
    return Math.ceil((Atomics.load(m.zswapWords, ZSWAP_STORED) * ZSWAP_VOID_BYTES) / PAGE_SIZE);
  }
  const blocks = Atomics.load(m.zsPool, ZS_POOL_BLOCKS + ZS_POOL_ZSWAP);
  return (blocks * ZS_BLOCK_BYTES) / PAGE_SIZE;
}

/** First word of `zsPool` with blocks of each pool. */
const ZS_POOL_BLOCKS = 6;

/** Units that a group is charged for an entry. */
export function zswapUnits(length: number): number {
  return zsClassBytes(zsSizeClass(length)) / ZSWAP_UNIT;
}

/** Charges a group and all above it (obj_cgroup_charge_zswap); negative to uncharge. */
function charge(m: Mm, memcg: number, units: number, entries: number): void {
  for (let group = memcg; ; group = m.memcg.parent[group] as number) {
    Atomics.add(m.memcg.zswapUnits, group, units);
    Atomics.add(m.memcg.zswapped, group, entries);
    if (group === 0) return;
  }
}

/**
 * Makes a slot's entry.
 * @param handle an object of the pool, the entry's from here on @param length 1 .. PAGE_SIZE
 * @context swap_cluster held; the slot has no entry; takes list_lru
 */
export function zswapInsertLocked(
  m: Mm,
  slot: number,
  handle: number,
  length: number,
  nid: number,
): void {
  const memcg = m.slot.memcg[slot] as number;
  m.zswap.handle[slot] = handle;
  m.zswap.length[slot] = length;
  m.zswap.nid[slot] = nid;
  Atomics.store(m.zswap.referenced, slot, 1);
  charge(m, memcg, zswapUnits(length), 1);
  Atomics.add(m.zswapWords, ZSWAP_STORED, 1);
  if (length === PAGE_SIZE) Atomics.add(m.zswapWords, ZSWAP_INCOMPRESSIBLE, 1);
  listLruAdd(m, m.zswapWords[ZSWAP_LRU] as number, zswapItem(m, slot), nid, memcg);
}

/**
 * Frees a slot's entry (zswap_entry_free).
 * @returns whether there was one
 * @context swap_cluster held; takes list_lru, zsmalloc locks
 */
export function zswapFreeLocked(m: Mm, slot: number): boolean {
  if (!zswapHolds(m, slot)) return false;
  const memcg = m.slot.memcg[slot] as number;
  const length = m.zswap.length[slot] as number;
  const nid = m.zswap.nid[slot] as number;
  listLruDel(m, m.zswapWords[ZSWAP_LRU] as number, zswapItem(m, slot), nid, memcg);
  const handle = m.zswap.handle[slot] as number;
  if (handle !== 0) zsFree(m, handle);
  m.zswap.handle[slot] = 0;
  m.zswap.length[slot] = 0;
  charge(m, memcg, -zswapUnits(length), -1);
  Atomics.sub(m.zswapWords, ZSWAP_STORED, 1);
  if (length === PAGE_SIZE) Atomics.sub(m.zswapWords, ZSWAP_INCOMPRESSIBLE, 1);
  return true;
}

/** The entry's page is of no use any more (zswap_invalidate). @context as zswapFreeLocked */
export function zswapInvalidateLocked(m: Mm, slot: number): void {
  if (!zswapFreeLocked(m, slot)) return;
  m.task.events[EV.kr_zswap_freed] = (m.task.events[EV.kr_zswap_freed] as number) + 1;
}
