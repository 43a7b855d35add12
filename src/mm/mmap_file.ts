// SPDX-License-Identifier: GPL-2.0-only
/** Mapping a file of the host (mm/mmap.c, mmap_region with a file). */
import { assert } from '../../shared/assert.ts';
import type { Mm } from './mm.ts';
import { mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { allocVma, findVmaIntersection, insertVma, mergeVma } from './vma.ts';

/**
 * Maps pages of a file.
 * @param start first virtual page number @param end one past the last; at most 2^36
 * @param inode a file of the host that the caller has open @param pgoff its page at `start`
 * @param flags VM_READ, VM_WRITE, VM_EXEC, VM_SHARED, VM_SEQ_READ, VM_RAND_READ
 * @returns the VMA's row, or 0 when the range overlaps another VMA, or all rows are in use
 * @context takes mmap_lock for writing, i_mmap_rwsem; may block
 */
export function mmapFile(
  m: Mm,
  mm: number,
  start: number,
  end: number,
  inode: number,
  pgoff: number,
  flags: number,
): number {
  assert(rangeOk(start, end), 'mapping outside the address space');
  mmapWriteLock(m, mm);
  let vma = findVmaIntersection(m, mm, start, end) === 0 ? allocVma(m) : 0;
  if (vma !== 0) {
    m.vma.start[vma] = start;
    m.vma.end[vma] = end;
    m.vma.pgoff[vma] = pgoff;
    m.vma.flags[vma] = flags;
    m.vma.file[vma] = inode;
    insertVma(m, mm, vma);
    vma = mergeVma(m, vma);
  }
  mmapWriteUnlock(m, mm);
  return vma;
}
