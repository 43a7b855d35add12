// SPDX-License-Identifier: GPL-2.0-only
/** Unmapping a range of an address space (mm/vma.c, do_vmi_munmap). */
import { EINVAL, ENOMEM } from './errno.ts';
import type { Mm } from './mm.ts';
import { mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { findVmaIntersection, removeVma, splitAtRange } from './vma.ts';
import { vmaStartWrite } from './vma_lock.ts';
import { zapPageRange } from './zap.ts';

/**
 * Unmaps a range; parts of it that are not mapped do not matter. What it had is free afterwards but
 * for its page tables, which stay until exit: CPUs know their places.
 * @param start first virtual page number @param end one past the last
 * @returns 0, -EINVAL for no range, -ENOMEM when a VMA had to be split and rows have run out
 * @context outside a section; takes mmap_lock for writing; waits for a shootdown
 */
export function munmap(m: Mm, mm: number, start: number, end: number): number {
  if (!rangeOk(start, end)) return EINVAL;
  mmapWriteLock(m, mm);
  const done = splitAtRange(m, mm, start, end);
  if (done) munmapLocked(m, mm, start, end);
  mmapWriteUnlock(m, mm);
  return done ? 0 : ENOMEM;
}

/** Unmaps VMAs that lie in a range as a whole. @context mmap_lock held for writing */
export function munmapLocked(m: Mm, mm: number, start: number, end: number): void {
  for (;;) {
    const vma = findVmaIntersection(m, mm, start, end);
    if (vma === 0) return;
    // No fault may bring one back.
    vmaStartWrite(m, vma);
    // Pages first: an anon_vma that a mapped page names must be alive.
    zapPageRange(m, mm, m.vma.start[vma] as number, m.vma.end[vma] as number);
    removeVma(m, vma);
  }
}
