// SPDX-License-Identifier: GPL-2.0-only
/**
 * MADV_FREE (mm/madvise.c, madvise_free_pte_range; mm/swap.c, lru_lazyfree): a page that is clean,
 * not swap-backed and on the inactive file list. Reclaim drops it without a slot, unless a store
 * has made its entry dirty: then it is an ordinary page again (rmap.ts, discardEntry).
 */
import {
  folioClear,
  folioLruvec,
  folioPages,
  folioTest,
  folioTestClear,
  folioTryLock,
  folioUnlock,
  pageFolio,
} from './folio.ts';
import { lruLock, lruUnlock, lruvecAddFolioLocked, lruvecDelFolioLocked } from './lruvec.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_LRU,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UNEVICTABLE,
  PTE_DIRTY,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_YOUNG,
} from './mm_types.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { folioMapcount } from './rmap.ts';
import { splitParts, wholeFolioAt } from './split_part.ts';
import { lruAddDrain } from './swap.ts';
import { folioFreeSwap } from './swap_state.ts';
import { tlbFlush } from './tlb.ts';
import { EV } from './vmstat_items.ts';
import { freeSwapAndCache } from './zap.ts';

const slots: number[] = [];

/**
 * Frees lazily what lies in a part of one leaf table. Swapped pages go at once.
 * @context mmap_lock held; takes ptl, folio_lock by trylock, lru_lock; waits for a shootdown:
 *   stores that CPUs were at count as earlier than the advice
 */
export function lazyfreeEntries(m: Mm, mm: number, first: number, count: number): void {
  slots.length = 0;
  // Pages in our batch are on no list yet.
  lruAddDrain(m);
  if (m.config.thp != null) splitParts(m, first, count);
  let cleaned = 0;
  ptlLock(m, first);
  for (let pte = first; pte < first + count; pte++) {
    const entry = Atomics.load(m.pte, pte);
    const pages = wholeFolioAt(m, pte, first + count);
    if (pages > 0) {
      if (cleanLarge(m, pte, entry >>> PTE_SHIFT, pages)) cleaned += pages;
      pte += pages - 1;
      continue;
    }
    if (entry === 0 || (entry & (PTE_PRESENT | PTE_MIGRATION)) === PTE_MIGRATION) continue;
    if ((entry & PTE_PRESENT) === 0) {
      Atomics.store(m.pte, pte, 0);
      slots.push(entry >>> PTE_SHIFT);
    } else if ((entry & PTE_SPECIAL) === 0 && cleanFolio(m, entry >>> PTE_SHIFT)) {
      Atomics.and(m.pte, pte, ~(PTE_DIRTY | PTE_YOUNG));
      markLazyfree(m, entry >>> PTE_SHIFT);
      cleaned++;
    }
  }
  ptlUnlock(m, first);
  Atomics.sub(m.mm.swapEnts, mm, slots.length);
  if (cleaned > 0) tlbFlush(m, Atomics.load(m.mm.cpuMask, mm));
  for (const slot of slots) freeSwapAndCache(m, slot);
}

/** A large folio, all of whose pages are ours. @returns whether it is clean now @context ptl */
function cleanLarge(m: Mm, pte: number, pfn: number, pages: number): boolean {
  if (!cleanFolio(m, pfn, pages)) return false;
  for (let i = 0; i < pages; i++) Atomics.and(m.pte, pte + i, ~(PTE_DIRTY | PTE_YOUNG));
  markLazyfree(m, pfn);
  return true;
}

/** @returns whether the folio is ours alone, anonymous, and clean now @context ptl held */
function cleanFolio(m: Mm, pfn: number, mapped = 1): boolean {
  // A part of a large one could not be split off.
  if (mapped === 1 && pageFolio(m, pfn) !== pfn) return false;
  if ((m.page.mapping[pfn] as number) <= 0 || !folioTryLock(m, pfn)) return false;
  // Somebody else's pages are not ours to give away.
  let ok = folioMapcount(m, pfn) === mapped && folioPages(m, pfn) === mapped;
  if (ok && folioTest(m, pfn, PG_SWAPCACHE)) ok = folioFreeSwap(m, pfn);
  if (ok) folioClear(m, pfn, PG_DIRTY);
  folioUnlock(m, pfn);
  return ok;
}

/** @context ptl held; takes lru_lock. One that is isolated now stays as it is */
function markLazyfree(m: Mm, pfn: number): void {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_SWAPBACKED) === 0 || (flags & (PG_SWAPCACHE | PG_UNEVICTABLE)) !== 0) return;
  if (!folioTestClear(m, pfn, PG_LRU)) return;
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
  Atomics.and(m.page.flags, pfn, ~(PG_ACTIVE | PG_REFERENCED | PG_SWAPBACKED));
  const now = Atomics.or(m.page.flags, pfn, PG_LRU) | PG_LRU;
  lruvecAddFolioLocked(m, lruvec, pfn, now);
  lruUnlock(m, lruvec);
  const pages = folioPages(m, pfn);
  m.task.events[EV.pglazyfree] = (m.task.events[EV.pglazyfree] as number) + pages;
}
