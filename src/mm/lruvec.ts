// SPDX-License-Identifier: GPL-2.0-only
/**
 * The LRU lists of a memcg on a node (include/linux/mm_inline.h, lruvec part of mm/swap.c).
 *
 * Head = youngest; reclaim takes the tail. Sizes are written under lru_lock and read without it,
 * so they are atomic words. PG_LRU says that a folio is on a list; whoever clears it, alone, may
 * take the folio off (isolation arbiter).
 */
import { listAdd, listAddTail, listDel } from '../../shared/list.ts';
import { assertSpinHeld, spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { folioLruList, folioPages } from './folio.ts';
import { NR_PAGE_ORDERS, SWAP_CLUSTER_MAX } from './limits.ts';
import { LC_LRU } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_ANON, NR_LRU_LISTS } from './mm_types.ts';

/** @returns the link row that heads a list of an lruvec */
export function lruHead(m: Mm, lruvec: number, lru: number): number {
  const { heads, nrZones } = m.sizes;
  return heads + nrZones * (NR_PAGE_ORDERS + m.config.cpus) + lruvec * NR_LRU_LISTS + lru;
}

/** @returns the row of a group's lruvec on a node */
export function lruvecRow(m: Mm, memcg: number, nid: number): number {
  return memcg * m.sizes.nrNodes + nid;
}

/** @returns the group that an lruvec belongs to */
export function lruvecMemcg(m: Mm, lruvec: number): number {
  return Math.floor(lruvec / m.sizes.nrNodes);
}

/** The lruvec of the parent group on the same node, or -1 above the root. */
export function parentLruvec(m: Mm, lruvec: number): number {
  const memcg = lruvecMemcg(m, lruvec);
  if (memcg === 0) return -1;
  return lruvecRow(m, m.memcg.parent[memcg] as number, lruvec % m.sizes.nrNodes);
}

/** @context takes lruvec->lru_lock; nothing may sleep under it */
export function lruLock(m: Mm, lruvec: number): void {
  spinLock(m.lruLock, lruvec * LINE_WORDS, LC_LRU);
}

/** Releases lruvec->lru_lock. @context the holder */
export function lruUnlock(m: Mm, lruvec: number): void {
  spinUnlock(m.lruLock, lruvec * LINE_WORDS, LC_LRU);
}

/** @returns pages on a list; a moment old unless lru_lock is held */
export function lruSize(m: Mm, lruvec: number, lru: number): number {
  return Atomics.load(m.lruSize, lruvec * NR_LRU_LISTS + lru);
}

/**
 * Adds `pages` to a list's size, for the lruvec, the groups above it but the root, and its zone.
 * @context lru_lock held
 */
export function updateLruSize(
  m: Mm,
  lruvec: number,
  zone: number,
  lru: number,
  pages: number,
): void {
  Atomics.add(m.lruSize, lruvec * NR_LRU_LISTS + lru, pages);
  // Rows below nrNodes are the root's.
  const { nrNodes } = m.sizes;
  for (let row = lruvec; row >= nrNodes; ) {
    row = parentLruvec(m, row);
    if (row >= nrNodes) Atomics.add(m.lruBelow, row * NR_LRU_LISTS + lru, pages);
  }
  Atomics.add(m.zoneLru, zone * NR_LRU_LISTS + lru, pages);
}

/**
 * Links a folio at the head of the list that its flags name, or at its tail.
 * @context lru_lock held, PG_LRU set
 */
export function lruvecAddFolioLocked(
  m: Mm,
  lruvec: number,
  pfn: number,
  flags: number,
  tail = false,
): void {
  assertSpinHeld(m.lruLock, lruvec * LINE_WORDS);
  const lru = folioLruList(flags);
  if (tail) listAddTail(m.link.next, m.link.prev, pfn, lruHead(m, lruvec, lru));
  else listAdd(m.link.next, m.link.prev, pfn, lruHead(m, lruvec, lru));
  updateLruSize(m, lruvec, m.page.zone[pfn] as number, lru, folioPages(m, pfn));
}

/**
 * Unlinks a folio from the list that its flags name. @context lru_lock held, PG_LRU just cleared
 */
export function lruvecDelFolioLocked(m: Mm, lruvec: number, pfn: number, flags: number): void {
  assertSpinHeld(m.lruLock, lruvec * LINE_WORDS);
  listDel(m.link.next, m.link.prev, pfn);
  const lru = folioLruList(flags);
  updateLruSize(m, lruvec, m.page.zone[pfn] as number, lru, -folioPages(m, pfn));
}

/**
 * Records what reclaiming a type has cost, in the lruvec and its ancestors (lru_note_cost). The
 * older half decays when the sum passes a quarter of the lruvec.
 * @param nrIo pages written out or refaulted @param nrRotated pages scanned and not reclaimed
 * @context takes lru_lock of each level in turn
 */
export function lruNoteCost(
  m: Mm,
  lruvec: number,
  file: boolean,
  nrIo: number,
  nrRotated: number,
): void {
  const cost = nrIo * SWAP_CLUSTER_MAX + nrRotated;
  if (cost === 0) return;
  const { anonCost, fileCost } = m.lruvec;
  for (let row = lruvec; row >= 0; row = parentLruvec(m, row)) {
    lruLock(m, row);
    if (file) fileCost[row] = (fileCost[row] as number) + cost;
    else anonCost[row] = (anonCost[row] as number) + cost;
    const total = (anonCost[row] as number) + (fileCost[row] as number);
    if (total > Math.floor(hierarchyEvictable(m, row) / 4)) {
      anonCost[row] = Math.floor((anonCost[row] as number) / 2);
      fileCost[row] = Math.floor((fileCost[row] as number) / 2);
    }
    lruUnlock(m, row);
  }
}

/**
 * Is `memcg` `ancestor` or below it?
 * @context both are known to be there, or an RCU reader got the number of a group that was
 */
export function memcgWithin(m: Mm, memcg: number, ancestor: number): boolean {
  for (let group = memcg; ; group = m.memcg.parent[group] as number) {
    if (group === ancestor) return true;
    if (group === 0) return false;
  }
}

/** Pages of a node on one list, all zones. */
export function nodeLru(m: Mm, nid: number, lru: number): number {
  let pages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] === nid) pages += Atomics.load(m.zoneLru, zone * NR_LRU_LISTS + lru);
  }
  return pages;
}

/** A list's size over the lruvec's whole subtree: what lruvec_page_state reports. */
export function hierarchyLruSize(m: Mm, lruvec: number, lru: number): number {
  if (lruvec < m.sizes.nrNodes) return nodeLru(m, lruvec, lru);
  return lruSize(m, lruvec, lru) + Atomics.load(m.lruBelow, lruvec * NR_LRU_LISTS + lru);
}

function hierarchyEvictable(m: Mm, lruvec: number): number {
  let pages = 0;
  for (let lru = LRU_INACTIVE_ANON; lru <= LRU_ACTIVE_FILE; lru++) {
    pages += hierarchyLruSize(m, lruvec, lru);
  }
  return pages;
}
