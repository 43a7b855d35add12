// SPDX-License-Identifier: GPL-2.0-only
/** Changing what may be done with mapped memory (mm/mprotect.c). */
import { EINVAL, ENOMEM } from './errno.ts';
import type { Mm } from './mm.ts';
import { PTE_WRITE, VM_READ, VM_WRITE } from './mm_types.ts';
import { mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { ptlLock, ptlUnlock } from './pgtable.ts';
import { tlbFlush } from './tlb.ts';
import { findVma, mergeRange, splitAtRange } from './vma.ts';
import { vmaStartWrite } from './vma_lock.ts';
import { forEachLeaf } from './zap.ts';

/** @returns whether every page of the range is mapped @context mmap_lock held */
export function rangeMapped(m: Mm, mm: number, start: number, end: number): boolean {
  let at = start;
  for (let vma = findVma(m, mm, start); vma !== 0; vma = m.vma.next[vma] as number) {
    if ((m.vma.start[vma] as number) > at) return false;
    at = m.vma.end[vma] as number;
    if (at >= end) return true;
  }
  return false;
}

/**
 * Sets VM_* bits of every VMA in a range, splitting at its ends and merging what is alike then.
 * @param mask bits to change @param bits their new values
 * @returns 0, or -ENOMEM when something in the range is not mapped, or rows have run out: nothing
 *   has changed then
 * @context mmap_lock held for writing; may block
 */
export function changeVmaFlags(
  m: Mm,
  mm: number,
  start: number,
  end: number,
  mask: number,
  bits: number,
): number {
  if (!rangeMapped(m, mm, start, end)) return ENOMEM;
  if (!splitAtRange(m, mm, start, end)) return ENOMEM;
  let vma = findVma(m, mm, start);
  for (; vma !== 0 && (m.vma.start[vma] as number) < end; vma = m.vma.next[vma] as number) {
    vmaStartWrite(m, vma);
    m.vma.flags[vma] = ((m.vma.flags[vma] as number) & ~mask) | bits;
  }
  mergeRange(m, mm, start, end);
  return 0;
}

/**
 * Allows or forbids stores to a range.
 * @param prot VM_READ, or VM_READ and VM_WRITE; memory that cannot be read is not modelled
 * @returns 0, -EINVAL, -ENOMEM as changeVmaFlags
 * @context outside a section; takes mmap_lock for writing; when it forbids stores, none goes on
 *   after its return
 */
export function mprotect(m: Mm, mm: number, start: number, end: number, prot: number): number {
  const known = prot === VM_READ || prot === (VM_READ | VM_WRITE);
  if (!rangeOk(start, end) || !known) return EINVAL;
  mmapWriteLock(m, mm);
  const error = changeVmaFlags(m, mm, start, end, VM_READ | VM_WRITE, prot);
  // Allowing changes no entry: the first store faults and finds out whether it must copy.
  if (error === 0 && (prot & VM_WRITE) === 0) {
    forEachLeaf(m, mm, start, end, (first, count) => protectEntries(m, first, count));
    tlbFlush(m, Atomics.load(m.mm.cpuMask, mm));
  }
  mmapWriteUnlock(m, mm);
  return error;
}

function protectEntries(m: Mm, first: number, count: number): void {
  ptlLock(m, first);
  for (let pte = first; pte < first + count; pte++) {
    // Those of a migration too: the bit comes back with the page. Present ones
    // become others under ptl only; the CPU may add its bits.
    if ((Atomics.load(m.pte, pte) & PTE_WRITE) !== 0) Atomics.and(m.pte, pte, ~PTE_WRITE);
  }
  ptlUnlock(m, first);
}
