// SPDX-License-Identifier: GPL-2.0-only
/** Locking a range in memory (mm/mlock.c). */
import { condResched } from '../../shared/sched.ts';
import { EINTR, EINVAL, ENOMEM } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { pageFolio } from './folio.ts';
import {
  FAULT_DONE,
  FAULT_FLAG_FILL,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_SIGSEGV,
  handleMmFault,
} from './memory.ts';
import { mlockFolio, munlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import { PTE_PRESENT, PTE_SHIFT, PTE_SPECIAL, VM_LOCKED, VM_WRITE } from './mm_types.ts';
import { mmapReadLock, mmapReadUnlock, mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { changeVmaFlags } from './mprotect.ts';
import { PTE_NONE, pteOffset, ptlLock, ptlUnlock } from './pgtable.ts';
import { findVma } from './vma.ts';
import { forEachLeaf } from './zap.ts';

/** Marks the pages of a range that are there. @context mmap_lock held for writing */
function lockPages(m: Mm, mm: number, start: number, end: number, lock: boolean): void {
  forEachLeaf(m, mm, start, end, (first, count) => {
    ptlLock(m, first);
    for (let pte = first; pte < first + count; pte++) {
      const entry = Atomics.load(m.pte, pte);
      if ((entry & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
      const pfn = pageFolio(m, entry >>> PTE_SHIFT);
      if (lock) mlockFolio(m, pfn);
      else munlockFolio(m, pfn);
    }
    ptlUnlock(m, first);
  });
}

/**
 * How to fault a page of the range in: as a store where that breaks sharing, as the kernel
 * does.
 */
function populateFlags(m: Mm, mm: number, vpn: number): number {
  mmapReadLock(m, mm);
  const vma = findVma(m, mm, vpn);
  const writable = vma !== 0 && ((m.vma.flags[vma] as number) & VM_WRITE) !== 0;
  mmapReadUnlock(m, mm);
  return writable ? FAULT_FLAG_FILL | FAULT_FLAG_WRITE : FAULT_FLAG_FILL;
}

function pagePresent(m: Mm, mm: number, vpn: number): boolean {
  const pte = pteOffset(m, mm, vpn);
  return pte !== PTE_NONE && (Atomics.load(m.pte, pte) & PTE_PRESENT) !== 0;
}

/**
 * Locks a range in memory, and brings in what is not there.
 * @returns 0, -EINVAL, -ENOMEM when something is not mapped, rows have run out, or a page could not
 *   be had, -EINTR when the process is killed: what was brought in stays locked
 * @context outside a section; takes mmap_lock; may block and reclaim
 */
export function mlock(m: Mm, mm: number, start: number, end: number): number {
  if (!rangeOk(start, end)) return EINVAL;
  mmapWriteLock(m, mm);
  const error = changeVmaFlags(m, mm, start, end, VM_LOCKED, VM_LOCKED);
  if (error === 0) lockPages(m, mm, start, end, true);
  mmapWriteUnlock(m, mm);
  if (error < 0) return error;
  for (let vpn = start; vpn < end; vpn++) {
    condResched();
    if (fatalSignalPending(m)) return EINTR;
    while (!pagePresent(m, mm, vpn)) {
      const result = handleMmFault(m, mm, vpn, populateFlags(m, mm, vpn));
      if (result === FAULT_SIGSEGV) break;
      if (result !== FAULT_DONE && result !== FAULT_MAJOR) return ENOMEM;
    }
  }
  return 0;
}

/** Lets a range go again. @returns 0, -EINVAL, -ENOMEM as mlock @context as mlock */
export function munlock(m: Mm, mm: number, start: number, end: number): number {
  if (!rangeOk(start, end)) return EINVAL;
  mmapWriteLock(m, mm);
  const error = changeVmaFlags(m, mm, start, end, VM_LOCKED, 0);
  if (error === 0) lockPages(m, mm, start, end, false);
  mmapWriteUnlock(m, mm);
  return error;
}
