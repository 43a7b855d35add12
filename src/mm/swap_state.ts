// SPDX-License-Identifier: GPL-2.0-only
/**
 * The swap cache: which folio holds a swap slot's page (mm/swap_state.c).
 *
 * A folio in the cache is the one copy that page tables may get; the cache is where two faults on
 * one slot meet, and where reclaim meets a fault. The cache holds a reference. Entries change under
 * the cluster lock and the folio lock; a lookup takes only the cluster lock and must recheck under
 * the folio lock that the folio is still the slot's.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { FAULT_DELAY } from './faults.ts';
import {
  folioClear,
  folioNid,
  folioOrder,
  folioPages,
  folioRefFreeze,
  folioRefUnfreeze,
  folioSet,
  folioTest,
  folioTryGet,
  pageFolio,
} from './folio.ts';
import { tryChargeSwap, unchargeSwap } from './memcg_swap.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_SWAPCACHE, PG_WRITEBACK, SWAP_HAS_CACHE } from './mm_types.ts';
import { setSlotCache, setSlotShadow } from './shadow_nodes.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { allocSlotRun } from './swap_run.ts';
import { allocSlot, nrSwapPages, putCacheRefLocked, SLOT_NONE, swapCount } from './swapfile.ts';
import { shadowAgeOut, workingsetEviction } from './workingset.ts';

/** The slot's folio was put in the cache by somebody else meanwhile. */
export const CACHE_EXISTS = -1;
/** The slot is free: the fault that wanted it is stale. */
export const CACHE_STALE = -2;

/** What `swapCacheInsert` found in the slot. Private to the thread. */
export const shadowFound = { tag: 0, age: 0 };

/**
 * The page of a slot.
 * @returns its pfn with a reference taken on its folio (`pageFolio`), or 0
 * @context takes swap_cluster
 */
export function swapCacheGet(m: Mm, slot: number): number {
  clusterLock(m, slot);
  const pfn = m.slot.cache[slot] as number;
  const got = pfn !== 0 && folioTryGet(m, pageFolio(m, pfn));
  clusterUnlock(m, slot);
  return got ? pfn : 0;
}

/** Is there a folio for the slot now? A hint: no reference is taken. */
export function swapCacheHas(m: Mm, slot: number): boolean {
  return (m.slot.cache[slot] as number) !== 0;
}

/**
 * Makes a new folio the slot's, for swap-in. The shadow moves to `shadowFound`.
 * @returns 0, CACHE_EXISTS or CACHE_STALE
 * @context folio locked by the caller and known to nobody; takes swap_cluster
 */
export function swapCacheInsert(m: Mm, pfn: number, slot: number): number {
  clusterLock(m, slot);
  const count = m.slot.count[slot] as number;
  // SWAP_HAS_CACHE without a folio: the slot is being handed out just now.
  if (count === 0 || (count & SWAP_HAS_CACHE) !== 0) {
    clusterUnlock(m, slot);
    return count === 0 ? CACHE_STALE : CACHE_EXISTS;
  }
  m.slot.count[slot] = count | SWAP_HAS_CACHE;
  setSlotCache(m, slot, pfn);
  shadowFound.tag = m.slot.shadowTag[slot] as number;
  shadowFound.age = m.slot.shadowAge[slot] as number;
  setSlotShadow(m, slot, 0, 0);
  markInCache(m, pfn, slot);
  clusterUnlock(m, slot);
  return 0;
}

/** @context swap_cluster held */
function markInCache(m: Mm, pfn: number, slot: number): void {
  const pages = folioPages(m, pfn);
  for (let i = 0; i < pages; i++) m.page.private[pfn + i] = slot + i;
  Atomics.add(m.page.refcount, pfn, pages);
  folioSet(m, pfn, PG_SWAPCACHE);
  Atomics.add(m.node.swapCache, folioNid(m, pfn), pages);
}

/** Charges as many slots to a group as a folio needs, or none. */
function chargeSlots(m: Mm, memcg: number, pages: number): boolean {
  for (let i = 0; i < pages; i++) {
    if (tryChargeSwap(m, memcg)) continue;
    while (i-- > 0) unchargeSwap(m, memcg);
    return false;
  }
  return true;
}

/**
 * Gives a folio a slot and marks it dirty, so that it will be written (add_to_swap). A large one
 * gets neighbouring slots for all its pages.
 * @returns the (first) slot, or SLOT_NONE when swap is full, or has no such run, or its group may
 *   have no more of it
 * @context folio locked, not in the cache; takes swap_cluster
 */
