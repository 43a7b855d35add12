// SPDX-License-Identifier: GPL-2.0-only
/**
 * Large folios that a range of entries maps in part: advice about the range is no advice about
 * them, so they are split (mm/madvise.c, where it tests for a whole folio).
 */
import { folioLock, folioOrder, folioPages, folioTest, folioUnlock, pageFolio } from './folio.ts';
import type { Mm } from './mm.ts';
import { PG_MAYSHARE, PTE_PRESENT, PTE_SHIFT, PTE_SPECIAL } from './mm_types.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { folioMapcount } from './rmap.ts';
import { splitFolio } from './split.ts';
import { folioPut, lruAddDrain } from './swap.ts';

/** @returns whether the machine has large folios at all */
export function hasLargeFolios(m: Mm): boolean {
  return m.config.thp != null || (m.config.fileLargeFolios ?? 0) > 0;
}

/** @returns the page that an entry maps, or 0 @context ptl held */
function pageAt(m: Mm, pte: number): number {
  const entry = Atomics.load(m.pte, pte);
  return (entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT ? entry >>> PTE_SHIFT : 0;
}

/** @returns pages of the large folio that entries from `pte`, below `end`, map all of, or 0 */
function runAt(m: Mm, pte: number, end: number): number {
  const pfn = pageAt(m, pte);
  if (pfn === 0 || folioOrder(m, pfn) === 0) return 0;
  const pages = folioPages(m, pfn);
  if (pte + pages > end) return 0;
  for (let i = 1; i < pages; i++) if (pageAt(m, pte + i) !== pfn + i) return 0;
  return pages;
}

/**
 * Does a large folio begin at an entry, which entries below `end` map as a whole, and nobody else?
 * @returns its pages, or 0 @context ptl held
 */
export function wholeFolioAt(m: Mm, pte: number, end: number): number {
  const pages = runAt(m, pte, end);
  return pages > 0 && folioMapcount(m, pageAt(m, pte)) === pages ? pages : 0;
}

/** Is a page of a large folio perhaps mapped elsewhere, too? @context ptl held */
function isShared(m: Mm, pfn: number, page: number): boolean {
  if ((m.page.mapping[page] as number) >= 0) return folioTest(m, pfn, PG_MAYSHARE);
  return Atomics.load(m.page.mapcount, page) > 1;
}

/** The next large folio that is mapped in part, and not shared. @returns its entry, or `end` */
function nextPart(m: Mm, first: number, end: number): number {
  let pte = first;
  while (pte < end) {
    const page = pageAt(m, pte);
    const pfn = page === 0 ? 0 : pageFolio(m, page);
    const large = pfn !== 0 && folioOrder(m, pfn) > 0 && !isShared(m, pfn, page);
    const run = large ? runAt(m, pte, end) : 1;
    if (run === 0) return pte;
    pte += run;
  }
  return end;
}

/**
 * Splits large folios that a part of one leaf table does not map as a whole. Those that somebody
 * holds, or shares, stay as they are.
 * @param first index of the first entry @param count entries, all of one table
 * @context mmap_lock held, no spinlock; takes ptl, folio locks; may block
 */
export function splitParts(m: Mm, first: number, count: number): void {
  const end = first + count;
  // One that waits in our batch is held by it.
  lruAddDrain(m);
  for (let pte = first; pte < end; pte++) {
    ptlLock(m, first);
    pte = nextPart(m, pte, end);
    const pfn = pte < end ? pageFolio(m, pageAt(m, pte)) : 0;
    if (pfn !== 0) Atomics.add(m.page.refcount, pfn, 1);
    ptlUnlock(m, first);
    if (pfn === 0) return;
    folioLock(m, pfn);
    if (folioOrder(m, pfn) > 0) splitFolio(m, pfn, false);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
  }
}
