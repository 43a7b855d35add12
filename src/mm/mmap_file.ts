// SPDX-License-Identifier: GPL-2.0-only
/** Mapping a file of the host (mm/mmap.c, mmap_region with a file). */
import { assert } from '../../shared/assert.ts';
import { VPN_MAX } from './limits.ts';
import type { Mm } from './mm.ts';
import { VM_SHARED, VM_WRITE } from './mm_types.ts';
import { insertVma, mmapWriteLock, mmapWriteUnlock } from './mmap.ts';
import { vmaLinkFile } from './vma_file.ts';

/**
 * Maps pages of a file.
 * @param start first virtual page number @param end one past the last; at most 2^36
 * @param inode a file of the host that the caller has open @param pgoff its page at `start`
 * @param flags VM_READ, VM_WRITE, VM_EXEC, VM_SHARED, VM_SEQ_READ, VM_RAND_READ
 * @returns the VMA's row, or 0 when the range overlaps another VMA
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
  assert(start >= 0 && start < end && end <= VPN_MAX, 'mapping outside the address space');
  mmapWriteLock(m, mm);
  // Only a private mapping that is written to has pages of its own.
  const anon = (flags & (VM_SHARED | VM_WRITE)) === VM_WRITE;
  const vma = insertVma(m, mm, start, end, flags, anon);
  if (vma !== 0) {
    m.vma.file[vma] = inode;
    m.vma.pgoff[vma] = pgoff;
    vmaLinkFile(m, vma);
  }
  mmapWriteUnlock(m, mm);
  return vma;
}
