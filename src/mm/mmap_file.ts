// SPDX-License-Identifier: GPL-2.0-only
/** Mapping a file of the host, or anything where something is (mm/mmap.c, mmap_region). */
import { assert } from '../../shared/assert.ts';
import type { Mm } from './mm.ts';
import { mmapWriteLock, mmapWriteUnlock, rangeOk } from './mmap.ts';
import { munmapLocked } from './munmap.ts';
import {
  allocVma,
  findVmaIntersection,
  freeVma,
  insertVma,
  mergeVma,
  splitAtRange,
} from './vma.ts';

/**
 * Maps pages of a file, or anonymous memory.
 * @param start first virtual page number @param end one past the last; at most 2^36
 * @param inode a file of the host that the caller has open; 0 for anonymous memory
 * @param pgoff its page at `start`; of anonymous memory `start`
 * @param flags VM_READ, VM_WRITE, VM_EXEC, VM_SHARED, VM_SEQ_READ, VM_RAND_READ
 * @param replace what is mapped there goes first (MAP_FIXED)
 * @returns the VMA's row, or 0 when the range overlaps another VMA, or all rows are in use
 * @context takes mmap_lock for writing, i_mmap_rwsem; may block, also for a shootdown
 */
export function mmapFile(
  m: Mm,
  mm: number,
  start: number,
  end: number,
  inode: number,
  pgoff: number,
  flags: number,
  replace = false,
): number {
  assert(rangeOk(start, end), 'mapping outside the address space');
  mmapWriteLock(m, mm);
  let vma = allocVma(m);
  if (vma !== 0 && !makeRoom(m, mm, start, end, replace)) {
    freeVma(m, vma);
    vma = 0;
  }
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

/** @returns whether nothing is mapped in the range any more @context mmap_lock for writing */
function makeRoom(m: Mm, mm: number, start: number, end: number, replace: boolean): boolean {
  if (findVmaIntersection(m, mm, start, end) === 0) return true;
  if (!replace || !splitAtRange(m, mm, start, end)) return false;
  munmapLocked(m, mm, start, end);
  return true;
}
