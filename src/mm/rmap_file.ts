// SPDX-License-Identifier: GPL-2.0-only
/**
 * From a folio of a file to the page-table entries that map its pages (mm/rmap.c,
 * rmap_walk_file): the VMAs that map the file are a list (vma_file.ts), under i_mmap_rwsem. Reclaim
 * only trylocks it, unless `rmapTryLock` is off.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownRead, rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { fileDirty } from './file_dirty.ts';
import { folioNid, folioPages, ownWrites } from './folio.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import { LC_I_MMAP } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  PTE_DIRTY,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_WRITE,
  VM_LOCKED,
  VM_SHARED,
} from './mm_types.ts';
import { PTE_NONE, pteOffset, ptlLock, ptlUnlock } from './pgtable.ts';
import type { VisitEntry } from './rmap.ts';
import { noteContended } from './rmap_contended.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';

/**
 * Visits every entry that maps a page of a folio of a file, under its ptl.
 * @param tryLock reclaim does not wait for i_mmap_rwsem
 * @returns false when the lock was taken by somebody else
 * @context folio locked, in a file; takes i_mmap_rwsem, then ptl
 */
export function rmapWalkFile(m: Mm, pfn: number, tryLock: boolean, visit: VisitEntry): boolean {
  const inode = -(m.page.mapping[pfn] as number);
  const index = m.page.index[pfn] as number;
  assert(inode > 0, 'a page of a file names it');
  const base = inode * RWSEM_WORDS;
  if (tryLock) {
    if (shouldFail(FAULT_TRYLOCK)) return false;
    if (!rwsemTryRead(m.iMmapLock, base, LC_I_MMAP)) return false;
  } else if (ownWrites.finish === null || !rwsemTryRead(m.iMmapLock, base, LC_I_MMAP)) {
    // As in folioLockAnonVmaRead.
    ownWrites.finish?.(m);
    rwsemDownRead(m.iMmapLock, base, LC_I_MMAP);
  }
  if (folioPages(m, pfn) > 1) walkFileLarge(m, pfn, inode, index, visit);
  else walkFile(m, inode, index, (pfn << PTE_SHIFT) | PTE_PRESENT, visit);
  rwsemUpRead(m.iMmapLock, base, LC_I_MMAP);
  return true;
}

/** Bits that say what an entry is, and of which page. */
const ENTRY_IDENTITY = ~((1 << PTE_SHIFT) - 1) | PTE_PRESENT | PTE_SPECIAL | PTE_MIGRATION;

/**
 * Visits the entries that hold a page of a file, or wait for it, under their ptl.
 * @param is what such an entry is: pfn << PTE_SHIFT, and PTE_PRESENT or PTE_MIGRATION
 * @context i_mmap_rwsem held; takes ptl
 */
export function walkFile(m: Mm, inode: number, index: number, is: number, visit: VisitEntry): void {
  const { start, end, pgoff, fileNext, mm } = m.vma;
  const pfn = is >>> PTE_SHIFT;
  for (let vma = m.mapping.vmaHead[inode] as number; vma !== 0; vma = fileNext[vma] as number) {
    const vpn = (start[vma] as number) + index - (pgoff[vma] as number);
    if (vpn < (start[vma] as number) || vpn >= (end[vma] as number)) continue;
    const pte = pteOffset(m, mm[vma] as number, vpn);
    if (pte === PTE_NONE) continue;
    ptlLock(m, pte);
    const same = (Atomics.load(m.pte, pte) & ENTRY_IDENTITY) === is;
    const more = !same || visit(pte, vma, pfn, m, pfn);
    ptlUnlock(m, pte);
    if (!more) return;
  }
}

/** As walkFile for present entries of a large folio: leaf table by leaf table of each VMA. */
function walkFileLarge(m: Mm, pfn: number, inode: number, index: number, visit: VisitEntry): void {
  const { start, end, pgoff, fileNext, mm } = m.vma;
  const pages = folioPages(m, pfn);
  for (let vma = m.mapping.vmaHead[inode] as number; vma !== 0; vma = fileNext[vma] as number) {
    const at = (start[vma] as number) + index - (pgoff[vma] as number);
    const last = Math.min(at + pages, end[vma] as number);
    for (let vpn = Math.max(at, start[vma] as number); vpn < last; ) {
      const to = Math.min(last, vpn - (vpn % PTRS_PER_TABLE) + PTRS_PER_TABLE);
      const pte = pteOffset(m, mm[vma] as number, vpn);
      if (pte !== PTE_NONE && !walkLeaf(m, pte, to - vpn, pfn, vpn - at, vma, visit)) return;
      vpn = to;
    }
  }
}