export function addToSwap(m: Mm, pfn: number): number {
  assert(folioTest(m, pfn, PG_SWAPCACHE) === false, 'folio is in the swap cache already');
  const memcg = m.page.memcg[pfn] as number;
  const pages = folioPages(m, pfn);
  if (nrSwapPages(m) < pages || !chargeSlots(m, memcg, pages)) return SLOT_NONE;
  const slot = pages === 1 ? allocSlot(m) : allocSlotRun(m, folioOrder(m, pfn));
  if (slot === SLOT_NONE) {
    for (let i = 0; i < pages; i++) unchargeSwap(m, memcg);
    return SLOT_NONE;
  }
  faultDelay(FAULT_DELAY);
  clusterLock(m, slot);
  for (let i = 0; i < pages; i++) {
    setSlotCache(m, slot + i, pfn + i);
    m.slot.memcg[slot + i] = memcg;
  }
  markInCache(m, pfn, slot);
  clusterUnlock(m, slot);
  folioSet(m, pfn, PG_DIRTY);
  return slot;
}

/**
 * Makes another folio the slot's (swap part of folio_migrate_mapping).
 * @param dst locked, known to nobody
 * @param refs what the old one must have for it; then it is frozen
 * @returns false when somebody else holds the old one: nothing has changed
 * @context both locked, the old one in the cache; takes swap_cluster
 */
export function swapCacheReplace(m: Mm, old: number, dst: number, refs: number): boolean {
  const slot = m.page.private[old] as number;
  clusterLock(m, slot);
  assert(m.slot.cache[slot] === old, 'swap cache holds another folio for the slot');
  const frozen = folioRefFreeze(m, old, refs);
  if (frozen) {
    setSlotCache(m, slot, dst);
    markInCache(m, dst, slot);
    m.page.private[old] = 0;
    folioClear(m, old, PG_SWAPCACHE);
    Atomics.sub(m.node.swapCache, folioNid(m, old), 1);
  }
  clusterUnlock(m, slot);
  return frozen;
}

/** Takes the folio out of the cache. @context folio locked and swap_cluster held */
function dropLocked(m: Mm, pfn: number, slot: number): void {
  const pages = folioPages(m, pfn);
  for (let i = 0; i < pages; i++) {
    assert(m.slot.cache[slot + i] === pfn + i, 'swap cache holds another folio for the slot');
    setSlotCache(m, slot + i, 0);
    m.page.private[pfn + i] = 0;
  }
  folioClear(m, pfn, PG_SWAPCACHE);
  Atomics.sub(m.node.swapCache, folioNid(m, pfn), pages);
  for (let i = 0; i < pages; i++) putCacheRefLocked(m, slot + i);
}

/**
 * Reclaim's last step: if nobody but the cache and the isolation hold the folio and it is clean,
 * takes it out of the cache and leaves a shadow (__remove_mapping).
 * @param targetMemcg whose nonresident age the shadow takes
 * @returns whether the folio is the caller's now, with count 0
 * @context folio locked, isolated, unmapped
 */
export function removeMapping(m: Mm, pfn: number, targetMemcg: number): boolean {
  const slot = m.page.private[pfn] as number;
  const pages = folioPages(m, pfn);
  clusterLock(m, slot);
  if (!folioRefFreeze(m, pfn, 1 + pages)) {
    clusterUnlock(m, slot);
    return false;
  }
  // The count first, the dirty bit second: a writer that had a reference may have dirtied it.
  if (folioTest(m, pfn, PG_DIRTY)) {
    folioRefUnfreeze(m, pfn, 1 + pages);
    clusterUnlock(m, slot);
    return false;
  }
  const tag = workingsetEviction(m, pfn, targetMemcg);
  for (let i = 0; i < pages; i++) setSlotShadow(m, slot + i, tag, shadowAgeOut.age);
  dropLocked(m, pfn, slot);
  clusterUnlock(m, slot);
  return true;
}

/**
 * Takes a folio that was only there to be written out of the cache; the slot gets its shadow back.
 * Who has found the folio meanwhile holds a reference, and finds it gone.
 * @context folio locked, in the cache, on no list; takes swap_cluster
 */
export function swapCacheRemove(m: Mm, pfn: number, slot: number, tag: number, age: number): void {
  clusterLock(m, slot);
  setSlotShadow(m, slot, tag, age);
  dropLocked(m, pfn, slot);
  clusterUnlock(m, slot);
  Atomics.sub(m.page.refcount, pfn, 1);
}

/** Does a page table refer to one of a folio's slots? @context swap_cluster held */
function slotsWanted(m: Mm, slot: number, pages: number): boolean {
  for (let i = 0; i < pages; i++) if (swapCount(m, slot + i) !== 0) return true;
  return false;
}

/**
 * Takes a folio out of the cache and gives its slots up, if no page table refers to one of them
 * (folio_free_swap). The folio becomes dirty: it is the only copy.
 * @returns whether it did
 * @context folio locked
 */
export function folioFreeSwap(m: Mm, pfn: number): boolean {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_SWAPCACHE) === 0 || (flags & PG_WRITEBACK) !== 0) return false;
  const slot = m.page.private[pfn] as number;
  const pages = folioPages(m, pfn);
  clusterLock(m, slot);
  if (slotsWanted(m, slot, pages)) {
    clusterUnlock(m, slot);
    return false;
  }
  dropLocked(m, pfn, slot);
  clusterUnlock(m, slot);
  folioSet(m, pfn, PG_DIRTY);
  Atomics.sub(m.page.refcount, pfn, pages);
  return true;
}
