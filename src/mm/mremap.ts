// SPDX-License-Identifier: GPL-2.0-only
/**
 * Growing, shrinking and moving a mapping (mm/mremap.c).
 *
 * Pages that move keep their index, as the new VMA starts with that of the old: the rmap finds them
 * in their new place. While entries are between two tables nobody may look for them, so the file's
 * i_mmap_rwsem and the family's rwsem are held for writing (take_rmap_locks; the kernel does so
 * only where a walk could visit the new VMA before the old one).
 */
import {
  anonVmaClone,
  anonVmaLockRoot,
  anonVmaUnlockRoot,
  unlinkAnonVmas,
  vmaAnonRoot,
} from './anon_vma.ts';
import { EFAULT, EINVAL, ENOMEM } from './errno.ts';
import { PTRS_PER_TABLE } from './limits.ts';
import type { Mm } from './mm.ts';
import { mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { munmapLocked } from './munmap.ts';
import { PTE_NONE, pteAllocTables, pteHoleEnd, pteOffset, ptlLock, ptlUnlock } from './pgtable.ts';
import { tlbFlush } from './tlb.ts';
import {
  dupVma,
  findVma,
  findVmaIntersection,
  freeVma,
  insertVma,
  mergeRange,
  mergeVma,
  pageIndex,
  setVmaBounds,
  splitAtRange,
  unlinkVma,
} from './vma.ts';
import { vmaLockFile, vmaOfFile, vmaUnlockFile } from './vma_file.ts';
import { vmaStartWrite } from './vma_lock.ts';

/** Entries of one table on their way. One move at a time per thread. */
const moving = new Int32Array(PTRS_PER_TABLE);

/**
 * Changes the size or the place of a mapping: of anonymous memory, or of a file, shared or private.
 * @param start first page of the old range @param pages its length
 * @param newPages the new length
 * @param newStart where to (MREMAP_FIXED, but nothing is unmapped there), or null to stay
 * @returns 0; -EFAULT when the old range is not within one VMA; -EINVAL for no range, or a new
 *   range that overlaps the old; -ENOMEM when the new range is taken, or rows have run out:
 *   nothing has changed then
 * @context outside a section; takes mmap_lock for writing; waits for a shootdown
 */
export function mremap(
  m: Mm,
  mm: number,
  start: number,
  pages: number,
  newPages: number,
  newStart: number | null = null,
): number {
  const to = newStart ?? start;
  if (!rangeOk(start, start + pages) || !rangeOk(to, to + newPages)) return EINVAL;
  if (newStart !== null && to < start + pages && start < to + newPages) return EINVAL;
  mmapWriteLock(m, mm);
  const error = mremapLocked(m, mm, start, pages, newPages, to);
  mmapWriteUnlock(m, mm);
  return error;
}

function mremapLocked(
  m: Mm,
  mm: number,
  start: number,
  pages: number,
  newPages: number,
  to: number,
): number {
  const vma = findVma(m, mm, start);
  if (vma === 0 || (m.vma.end[vma] as number) < start + pages) return EFAULT;
  if (to !== start && findVmaIntersection(m, mm, to, to + newPages) !== 0) return ENOMEM;
  const shrinks = newPages < pages;
  if (shrinks && !splitAtRange(m, mm, start + newPages, start + pages)) return ENOMEM;
  let error = 0;
  if (to !== start) error = move(m, mm, start, Math.min(pages, newPages), newPages, to);
  else if (newPages > pages) error = growInPlace(m, mm, vma, start + pages, start + newPages);
  // Last, as nothing brings it back.
  if (error === 0 && shrinks) munmapLocked(m, mm, start + newPages, start + pages);
  if (error < 0) mergeRange(m, mm, start, start + pages);
  return error;
}

/** @context mmap_lock held for writing */
function growInPlace(m: Mm, mm: number, vma: number, end: number, newEnd: number): number {
  if (m.vma.end[vma] !== end) return ENOMEM;
  if (findVmaIntersection(m, mm, end, newEnd) !== 0) return ENOMEM;
  setVmaBounds(m, vma, m.vma.start[vma] as number, newEnd, m.vma.pgoff[vma] as number);
  mergeVma(m, vma);
  return 0;
}

/** @param pages of the old range, which is mapped by one VMA @context mmap_lock held for writing */
function move(
  m: Mm,
  mm: number,
  start: number,
  pages: number,
  newPages: number,
  to: number,
): number {
  if (!splitAtRange(m, mm, start, start + pages)) return ENOMEM;
  const vma = findVma(m, mm, start);
  vmaStartWrite(m, vma);
  const copy = dupVma(m, vma);
  if (copy === 0) return ENOMEM;
  // Without pages of its own, it may take on the index of its new place.
  const fresh = vmaAnonRoot(m, vma) === 0 && !vmaOfFile(m, vma);
  m.vma.pgoff[copy] = fresh ? to : pageIndex(m, vma, start);
  m.vma.start[copy] = to;
  m.vma.end[copy] = to + newPages;
  Atomics.store(m.vma.anonVma, copy, Atomics.load(m.vma.anonVma, vma));
  if (anonVmaClone(m, copy, vma, () => undefined) < 0) {
    freeVma(m, copy);
    return ENOMEM;
  }
  insertVma(m, mm, copy);
  if (!moveTables(m, mm, vma, start, start + pages, to)) {
    // What was moved goes back: its tables are there, and none is made where nothing was.
    moveTables(m, mm, vma, to, to + pages, start);
    unlinkVma(m, copy);
    unlinkAnonVmas(m, copy);
    freeVma(m, copy);
    return ENOMEM;
  }
  munmapLocked(m, mm, start, start + pages);
  mergeVma(m, copy);
  return 0;
}

/** @returns false when page tables have run out: some entries have moved, others not */
function moveTables(
  m: Mm,
  mm: number,
  vma: number,
  start: number,
  end: number,
  to: number,
): boolean {
  for (let vpn = start; vpn < end; ) {
    const from = pteOffset(m, mm, vpn);
    if (from === PTE_NONE) {
      vpn = pteHoleEnd(m, mm, vpn);
      continue;
    }
    const target = to + (vpn - start);
    const leftFrom = PTRS_PER_TABLE - (vpn % PTRS_PER_TABLE);
    const leftTo = PTRS_PER_TABLE - (target % PTRS_PER_TABLE);
    const count = Math.min(leftFrom, leftTo, end - vpn);
    vpn += count;
    if (!hasEntry(m, from, count)) continue;
    const into = pteAllocTables(m, mm, target);
    if (into === PTE_NONE) return false;
    moveEntries(m, mm, vma, from, into, count);
  }
  return true;
}

/** Is one of so many entries in use? @context mmap_lock held for writing: none comes meanwhile */
function hasEntry(m: Mm, first: number, count: number): boolean {
  for (let pte = first; pte < first + count; pte++) if (Atomics.load(m.pte, pte) !== 0) return true;
  return false;
}

/**
 * Moves entries of one table to another. CPUs that loaded one before have left their sections when
 * it appears in its new place, so that no bit that they set is lost.
 */
function moveEntries(
  m: Mm,
  mm: number,
  vma: number,
  from: number,
  into: number,
  count: number,
): void {
  const root = vmaAnonRoot(m, vma);
  vmaLockFile(m, vma);
  if (root !== 0) anonVmaLockRoot(m, root);
  ptlLock(m, from);
  for (let i = 0; i < count; i++) {
    const empty = Atomics.load(m.pte, from + i) === 0;
    moving[i] = empty ? 0 : Atomics.exchange(m.pte, from + i, 0);
  }
  ptlUnlock(m, from);
  tlbFlush(m, Atomics.load(m.mm.cpuMask, mm));
  ptlLock(m, into);
  for (let i = 0; i < count; i++) {
    if (moving[i] !== 0) Atomics.store(m.pte, into + i, moving[i] as number);
  }
  ptlUnlock(m, into);
  if (root !== 0) anonVmaUnlockRoot(m, root);
  vmaUnlockFile(m, vma);
}
