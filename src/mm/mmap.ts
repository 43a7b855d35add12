// SPDX-License-Identifier: GPL-2.0-only
/**
 * mmap_lock, and mapping anonymous memory (mm/mmap.c).
 */
import { assert } from '../../shared/assert.ts';
import {
  RWSEM_WORDS,
  rwsemDownRead,
  rwsemDownWrite,
  rwsemTryRead,
  rwsemUpRead,
  rwsemUpWrite,
} from '../../shared/rwsem.ts';
import { VPN_MAX } from './limits.ts';
import { LC_MMAP } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { VM_READ, VM_WRITE } from './mm_types.ts';
import { allocVma, findVmaIntersection, insertVma, mergeVma } from './vma.ts';
import { vmaEndWriteAll } from './vma_lock.ts';

/** Takes mmap_lock for reading. @context may block; no other lock held */
export function mmapReadLock(m: Mm, mm: number): void {
  rwsemDownRead(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** @returns false when a writer holds mmap_lock, or waits for it @context does not block */
export function mmapTryReadLock(m: Mm, mm: number): boolean {
  return rwsemTryRead(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Releases mmap_lock. @context a reader */
export function mmapReadUnlock(m: Mm, mm: number): void {
  rwsemUpRead(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Takes mmap_lock for writing. @context may block; no other lock held */
export function mmapWriteLock(m: Mm, mm: number): void {
  rwsemDownWrite(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Releases mmap_lock. @context the writer */
export function mmapWriteUnlock(m: Mm, mm: number): void {
  vmaEndWriteAll(m, mm);
  rwsemUpWrite(m.mmapLock, mm * RWSEM_WORDS, LC_MMAP);
}

/** Is the range one of whole pages within the address space? */
export function rangeOk(start: number, end: number): boolean {
  const whole = Number.isInteger(start) && Number.isInteger(end);
  return whole && start >= 0 && start < end && end <= VPN_MAX;
}

/**
 * Maps anonymous memory. A neighbour that is alike grows instead of a new VMA.
 * @param start first virtual page number @param end one past the last; at most 2^36
 * @param vmFlags VM_READ and VM_WRITE as wanted
 * @returns the VMA's row, or 0 when the range overlaps another VMA, or all rows are in use
 * @context takes mmap_lock for writing
 */
export function mmapAnon(
  m: Mm,
  mm: number,
  start: number,
  end: number,
  vmFlags = VM_READ | VM_WRITE,
): number {
  assert(rangeOk(start, end), 'mapping outside the address space');
  mmapWriteLock(m, mm);
  const free = findVmaIntersection(m, mm, start, end) === 0;
  let vma = free ? allocVma(m) : 0;
  if (vma !== 0) {
    m.vma.start[vma] = start;
    m.vma.end[vma] = end;
    m.vma.pgoff[vma] = start;
    m.vma.flags[vma] = vmFlags;
    insertVma(m, mm, vma);
    vma = mergeVma(m, vma);
  }
  mmapWriteUnlock(m, mm);
  return vma;
}
