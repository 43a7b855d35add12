// SPDX-License-Identifier: GPL-2.0-only
/**
 * From a page of a file to the page-table entries that map it (mm/rmap.c, rmap_walk_file): the
 * VMAs that map the file are a list (vma_file.ts), under i_mmap_rwsem. Reclaim only trylocks it.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownRead, rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { fileDirty } from './file_dirty.ts';
import { folioNid } from './folio.ts';
import { LC_I_MMAP } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_WRITE,
  VM_LOCKED,
  VM_SHARED,
} from './mm_types.ts';
import { PTE_NONE, pteOffset, ptlLock, ptlUnlock } from './pgtable.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';

/**
 * Visits every entry that maps a page of a file, under its ptl.
 * @param tryLock reclaim does not wait for i_mmap_rwsem
 * @param visit gets the entry's index and the VMA; returns false to stop
 * @returns false when the lock was taken by somebody else
 * @context folio locked, in a file; takes i_mmap_rwsem, then ptl
 */
export function rmapWalkFile(
  m: Mm,
  pfn: number,
  tryLock: boolean,
  visit: (pte: number, vma: number) => boolean,
): boolean {
  const inode = -(m.page.mapping[pfn] as number);
  const index = m.page.index[pfn] as number;
  assert(inode > 0, 'a page of a file names it');
  const base = inode * RWSEM_WORDS;
  if (tryLock) {
    if (shouldFail(FAULT_TRYLOCK)) return false;
    if (!rwsemTryRead(m.iMmapLock, base, LC_I_MMAP)) return false;
  } else rwsemDownRead(m.iMmapLock, base, LC_I_MMAP);
  const { start, end, pgoff, fileNext, mm } = m.vma;
  for (let vma = m.mapping.vmaHead[inode] as number; vma !== 0; vma = fileNext[vma] as number) {
    const vpn = (start[vma] as number) + index - (pgoff[vma] as number);
    if (vpn < (start[vma] as number) || vpn >= (end[vma] as number)) continue;
    const pte = pteOffset(m, mm[vma] as number, vpn);
    if (pte === PTE_NONE) continue;
    ptlLock(m, pte);
    const entry = Atomics.load(m.pte, pte);
    const maps = (entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
    const more = !maps || entry >>> PTE_SHIFT !== pfn || visit(pte, vma);
    ptlUnlock(m, pte);
    if (!more) break;
  }
  rwsemUpRead(m.iMmapLock, base, LC_I_MMAP);
  return true;
}

/** One more entry maps a page of a file. @context ptl held, folio locked */
export function folioAddFileRmap(m: Mm, pfn: number): void {
  if (Atomics.add(m.page.mapcount, pfn, 1) !== 0) return;
  Atomics.add(m.node.fileMapped, folioNid(m, pfn), 1);
}

/**
 * Takes every entry that maps a page of a file away: what they knew to be dirty is the page's to
 * know now (try_to_unmap). The bytes of a clean one may still be read until
 * `tlbFlush(unmapOut.cpuMask)`.
 * @param tryLock reclaim does not wait for i_mmap_rwsem
 * @returns false when the page is still mapped
 * @context folio locked, referenced, in a file; takes i_mmap_rwsem, ptl, i_pages
 */
export function fileTryToUnmap(m: Mm, pfn: number, tryLock: boolean): boolean {
  const { mapcount, refcount } = m.page;
  if (Atomics.load(mapcount, pfn) === 0) return true;
  let dirty = false;
  rmapWalkFile(m, pfn, tryLock, (pte, vma) => {
    // Locked in memory: only truncation takes it.
    if (tryLock && ((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) return false;
    const mm = m.vma.mm[vma] as number;
    faultDelay(FAULT_DELAY);
    const old = Atomics.exchange(m.pte, pte, 0);
    if ((old & PTE_DIRTY) !== 0) {
      fileDirty(m, pfn);
      dirty = true;
    }
    unmapOut.cpuMask |= Atomics.load(m.mm.cpuMask, mm);
    Atomics.sub(m.mm.rssFile, mm, 1);
    const left = Atomics.sub(mapcount, pfn, 1) - 1;
    if (left === 0) Atomics.sub(m.node.fileMapped, folioNid(m, pfn), 1);
    // The mapping's reference; the file and the caller hold others.
    Atomics.sub(refcount, pfn, 1);
    return left > 0;
  });
  // Before the lock goes: the flusher will find no mapping whose CPUs it should wait for.
  if (dirty) tlbFlush(m, unmapOut.cpuMask);
  return Atomics.load(mapcount, pfn) === 0;
}

/**
 * Write-protects and cleans every entry that maps a page of a file (folio_mkclean): the next store
 * faults, and makes the page dirty again. Stores go on until `tlbFlush(unmapOut.cpuMask)`.
 * @returns whether an entry was dirty
 * @context folio locked, in a file; takes i_mmap_rwsem, ptl
 */
export function fileMkclean(m: Mm, pfn: number): boolean {
  let dirty = false;
  if (Atomics.load(m.page.mapcount, pfn) === 0) return false;
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
