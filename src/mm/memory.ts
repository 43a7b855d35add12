// SPDX-License-Identifier: GPL-2.0-only
/**
 * Page faults on anonymous memory (mm/memory.c): first touch, the zero page, swap-in, write to the
 * zero page; writes to a page that others may have are in memory_cow.ts.
 *
 * A fault holds mmap_lock for reading, makes the page ready, and publishes it under the table's
 * lock, after checking that the entry is still what it was: whoever loses that race drops what it
 * made and returns; the CPU simply tries its access again.
 */
import { faultDelay } from '../../shared/fault.ts';
import { anonVmaPrepare } from './anon_vma.ts';
import { mmUnstable } from './fatal_signal.ts';
import {
  FAULT_DONE,
  FAULT_FLAG_FILL,
  FAULT_FLAG_UNUSE,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_OOM,
  FAULT_SIGBUS,
  FAULT_SIGSEGV,
} from './fault_codes.ts';
import { fillNewPage, writeBit } from './fault_page.ts';
import { FAULT_DELAY } from './faults.ts';
import { FAULT_NOT_FILE, handleFileFault } from './filemap_fault.ts';
import { folioLock, folioSet, folioTest, folioUnlock, pageFolio } from './folio.ts';
import { doAnonymousLarge } from './large_anon.ts';
import { countMemcg, MS } from './memcg_events.ts';
import { memcgHandleOverHigh } from './memcg_high.ts';
import { memcgRefresh } from './memcg_task.ts';
import { allocChargedPage, doWpPage } from './memory_cow.ts';
import { migrationEntryWait } from './migrate_entry.ts';
import { mlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_DIRTY,
  PG_READAHEAD,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PTE_DIRTY,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_WRITE,
  PTE_YOUNG,
  VM_LOCKED,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from './mm_types.ts';
import { mmapReadLock, mmapReadUnlock } from './mmap.ts';
import { PFN_NONE } from './page_alloc.ts';
import { PTE_NONE, pteAlloc, ptlLock, ptlUnlock } from './pgtable.ts';
import { folioAddAnonRmap } from './rmap.ts';
import { folioAddLruVma, folioPut } from './swap.ts';
import { deviceOf, deviceOn, slotSynchronous } from './swap_info.ts';
import { swapinReadahead } from './swap_readahead.ts';
import { folioFreeSwap, swapCacheGet } from './swap_state.ts';
import { swapFree, vmSwapFull } from './swapfile.ts';
import { swapinNew } from './swapin.ts';
import { findVma } from './vma.ts';
import { lockVmaUnderRcu, vmaEndRead } from './vma_lock.ts';
import { EV } from './vmstat_items.ts';

export {
  FAULT_DONE,
  FAULT_FLAG_FILL,
  FAULT_FLAG_FILL_ONE,
  FAULT_FLAG_UNUSE,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_OOM,
  FAULT_SIGBUS,
  FAULT_SIGSEGV,
} from './fault_codes.ts';

/** The VMA's lock does not do: take mmap_lock. */
const FAULT_RETRY = -2;

/**
 * Handles a fault.
 * @param mm address space @param vpn page @param flags FAULT_FLAG_*
 * @returns FAULT_*
 * @context a simulated CPU outside a section; takes mmap_lock, or vm_lock; may block and reclaim
 */
export function handleMmFault(m: Mm, mm: number, vpn: number, flags: number): number {
  memcgRefresh(m, mm);
  let result = m.config.perVmaLocks === true ? faultInVma(m, mm, vpn, flags) : FAULT_RETRY;
  if (result === FAULT_RETRY) {
    mmapReadLock(m, mm);
    result = faultLocked(m, mm, findVma(m, mm, vpn), vpn, flags);
    mmapReadUnlock(m, mm);
  }
  const { events } = m.task;
  events[EV.pgfault] = (events[EV.pgfault] as number) + 1;
  countMemcg(m, m.task.memcg, MS.pgfault);
  Atomics.add(m.mm.faults, mm, 1);
  if (result === FAULT_MAJOR) {
    events[EV.pgmajfault] = (events[EV.pgmajfault] as number) + 1;
    countMemcg(m, m.task.memcg, MS.pgmajfault);
    Atomics.add(m.mm.majorFaults, mm, 1);
  }
  if (m.task.overHigh > 0) memcgHandleOverHigh(m);
  return result;
}

/** @context mmap_lock held for reading, or the VMA read-locked */
function faultLocked(m: Mm, mm: number, vma: number, vpn: number, flags: number): number {
  if (mmUnstable(m, mm)) return FAULT_OOM;
  if (vma === 0 || !accessOk(m, vma, flags)) return FAULT_SIGSEGV;
  const pte = pteAlloc(m, mm, vpn);
  return pte === PTE_NONE ? FAULT_OOM : handlePteFault(m, mm, vma, vpn, pte, flags);
}

/** The fault under the lock of its VMA alone. @returns FAULT_*, or FAULT_RETRY for mmap_lock */
function faultInVma(m: Mm, mm: number, vpn: number, flags: number): number {
  const vma = lockVmaUnderRcu(m, mm, vpn);
  if (vma === 0) return FAULT_RETRY;
  // An anon_vma is looked for among the neighbours: they must not change (vmf_anon_prepare).
  const shared = ((m.vma.flags[vma] as number) & VM_SHARED) !== 0;
  const ready = shared || Atomics.load(m.vma.anonVma, vma) !== 0;
  const result = ready ? faultLocked(m, mm, vma, vpn, flags) : FAULT_RETRY;
  vmaEndRead(m, vma);
  const { events } = m.task;
  const cell = ready ? EV.vma_lock_success : EV.vma_lock_retry;
  events[cell] = (events[cell] as number) + 1;
  return result;
}

/** Does the VMA allow the access? */
function accessOk(m: Mm, vma: number, flags: number): boolean {
  const needs = (flags & FAULT_FLAG_WRITE) !== 0 ? VM_WRITE : VM_READ;
  return ((m.vma.flags[vma] as number) & needs) !== 0;
}

/** By what the entry holds (handle_pte_fault). */
function handlePteFault(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  flags: number,
): number {
  const entry = Atomics.load(m.pte, pte);
  if (m.vma.file[vma] !== 0) {
    const result = handleFileFault(m, { mm, vma, vpn, pte }, entry, flags);
    if (result !== FAULT_NOT_FILE) return result;
  }
  if (entry === 0) return doAnonymousPage(m, mm, vma, vpn, pte, flags);
  if ((entry & (PTE_PRESENT | PTE_MIGRATION)) === PTE_MIGRATION) {
    migrationEntryWait(m, pte);
    return FAULT_DONE;
  }
  if ((entry & PTE_PRESENT) === 0) return doSwapPage(m, mm, vma, vpn, pte, entry, flags);
  const write = (flags & FAULT_FLAG_WRITE) !== 0;
  if (!write || (entry & PTE_WRITE) !== 0) return FAULT_DONE;
  if ((entry & PTE_SPECIAL) !== 0) return doAnonymousPage(m, mm, vma, vpn, pte, flags);
  return doWpPage(m, mm, vma, vpn, pte, entry) ? FAULT_DONE : FAULT_OOM;
}

/** First touch of a page, or first write where the zero page is mapped. */
function doAnonymousPage(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  flags: number,
): number {
  if ((flags & (FAULT_FLAG_WRITE | FAULT_FLAG_FILL)) === 0) {
    const zero = PTE_PRESENT | PTE_SPECIAL | PTE_YOUNG;
    ptlLock(m, pte);
    // Lost: somebody else's page is there, and the access finds it.
    if (!mmUnstable(m, mm)) Atomics.compareExchange(m.pte, pte, 0, zero);
    ptlUnlock(m, pte);
    return FAULT_DONE;
  }
  if (!anonVmaPrepare(m, vma)) return FAULT_OOM;
  if (m.config.thp != null && doAnonymousLarge(m, mm, vma, vpn, pte, flags)) return FAULT_DONE;
  const pfn = allocChargedPage(m);
  if (pfn === PFN_NONE) return FAULT_OOM;
  if (m.config.contents) fillNewPage(m, mm, vma, vpn, pfn, flags);
  folioSet(m, pfn, PG_SWAPBACKED | PG_UPTODATE);
  faultDelay(FAULT_DELAY);
  ptlLock(m, pte);
  const entry = Atomics.load(m.pte, pte);
  // Unstable: the reaper was here meanwhile, and the page must not come back empty.
  if ((entry !== 0 && (entry & PTE_SPECIAL) === 0) || mmUnstable(m, mm)) {
    ptlUnlock(m, pte);
    folioPut(m, pfn);
    return FAULT_DONE;
  }
  folioAddAnonRmap(m, pfn, vma, vpn, true);
  Atomics.add(m.mm.rssAnon, mm, 1);
  folioAddLruVma(m, pfn, vma);
  const bits = PTE_PRESENT | PTE_YOUNG | PTE_DIRTY | writeBit(m, vma);
  Atomics.store(m.pte, pte, (pfn << PTE_SHIFT) | bits);
  ptlUnlock(m, pte);
  return FAULT_DONE;
}

/** What a swap-in found. Private to the thread. */
const swapin = { major: false };

/**
 * The page of a slot, from the swap cache or read from the device, with a reference on its folio.
 * @returns pfn, PFN_NONE when there is no memory, or -1 when the fault is stale and must be retried
 */
function swapinFolio(m: Mm, slot: number): number {
  swapin.major = false;
  const cached = swapCacheGet(m, slot);
  if (cached !== 0) return cached;
  const { memcg } = m.task;
  const pfn = slotSynchronous(m, slot)
    ? swapinNew(m, slot, memcg, false)
    : swapinReadahead(m, slot, memcg);
  if (pfn > 0) swapin.major = true;
  return pfn;
}

/**
 * Brings a page back from swap, to the entry that refers to it.
 * @param entry as it was found @param flags FAULT_FLAG_*
 * @returns FAULT_*: FAULT_DONE also when the entry was another's by then
 * @context mmap_lock held for reading; may block and reclaim
 */
export function doSwapPage(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  entry: number,
  flags: number,
): number {
  if (!anonVmaPrepare(m, vma)) return FAULT_OOM;
  const slot = entry >>> PTE_SHIFT;
  const page = swapinFolio(m, slot);
  const major = swapin.major;
  if (page === PFN_NONE) return FAULT_OOM;
  if (page < 0) {
    // Whoever gave the slot up may be about to change the entry: not before we look again.
    ptlLock(m, pte);
    ptlUnlock(m, pte);
    return FAULT_DONE;
  }
  // Our reference keeps it together.
  const pfn = pageFolio(m, page);
  faultDelay(FAULT_DELAY);
  folioLock(m, pfn);
  const stale = !folioTest(m, pfn, PG_SWAPCACHE) || m.page.private[page] !== slot;
  if (stale || !folioTest(m, pfn, PG_UPTODATE)) {
    if (major && stale) dropStaleSwapin(m, pfn);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return stale || Atomics.load(m.pte, pte) !== entry ? FAULT_DONE : FAULT_SIGBUS;
  }
  ptlLock(m, pte);
  if (Atomics.load(m.pte, pte) !== entry) {
    ptlUnlock(m, pte);
    if (major) dropStaleSwapin(m, pfn);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return FAULT_DONE;
  }
  if (folioTest(m, pfn, PG_READAHEAD)) countReadaheadHit(m, pfn);
  mapSwappedIn(m, mm, vma, vpn, pte, page, flags);
  ptlUnlock(m, pte);
  folioUnlock(m, pfn);
  return major ? FAULT_MAJOR : FAULT_DONE;
}

/**
 * Does a slot go once its page is mapped (should_try_to_free_swap)? Readers of a device that is not
 * synchronous leave it: the page need not be written again.
 */
function slotGivenUp(m: Mm, slot: number): boolean {
  return slotSynchronous(m, slot) || vmSwapFull(m) || !deviceOn(m, deviceOf(m, slot));
}

/**
 * Replaces a swap entry by its folio. It may be written at once if no other entry leads to it;
 * otherwise a write faults again, and copies.
 * @context ptl and the folio lock held; the caller's reference becomes the mapping's
 */
function mapSwappedIn(
  m: Mm,
  mm: number,
  vma: number,
  vpn: number,
  pte: number,
  page: number,
  flags: number,
): void {
  const pfn = pageFolio(m, page);
  const slot = m.page.private[page] as number;
  // The entry's slot reference goes.
  const others = swapFree(m, slot);
  const exclusive = others === 0 && Atomics.load(m.page.mapcount, page) === 0;
  Atomics.sub(m.mm.swapEnts, mm, 1);
  folioAddAnonRmap(m, page, vma, vpn, exclusive);
  Atomics.add(m.mm.rssAnon, mm, 1);
  const write = (flags & FAULT_FLAG_WRITE) !== 0;
  if (write || slotGivenUp(m, slot)) {
    const freed = folioFreeSwap(m, pfn);
    const { events } = m.task;
    if (!freed) events[EV.kr_swapin_shared] = (events[EV.kr_swapin_shared] as number) + 1;
  }
  // Whom swapoff brings back was not touched.
  let bits = (flags & FAULT_FLAG_UNUSE) === 0 ? PTE_PRESENT | PTE_YOUNG : PTE_PRESENT;
  if (exclusive) bits |= writeBit(m, vma);
  if (exclusive && write) {
    bits |= PTE_DIRTY;
    folioSet(m, pfn, PG_DIRTY);
  }
  Atomics.store(m.pte, pte, (page << PTE_SHIFT) | bits);
  if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) mlockFolio(m, pfn);
}

/** A page was read for an entry that changed: nobody may want it. @context folio locked */
export function dropStaleSwapin(m: Mm, pfn: number): void {
  const { events } = m.task;
  events[EV.kr_swapin_stale] = (events[EV.kr_swapin_stale] as number) + 1;
  folioFreeSwap(m, pfn);
}

/** A page that was read ahead is used for the first time. */
export function countReadaheadHit(m: Mm, pfn: number): void {
  Atomics.and(m.page.flags, pfn, ~PG_READAHEAD);
  m.task.events[EV.swap_ra_hit] = (m.task.events[EV.swap_ra_hit] as number) + 1;
  // The window is the device's, not a node's: row 0 keeps it.
  Atomics.add(m.node.readaheadHits, 0, 1);
}
