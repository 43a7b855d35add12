// SPDX-License-Identifier: GPL-2.0-only
/**
 * First touch of anonymous memory by a large folio (mm/memory.c, alloc_anon_folio): the largest
 * order that is enabled, fits in the VMA at its natural alignment, has no entry in the way, and can
 * be allocated and charged as things are.
 */
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { memcgChargeLarge } from './charge.ts';
import { tryToCompactPages } from './compaction.ts';
import { deferReset } from './compaction_defer.ts';
import { mmUnstable } from './fatal_signal.ts';
import { FAULT_FLAG_FILL, FAULT_FLAG_FILL_ONE } from './fault_codes.ts';
import { fillNewPage, writeBit } from './fault_page.ts';
import { FAULT_DELAY, FAULT_LARGE_ALLOC } from './faults.ts';
import { folioSet } from './folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_SWAPBACKED,
  PG_UPTODATE,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_YOUNG,
  VM_HUGEPAGE,
} from './mm_types.ts';
import { countMthp } from './mthp_stat.ts';
import { PFN_NONE, prepCompound } from './page_alloc.ts';
import { allocPagesLight, nodeZones } from './page_alloc_slow.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { folioAddNewLargeRmap } from './rmap.ts';
import { discardNewPage, folioAddLruVma, folioPut } from './swap.ts';
import { homeNode } from './swapin.ts';
import { thpOrders } from './thp.ts';
import { MTHP, THP_ORDER_MAX, THP_ORDER_MIN } from './thp_types.ts';
import { EV } from './vmstat_items.ts';

/** Are all entries of a naturally aligned range empty? @context a hint without ptl */
function rangeEmpty(m: Mm, pte: number, pages: number): boolean {
  for (let i = 0; i < pages; i++) if (Atomics.load(m.pte, pte + i) !== 0) return false;
  return true;
}

/** Counts an outcome of an order, and in /proc/vmstat when that is a leaf table's. */
function countFault(m: Mm, order: number, cell: number, event: number): void {
  countMthp(m, order, cell);
  if (order === THP_ORDER_MAX) m.task.events[event] = (m.task.events[event] as number) + 1;
}

/** A block for a folio: nobody reclaims for it, and compaction is for those who asked. */
function allocBlock(m: Mm, order: number, advised: boolean): number {
  if (shouldFail(FAULT_LARGE_ALLOC)) return PFN_NONE;
  const nid = homeNode(m);
  const pfn = allocPagesLight(m, nid, order);
  if (pfn !== PFN_NONE || !advised) return pfn;
  if (!tryToCompactPages(m, nodeZones(m, nid), order)) return PFN_NONE;
  const moved = allocPagesLight(m, nid, order);
  if (moved !== PFN_NONE) deferReset(m, m.page.zone[moved] as number, order, true);
  return moved;
}

/** @returns a charged folio with a reference, or PFN_NONE; counted either way */
function allocLarge(m: Mm, order: number, advised: boolean): number {
  const pfn = allocBlock(m, order, advised);
  if (pfn === PFN_NONE) {
    countFault(m, order, MTHP.anon_fault_fallback, EV.thp_fault_fallback);
    return PFN_NONE;
  }
  prepCompound(m, pfn, order);
  if (memcgChargeLarge(m, pfn, m.task.memcg)) return pfn;
  discardNewPage(m, pfn);
  countFault(m, order, MTHP.anon_fault_fallback, EV.thp_fault_fallback);
  countFault(m, order, MTHP.anon_fault_fallback_charge, EV.thp_fault_fallback_charge);
  return PFN_NONE;
}

/** What its pages hold. Those around the one that was touched are filled too, or zero. */
function fillLarge(
  m: Mm,
  mm: number,
  vma: number,
  first: number,
  vpn: number,
  pfn: number,
  order: number,
  flags: number,
): void {
  const around = (flags & FAULT_FLAG_FILL_ONE) === 0 ? flags : flags & ~FAULT_FLAG_FILL;
  for (let i = 0; i < 1 << order; i++) {
    fillNewPage(m, mm, vma, first + i, pfn + i, first + i === vpn ? flags : around);
  }
}

/**
 * Maps a large folio around a page that is touched for the first time.
 * @param pte entry of `vpn` @param flags FAULT_FLAG_*
 * @returns whether the fault is dealt with: else a single page will do
 * @context mmap_lock held for reading, anonVmaPrepare was called; takes ptl; may block
 */
export function doAnonymousLarge(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  flags: number,
): boolean {
  const allowed = thpOrders(m, vma);
  if (allowed === 0) return false;
  const advised = ((m.vma.flags[vma] as number) & VM_HUGEPAGE) !== 0;
  for (let order = THP_ORDER_MAX; order >= THP_ORDER_MIN; order--) {
    if ((allowed & (1 << order)) === 0) continue;
    const pages = 1 << order;
    const first = vpn - (vpn % pages);
    if (first < (m.vma.start[vma] as number) || first + pages > (m.vma.end[vma] as number))
      continue;
    const firstPte = pte - (vpn - first);
    if (!rangeEmpty(m, firstPte, pages)) continue;
    const pfn = allocLarge(m, order, advised);
    if (pfn === PFN_NONE) continue;
    if (m.config.contents) fillLarge(m, mm, vma, first, vpn, pfn, order, flags);
    mapLarge(m, mm, vma, first, firstPte, pfn, order);
    return true;
  }
  return false;
}

/** Maps a new folio, unless an entry has come in its way: then the access is tried again. */
function mapLarge(
  m: Mm,
  mm: number,
  vma: number,
  first: number,
  pte: number,
  pfn: number,
  order: number,
): void {
  const pages = 1 << order;
  folioSet(m, pfn, PG_SWAPBACKED | PG_UPTODATE);
  countMthp(m, order, MTHP.nr_anon, 1);
  faultDelay(FAULT_DELAY);
  ptlLock(m, pte);
  if (!rangeEmpty(m, pte, pages) || mmUnstable(m, mm)) {
    ptlUnlock(m, pte);
    m.page.mapping[pfn] = 0;
    folioPut(m, pfn);
    return;
  }
  // An entry each; the one of the allocation is the first's.
  Atomics.add(m.page.refcount, pfn, pages - 1);
  folioAddNewLargeRmap(m, pfn, vma, first);
  Atomics.add(m.mm.rssAnon, mm, pages);
  folioAddLruVma(m, pfn, vma);
  const bits = PTE_PRESENT | PTE_YOUNG | PTE_DIRTY | writeBit(m, vma);
  for (let i = 0; i < pages; i++) Atomics.store(m.pte, pte + i, ((pfn + i) << PTE_SHIFT) | bits);
  ptlUnlock(m, pte);
  countFault(m, order, MTHP.anon_fault_alloc, EV.thp_fault_alloc);
}
