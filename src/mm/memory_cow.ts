// SPDX-License-Identifier: GPL-2.0-only
/**
 * Copy on write (mm/memory.c, do_wp_page and wp_page_copy).
 *
 * Whoever shares a page has it mapped read-only. A writer that proves that nobody else has it keeps
 * it; otherwise it copies. The copy takes the old page's place in one step, so that no fault of
 * another thread finds the entry empty; threads that are still reading the old page hold it back
 * with their sections: it keeps our reference until they have left.
 */
import { faultDelay } from '../../shared/fault.ts';
import { anonVmaPrepare } from './anon_vma.ts';
import { memcgCharge } from './charge.ts';
import { pageWords } from './content.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioOrder, folioSet, folioTest, folioTryLock, folioUnlock, pageFolio } from './folio.ts';
import { munlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_LRU,
  PG_MAYSHARE,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_WRITE,
  PTE_YOUNG,
  VM_LOCKED,
} from './mm_types.ts';
import { PFN_NONE } from './page_alloc.ts';
import { allocPages } from './page_alloc_slow.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { folioAddAnonRmap, folioMapcount, folioMoveAnonRmap, folioRemoveRmap } from './rmap.ts';
import { deferSplit } from './split_queue.ts';
import { discardNewPage, folioAddLruVma, folioPut, lruAddDrain } from './swap.ts';
import { folioFreeSwap } from './swap_state.ts';
import { homeNode } from './swapin.ts';
import { tlbFlush } from './tlb.ts';
import { EV } from './vmstat_items.ts';
import { freeSwapCache } from './zap.ts';

/**
 * A page for this thread's process, charged to its group.
 * @returns pfn, or PFN_NONE @context mmap_lock held for reading; may block and reclaim
 */
export function allocChargedPage(m: Mm): number {
  const pfn = allocPages(m, homeNode(m), 0);
  if (pfn === PFN_NONE || memcgCharge(m, pfn, m.task.memcg)) return pfn;
  discardNewPage(m, pfn);
  return PFN_NONE;
}

/**
 * A write to a page that is mapped read-only in a VMA that may be written.
 * @param entry as it was seen: when it is another by now, the access is simply tried again
 * @returns false when there was no memory for a copy
 * @context mmap_lock held for reading; takes ptl, folio_lock; may block and reclaim
 */
export function doWpPage(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  entry: number,
): boolean {
  if (!anonVmaPrepare(m, vma)) return false;
  const page = entry >>> PTE_SHIFT;
  // A page that we made lately waits in our batch, whose reference would look like another's.
  if (!folioTest(m, pageFolio(m, page), PG_LRU)) lruAddDrain(m);
  ptlLock(m, pte);
  if (Atomics.load(m.pte, pte) !== entry) {
    ptlUnlock(m, pte);
    return true;
  }
  const pfn = pageFolio(m, page);
  if (reuseFolio(m, pfn, vma)) {
    Atomics.or(m.pte, pte, PTE_WRITE | PTE_YOUNG | PTE_DIRTY);
    ptlUnlock(m, pte);
    m.task.events[EV.pgreuse] = (m.task.events[EV.pgreuse] as number) + 1;
    return true;
  }
  // While it has one more, nobody else can find that the page is theirs alone and write to it.
  Atomics.add(m.page.refcount, pfn, 1);
  ptlUnlock(m, pte);
  const done = copyPage(m, mm, vma, vpn, pte, entry);
  folioPut(m, pfn);
  return done;
}

/**
 * Is the page ours alone (wp_can_reuse_anon_folio)? Any reference but our mapping's and the swap
 * cache's says no: isolation too. Of a large folio that was never mapped twice, each page is.
 * @context ptl of the one entry held; takes folio_lock by trylock, swap_cluster
 */
function reuseFolio(m: Mm, pfn: number, vma: number): boolean {
  if ((m.page.mapping[pfn] as number) <= 0) return false;
  if (folioOrder(m, pfn) > 0) return !folioTest(m, pfn, PG_MAYSHARE);
  const cached = folioTest(m, pfn, PG_SWAPCACHE) ? 1 : 0;
  if (Atomics.load(m.page.refcount, pfn) > 1 + cached || !folioTryLock(m, pfn)) return false;
  if (folioTest(m, pfn, PG_SWAPCACHE)) folioFreeSwap(m, pfn);
  const alone = Atomics.load(m.page.refcount, pfn) === 1;
  if (alone) folioMoveAnonRmap(m, pfn, vma);
  folioUnlock(m, pfn);
  return alone;
}

/** @returns as doWpPage @context as doWpPage; the caller holds a reference on the old page */
function copyPage(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  entry: number,
): boolean {
  const page = entry >>> PTE_SHIFT;
  const old = pageFolio(m, page);
  const pfn = allocChargedPage(m);
  if (pfn === PFN_NONE) return false;
  // Read-only for all who have it, and nobody can make it writable: the bytes stand still.
  if (m.config.contents) pageWords(m, pfn).set(pageWords(m, page));
  folioSet(m, pfn, PG_SWAPBACKED | PG_UPTODATE);
  faultDelay(FAULT_DELAY);
  ptlLock(m, pte);
  const found = Atomics.load(m.pte, pte);
  // Young and dirty may have changed: the page is what counts, and that it is still read-only.
  const same = found >>> PTE_SHIFT === page && (found & PTE_PRESENT) !== 0;
  if (!same || (found & PTE_WRITE) !== 0) {
    ptlUnlock(m, pte);
    folioPut(m, pfn);
    return true;
  }
  folioAddAnonRmap(m, pfn, vma, vpn, true);
  folioAddLruVma(m, pfn, vma);
  const bits = PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY;
  Atomics.store(m.pte, pte, (pfn << PTE_SHIFT) | bits);
  if (folioRemoveRmap(m, page)) deferSplit(m, old);
  ptlUnlock(m, pte);
  faultDelay(FAULT_DELAY);
  tlbFlush(m, Atomics.load(m.mm.cpuMask, mm));
  if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) munlockFolio(m, old);
  // Whoever had it beside us may have gone: then nobody else takes it out of the swap cache.
  if (folioTest(m, old, PG_SWAPCACHE) && folioMapcount(m, old) === 0) freeSwapCache(m, old);
  // The mapping's reference: after this the page may be its last owner's to write, or free.
  folioPut(m, old);
  return true;
}
