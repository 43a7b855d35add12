// SPDX-License-Identifier: GPL-2.0-only
/**
 * Unmapping pages (mm/memory.c, zap_pte_range; mm/mmu_gather.c).
 *
 * A batch is what one leaf table has in the range. Its entries go under ptl; then one shootdown
 * waits until no CPU can touch the pages any more; only then do they lose the references of the
 * entries. Until then a reclaimer that finds one unmapped sees a reference that it does not know,
 * and lets it be.
 */
import { faultDelay } from '../../shared/fault.ts';
import { condResched } from '../../shared/sched.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileDirty, folioOfHost } from './file_dirty.ts';
import { folioLock, folioTest, folioUnlock, folioWaitWriteback, pageFolio } from './folio.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { munlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_MLOCKED,
  PTE_DIRTY,
  PTE_FILE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
} from './mm_types.ts';
import { PTE_NONE, pteHoleEnd, pteOffset, ptlLock, ptlUnlock } from './pgtable.ts';
import { folioMapcount, folioRemoveRmap } from './rmap.ts';
import { deferSplit } from './split_queue.ts';
import { folioPut } from './swap.ts';
import { folioFreeSwap, swapCacheGet } from './swap_state.ts';
import { swapFree } from './swapfile.ts';
import { tlbFlush } from './tlb.ts';

/** What a leaf table had. One zap at a time per thread. */
const pages: number[] = [];
const slots: number[] = [];
/** Entries whose page was on its way to another frame: they hold nothing but its place in rss. */
let migrating = 0;
/** Pages of files whose entries were dirty. */
const dirtied: number[] = [];
/** Large folios of which a page is mapped no more, each perhaps more than once. */
const parted: number[] = [];

/**
 * Unmaps what lies in a part of one leaf table.
 * @param first index of the first entry @param count entries, all of one table
 * @context mmap_lock held, outside a section; takes ptl, then folio locks; may wait for a shootdown
 */
export function zapEntries(m: Mm, mm: number, first: number, count: number): void {
  pages.length = 0;
  slots.length = 0;
  migrating = 0;
  dirtied.length = 0;
  parted.length = 0;
  let ofFiles = 0;
  ptlLock(m, first);
  for (let pte = first; pte < first + count; pte++) {
    if (Atomics.load(m.pte, pte) === 0) continue;
    const entry = Atomics.exchange(m.pte, pte, 0);
    if ((entry & (PTE_PRESENT | PTE_MIGRATION)) === PTE_MIGRATION) {
      migrating++;
      // What it knew to be dirty, the page knew before it waited.
      if ((entry & PTE_FILE) !== 0) ofFiles++;
    } else if ((entry & PTE_PRESENT) === 0) slots.push(entry >>> PTE_SHIFT);
    else if ((entry & PTE_SPECIAL) === 0) {
      const pfn = entry >>> PTE_SHIFT;
      pages.push(pfn);
      if (folioOfHost(m, pfn)) {
        // While it is mapped it stays the file's.
        if ((entry & PTE_DIRTY) !== 0) {
          fileDirty(m, pfn);
          dirtied.push(pfn);
        }
        ofFiles++;
      }
      if (folioRemoveRmap(m, pfn)) notePart(m, pfn);
    }
  }
  ptlUnlock(m, first);
  if (pages.length + slots.length + migrating === 0) return;
  Atomics.sub(m.mm.rssAnon, mm, pages.length - ofFiles + migrating);
  Atomics.sub(m.mm.rssFile, mm, ofFiles);
  Atomics.sub(m.mm.swapEnts, mm, slots.length);
  const cpuMask = Atomics.load(m.mm.cpuMask, mm);
  faultDelay(FAULT_DELAY);
  if (pages.length > 0 && cpuMask !== 0) tlbFlush(m, cpuMask);
  for (const pfn of dirtied) dirtyAgain(m, pfn);
  // Those that were unmapped as a whole are not meant.
  for (const pfn of parted) if (folioMapcount(m, pfn) > 0) deferSplit(m, pfn);
  for (const page of pages) {
    const pfn = pageFolio(m, page);
    // Perhaps for another VMA's sake: then reclaim locks it again.
    if (folioTest(m, pfn, PG_MLOCKED)) munlockFolio(m, pfn);
    freeSwapCache(m, pfn);
    folioPut(m, pfn);
  }
  for (const slot of slots) freeSwapAndCache(m, slot);
}

/** A page is mapped no more, others of its folio may be. @context ptl held */
function notePart(m: Mm, page: number): void {
  const pfn = pageFolio(m, page);
  if (parted[parted.length - 1] !== pfn) parted.push(pfn);
}

/**
 * A CPU may have stored to the page until now, and the flusher may have written it before: it did
 * not see a mapping, and so waited for nobody.
 * @context the caller holds a reference, and the shootdown is over; takes folio_lock
 */
function dirtyAgain(m: Mm, page: number): void {
  const pfn = pageFolio(m, page);
  folioLock(m, pfn);
  if (folioOfHost(m, pfn)) fileDirty(m, pfn);
  folioUnlock(m, pfn);
}

/**
 * Calls `visit` for each leaf table that there is in a range.
 * @param visit gets the first entry, how many, and the vpn of the first
 * @context mmap_lock held
 */
export function forEachLeaf(
  m: Mm,
  mm: number,
  start: number,
  end: number,
  visit: (first: number, count: number, vpn: number) => void,
): void {
  for (let vpn = start; vpn < end; ) {
    const first = pteOffset(m, mm, vpn);
    if (first === PTE_NONE) {
      vpn = pteHoleEnd(m, mm, vpn);
      continue;
    }
    const count = Math.min(PTRS_PER_TABLE - (vpn % PTRS_PER_TABLE), end - vpn);
    visit(first, count, vpn);
    vpn += count;
  }
}

/** Unmaps all pages of a range; its page tables stay. @context as zapEntries */
export function zapPageRange(m: Mm, mm: number, start: number, end: number): void {
  forEachLeaf(m, mm, start, end, (first, count) => {
    zapEntries(m, mm, first, count);
    condResched();
  });
}

/**
 * Drops the swap cache's hold on a folio. Waits for a reclaimer that has it locked, or writes it:
 * that one sees our reference, gives the folio up, and leaves it in the cache for us.
 * @context the caller holds a reference and mmap_lock; takes folio_lock
 */
export function freeSwapCache(m: Mm, pfn: number): void {
  folioLock(m, pfn);
  folioWaitWriteback(m, pfn);
  folioFreeSwap(m, pfn);
  folioUnlock(m, pfn);
}

/**
 * Drops an entry's reference to a slot, and a folio that only the cache still holds.
 * @context the entry is gone; takes folio_lock
 */
export function freeSwapAndCache(m: Mm, slot: number): void {
  if (swapFree(m, slot) !== 0) return;
  faultDelay(FAULT_DELAY);
  // After our reference has gone: who brings the page in meanwhile cannot take it out of the cache.
  // The slot may be another folio's by now, which loses it only if no entry leads to it.
  const page = swapCacheGet(m, slot);
  if (page === 0) return;
  const pfn = pageFolio(m, page);
  freeSwapCache(m, pfn);
  folioPut(m, pfn);
}
