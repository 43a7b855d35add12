// SPDX-License-Identifier: GPL-2.0-only
/** MADV_COLD and MADV_PAGEOUT (mm/madvise.c, madvise_cold_or_pageout_pte_range). */
import {
  folioClear,
  folioLruvec,
  folioPages,
  folioTestClear,
  folioTryGet,
  pageFolio,
} from './folio.ts';
import { SWAP_CLUSTER_MAX } from './limits.ts';
import { lruLock, lruUnlock, lruvecAddFolioLocked, lruvecDelFolioLocked } from './lruvec.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_LRU,
  PG_REFERENCED,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
} from './mm_types.ts';
import { ptepTestAndClearYoung, ptlLock, ptlUnlock } from './pgtable.ts';
import { folioMapcount } from './rmap.ts';
import { hasLargeFolios, splitParts, wholeFolioAt } from './split_part.ts';
import { folioPut, lruAddDrain } from './swap.ts';
import { reclaimPages } from './vmscan_pages.ts';
import { EV } from './vmstat_items.ts';

const batch: number[] = [];

/**
 * Calls `visit` for the folios in a part of one leaf table that are mapped here only, their young
 * bits cleared.
 * @param count entries to begin at @param end a large folio may go on up to here
 * @returns the first entry that was not looked at
 * @context takes ptl
 */
function eachCold(
  m: Mm,
  first: number,
  count: number,
  end: number,
  visit: (pfn: number) => void,
): number {
  let pte = first;
  ptlLock(m, first);
  for (let pages = 1; pte < first + count; pte += pages) {
    const entry = Atomics.load(m.pte, pte);
    pages = 1;
    if ((entry & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
    const pfn = entry >>> PTE_SHIFT;
    pages = Math.max(wholeFolioAt(m, pte, end), 1);
    const whole = pageFolio(m, pfn) === pfn && folioPages(m, pfn) === pages;
    if (!whole || folioMapcount(m, pfn) !== pages) continue;
    for (let i = 0; i < pages; i++) ptepTestAndClearYoung(m, pte + i);
    folioClear(m, pfn, PG_REFERENCED);
    visit(pfn);
  }
  ptlUnlock(m, first);
  return pte;
}

/** Makes what lies in a part of one leaf table inactive. @context mmap_lock held; takes lru_lock */
export function coldEntries(m: Mm, _mm: number, first: number, count: number): void {
  lruAddDrain(m);
  if (hasLargeFolios(m)) splitParts(m, first, count);
  eachCold(m, first, count, first + count, (pfn) => deactivate(m, pfn));
}

function deactivate(m: Mm, pfn: number): void {
  if ((Atomics.load(m.page.flags, pfn) & PG_ACTIVE) === 0) return;
  if (!folioTestClear(m, pfn, PG_LRU)) return;
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
  Atomics.and(m.page.flags, pfn, ~(PG_ACTIVE | PG_REFERENCED));
  lruvecAddFolioLocked(m, lruvec, pfn, Atomics.or(m.page.flags, pfn, PG_LRU) | PG_LRU);
  lruUnlock(m, lruvec);
  const pages = folioPages(m, pfn);
  m.task.events[EV.pgdeactivate] = (m.task.events[EV.pgdeactivate] as number) + pages;
}

/**
 * Reclaims what lies in a part of one leaf table, used lately or not.
 * @context mmap_lock held, no spinlock; takes what reclaim takes
 */
export function pageoutEntries(m: Mm, _mm: number, first: number, count: number): void {
  lruAddDrain(m);
  const last = first + count;
  if (hasLargeFolios(m)) splitParts(m, first, count);
  for (let pte = first; pte < last; ) {
    batch.length = 0;
    pte = eachCold(m, pte, Math.min(SWAP_CLUSTER_MAX, last - pte), last, (pfn) => {
      if (folioTryGet(m, pfn)) batch.push(pfn);
    });
    reclaimPages(m, batch, (pfn) => folioPut(m, pfn));
  }
}
