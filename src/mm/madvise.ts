// SPDX-License-Identifier: GPL-2.0-only
/** Advice about how memory will be used (mm/madvise.c). */
import { EINVAL, ENOMEM } from './errno.ts';
import { lazyfreeEntries } from './lazyfree.ts';
import { coldEntries, pageoutEntries } from './madvise_pageout.ts';
import type { Mm } from './mm.ts';
import { VM_HUGEPAGE, VM_LOCKED, VM_NOHUGEPAGE, VM_RAND_READ, VM_SEQ_READ } from './mm_types.ts';
import { mmapReadLock, mmapReadUnlock, mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { changeVmaFlags, rangeMapped } from './mprotect.ts';
import { findVmaAbove } from './vma.ts';
import { vmaOfFile } from './vma_file.ts';
import { forEachLeaf, zapEntries } from './zap.ts';

export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
/** The pages are not needed: they go at once, and read as new ones. */
export const MADV_DONTNEED = 4;
/** Their contents are not needed: they go when memory is short, unless stored to before. */
export const MADV_FREE = 8;
/** Large folios are wanted here, or not. */
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;
/** They will not be used soon. */
export const MADV_COLD = 20;
/** They go to swap now. */
export const MADV_PAGEOUT = 21;

/** Advice that a VMA keeps: the bits it is about, and what they become. */
const PATTERN = VM_RAND_READ | VM_SEQ_READ;
const HUGE = VM_HUGEPAGE | VM_NOHUGEPAGE;
const KEPT = new Map([
  [MADV_NORMAL, [PATTERN, 0]],
  [MADV_RANDOM, [PATTERN, VM_RAND_READ]],
  [MADV_SEQUENTIAL, [PATTERN, VM_SEQ_READ]],
  [MADV_HUGEPAGE, [HUGE, VM_HUGEPAGE]],
  [MADV_NOHUGEPAGE, [HUGE, VM_NOHUGEPAGE]],
]);

type Work = (m: Mm, mm: number, first: number, count: number) => void;
const PAGE_WORK = new Map<number, Work>([
  [MADV_DONTNEED, zapEntries],
  [MADV_FREE, lazyfreeEntries],
  [MADV_COLD, coldEntries],
  [MADV_PAGEOUT, pageoutEntries],
]);

/**
 * Takes advice about a range.
 * @param advice MADV_*
 * @returns 0; -EINVAL for no range, unknown advice, locked memory, or MADV_FREE of a file's;
 *   -ENOMEM when a part is not mapped (what is mapped was dealt with) or rows have run out
 * @context outside a section; takes mmap_lock, for writing where it changes VMAs; may block
 */
export function madvise(m: Mm, mm: number, start: number, end: number, advice: number): number {
  if (!rangeOk(start, end)) return EINVAL;
  const kept = KEPT.get(advice);
  if (kept !== undefined) {
    const [mask, bits] = kept as [number, number];
    mmapWriteLock(m, mm);
    const error = changeVmaFlags(m, mm, start, end, mask, bits);
    mmapWriteUnlock(m, mm);
    return error;
  }
  const work = PAGE_WORK.get(advice);
  if (work === undefined) return EINVAL;
  mmapReadLock(m, mm);
  let error = refusal(m, mm, start, end, advice);
  if (error === 0) {
    forEachLeaf(m, mm, start, end, (first, count) => work(m, mm, first, count));
    if (!rangeMapped(m, mm, start, end)) error = ENOMEM;
  }
  mmapReadUnlock(m, mm);
  return error;
}

/** @returns 0, or why no page of the range is touched @context mmap_lock held */
function refusal(m: Mm, mm: number, start: number, end: number, advice: number): number {
  let vma = findVmaAbove(m, mm, start);
  for (; vma !== 0 && (m.vma.start[vma] as number) < end; vma = m.vma.next[vma] as number) {
    if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) return EINVAL;
    if (advice === MADV_FREE && vmaOfFile(m, vma)) return EINVAL;
  }
  return 0;
}
