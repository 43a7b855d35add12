// SPDX-License-Identifier: GPL-2.0-only
/**
 * Growing, shrinking and moving a mapping (mm/mremap.c).
 *
 * Pages that move keep their index, as the new VMA starts with that of the old: the rmap finds them
 * in their new place. While entries are between two tables nobody may look for them, so the
 * family's rwsem is held for writing.
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
  mergeVma,
  pageIndex,
  setVmaBounds,
  splitAtRange,
  unlinkVma,
} from './vma.ts';
import { vmaOfFile } from './vma_file.ts';

/** Entries of one table on their way. One move at a time per thread. */
const moving = new Int32Array(PTRS_PER_TABLE);

/**
 * Changes the size or the place of a mapping of anonymous memory.
 * @param start first page of the old range @param pages its length
 * @param newPages the new length
 * @param newStart where to (MREMAP_FIXED, but nothing is unmapped there), or null to stay
 * @returns 0; -EFAULT when the old range is not within one VMA; -EINVAL for no range, a file's, or
 *   a new range that overlaps the old; -ENOMEM when the new range is taken, or rows have run out
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
  if (vmaOfFile(m, vma)) return EINVAL;
  if (to !== start && findVmaIntersection(m, mm, to, to + newPages) !== 0) return ENOMEM;
  if (newPages < pages) {
    if (!splitAtRange(m, mm, start + newPages, start + pages)) return ENOMEM;
    munmapLocked(m, mm, start + newPages, start + pages);
  }
  if (to !== start) return move(m, mm, start, Math.min(pages, newPages), newPages, to);
  return newPages > pages ? growInPlace(m, mm, vma, start + pages, start + newPages) : 0;
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
  const copy = dupVma(m, vma);
  if (copy === 0) return ENOMEM;
  // Without pages of its own, it may take on the index of its new place.
  const fresh = vmaAnonRoot(m, vma) === 0;
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
    // What was moved goes back: its tables are there.
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
    const into = pteAllocTables(m, mm, target);
    if (into === PTE_NONE) return false;
    moveEntries(m, mm, vma, from, into, count);
    vpn += count;
  }
  return true;
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
}
