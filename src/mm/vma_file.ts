// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which VMAs map a file (mm/interval_tree.c, vma_link_file): a list for each inode, under
 * i_mmap_rwsem. The walk of the rmap and truncation find them there.
 *
 * A VMA in the list keeps its file: a reference, as an open file has. Its range and pgoff change
 * only while it is out of the list, or under i_mmap_rwsem held for writing.
 */
import { faultStall } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { scheduleTimeout } from '../../shared/sched.ts';
import { FAULT_RMAP_HELD } from './faults.ts';
import { fileRefs } from './file_refs.ts';
import { LC_I_MMAP } from './lock_order.ts';
import type { Mm } from './mm.ts';

/**
 * Experiments: this thread sleeps for so long, in ms, when it has taken i_mmap_rwsem for writing,
 * one time in so many: a holder that lost its CPU. Private to the thread; 0 ms is never.
 */
export const vmaFileHold = { ms: 0, oneIn: 1, taken: 0 };

/** Maps the VMA a file? @context mmap_lock held */
export function vmaOfFile(m: Mm, vma: number): boolean {
  return m.vma.file[vma] !== 0;
}

/**
 * The VMA's bounds are about to change: nobody may walk its file's mappings. Nothing to do for
 * anonymous memory.
 * @context mmap_lock held for writing; may block
 */
export function vmaLockFile(m: Mm, vma: number): void {
  const inode = m.vma.file[vma] as number;
  if (inode === 0) return;
  rwsemDownWrite(m.iMmapLock, inode * RWSEM_WORDS, LC_I_MMAP);
  if (vmaFileHold.ms > 0 && vmaFileHold.taken++ % vmaFileHold.oneIn === 0) {
    scheduleTimeout(vmaFileHold.ms);
  }
  faultStall(FAULT_RMAP_HELD);
}

/** Ends vmaLockFile. @context who holds it */
export function vmaUnlockFile(m: Mm, vma: number): void {
  const inode = m.vma.file[vma] as number;
  if (inode !== 0) rwsemUpWrite(m.iMmapLock, inode * RWSEM_WORDS, LC_I_MMAP);
}

/**
 * Shows a VMA to its file, and takes a reference on it; nothing to do for anonymous memory.
 * @param vma `file`, `start`, `end`, `pgoff`, `mm` and `flags` are set
 * @context mmap_lock held for writing; the file is held by the caller or by another VMA
 */
export function vmaLinkFile(m: Mm, vma: number): void {
  const inode = m.vma.file[vma] as number;
  if (inode === 0) return;
  fileRefs().hold(m, inode);
  Atomics.store(m.fileRa.start, vma, 0);
  Atomics.store(m.fileRa.size, vma, 0);
  Atomics.store(m.fileRa.asyncSize, vma, 0);
  Atomics.store(m.fileRa.mmapMiss, vma, 0);
  vmaLockFile(m, vma);
  const head = m.mapping.vmaHead[inode] as number;
  m.vma.fileNext[vma] = head;
  m.vma.filePrev[vma] = 0;
  if (head !== 0) m.vma.filePrev[head] = vma;
  m.mapping.vmaHead[inode] = vma;
  vmaUnlockFile(m, vma);
}

/**
 * Takes a VMA out of its file's list, and drops its reference: the file may go. The row keeps the
 * number; nothing to do for anonymous memory.
 * @context mmap_lock held for writing, no other lock; none of its pages is mapped any more, or the
 *   caller maps them through another VMA of the same file
 */
export function vmaUnlinkFile(m: Mm, vma: number): void {
  const inode = m.vma.file[vma] as number;
  if (inode === 0) return;
  vmaLockFile(m, vma);
  const { fileNext, filePrev } = m.vma;
  const next = fileNext[vma] as number;
  const prev = filePrev[vma] as number;
  if (prev !== 0) fileNext[prev] = next;
  else m.mapping.vmaHead[inode] = next;
  if (next !== 0) filePrev[next] = prev;
  fileNext[vma] = 0;
  filePrev[vma] = 0;
  vmaUnlockFile(m, vma);
  fileRefs().put(m, inode);
}