/** Entries of one leaf table, from page `at` of a folio on. @returns false: the visit ends */
function walkLeaf(
  m: Mm,
  pte: number,
  count: number,
  pfn: number,
  at: number,
  vma: number,
  visit: VisitEntry,
): boolean {
  let more = true;
  ptlLock(m, pte);
  for (let i = 0; i < count && more; i++) {
    const page = pfn + at + i;
    const is = (page << PTE_SHIFT) | PTE_PRESENT;
    if ((Atomics.load(m.pte, pte + i) & ENTRY_IDENTITY) !== is) continue;
    more = visit(pte + i, vma, page, m, pfn);
  }
  ptlUnlock(m, pte);
  return more;
}

/** One more entry maps a page of a file. @context ptl held, folio locked */
export function folioAddFileRmap(m: Mm, page: number): void {
  const head = m.page.head[page] as number;
  if (head !== 0) Atomics.add(m.page.largeMapcount, head, 1);
  if (Atomics.add(m.page.mapcount, page, 1) !== 0) return;
  Atomics.add(m.node.fileMapped, folioNid(m, page), 1);
}

/** @returns entries that map any page of the folio (folioMapcount of rmap.ts, which is above us) */
function fileMapcount(m: Mm, pfn: number): number {
  const { order, mapcount, largeMapcount } = m.page;
  return Atomics.load(order[pfn] === 0 ? mapcount : largeMapcount, pfn);
}

/** An entry of a page is gone. @returns how many its folio has left @context ptl held */
function removeFileRmap(m: Mm, pfn: number, page: number): number {
  const left = Atomics.sub(m.page.mapcount, page, 1) - 1;
  if (left === 0) Atomics.sub(m.node.fileMapped, folioNid(m, page), 1);
  return m.page.order[pfn] === 0 ? left : Atomics.sub(m.page.largeMapcount, pfn, 1) - 1;
}

/**
 * Takes every entry that maps a folio of a file away: what they knew to be dirty is the page's to
 * know now (try_to_unmap). The bytes of a clean one may still be read until
 * `tlbFlush(unmapOut.cpuMask)`.
 * @param reclaim leaves what is locked in memory, and does not wait for i_mmap_rwsem unless
 *   `rmapTryLock` is off; truncation takes all
 * @returns false when a page of it is still mapped
 * @context folio locked, referenced, in a file; takes i_mmap_rwsem, ptl, i_pages
 */
export function fileTryToUnmap(m: Mm, pfn: number, reclaim: boolean): boolean {
  if (fileMapcount(m, pfn) === 0) return true;
  let dirty = false;
  const walked = rmapWalkFile(m, pfn, reclaim && m.config.rmapTryLock, (pte, vma, page) => {
    if (reclaim && ((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) return false;
    const mm = m.vma.mm[vma] as number;
    faultDelay(FAULT_DELAY);
    const old = Atomics.exchange(m.pte, pte, 0);
    if ((old & PTE_DIRTY) !== 0) {
      fileDirty(m, pfn);
      dirty = true;
    }
    unmapOut.cpuMask |= Atomics.load(m.mm.cpuMask, mm);
    Atomics.sub(m.mm.rssFile, mm, 1);
    const left = removeFileRmap(m, pfn, page);
    // The mapping's reference; the file and the caller hold others.
    Atomics.sub(m.page.refcount, pfn, 1);
    return left > 0;
  });
  if (!walked) noteContended(m, pfn);
  // Before the lock goes: the flusher will find no mapping whose CPUs it should wait for.
  if (dirty) tlbFlush(m, unmapOut.cpuMask);
  return fileMapcount(m, pfn) === 0;
}

/**
 * Write-protects and cleans every entry that maps a folio of a file (folio_mkclean): the next store
 * faults, and makes the page dirty again. Stores go on until `tlbFlush(unmapOut.cpuMask)`.
 * @returns whether an entry was dirty
 * @context folio locked, in a file; takes i_mmap_rwsem, ptl
 */
export function fileMkclean(m: Mm, pfn: number): boolean {
  let dirty = false;
  if (fileMapcount(m, pfn) === 0) return false;
  rmapWalkFile(m, pfn, false, (pte, vma) => {
    if (((m.vma.flags[vma] as number) & VM_SHARED) === 0) return true;
    const old = Atomics.and(m.pte, pte, ~(PTE_WRITE | PTE_DIRTY));
    if ((old & PTE_DIRTY) !== 0) dirty = true;
    if ((old & PTE_WRITE) !== 0) {
      unmapOut.cpuMask |= Atomics.load(m.mm.cpuMask, m.vma.mm[vma] as number);
    }
    return true;
  });
  return dirty;
}
