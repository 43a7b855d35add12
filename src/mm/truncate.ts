// SPDX-License-Identifier: GPL-2.0-only
/**
 * Cutting a file (mm/truncate.c): the size first, so that nobody brings a page back, then the
 * pages, then the host's file.
 *
 * A page goes under its lock: whoever maps it, writes it or reads it has it locked at some point
 * and sees, before or after, whose it is. Pages that a process has copied for itself (private,
 * written to) stay mapped: the kernel takes them too.
 */
import { faultDelay } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileCancelDirty, fileDirty } from './file_dirty.ts';
import { folioClear, folioLock, folioUnlock } from './folio.ts';
import { hostTruncate } from './host_io.ts';
import { PAGE_SIZE } from './limits.ts';
import { LC_INVALIDATE } from './lock_order.ts';
import { folioInMapping, mappingGet, mappingNext, XA_NONE } from './mapping.ts';
import { fileDropShadows, fileEraseFolio } from './mapping_file.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_RECLAIM } from './mm_types.ts';
import { filePageCount } from './readahead.ts';
import { fileTryToUnmap } from './rmap_file.ts';
import { folioPut } from './swap.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';
import { folioWaitWriteback } from './writeback.ts';

/** Removes one page, whoever uses it. @returns false when it changed under our eyes: look again */
function truncatePage(m: Mm, inode: number, index: number): boolean {
  const pfn = mappingGet(m, inode, index);
  if (pfn <= 0) return true;
  faultDelay(FAULT_DELAY);
  folioLock(m, pfn);
  const ours = folioInMapping(m, pfn, inode, index);
  if (ours) {
    folioWaitWriteback(m, pfn);
    unmapOut.cpuMask = 0;
    while (!fileTryToUnmap(m, pfn, false));
    // Nobody touches the bytes any more when the frame goes to somebody else.
    if (unmapOut.cpuMask !== 0) tlbFlush(m, unmapOut.cpuMask);
    unmapOut.cpuMask = 0;
    fileCancelDirty(m, pfn);
    folioClear(m, pfn, PG_RECLAIM | PG_READAHEAD);
    fileEraseFolio(m, pfn);
  }
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return ours;
}

/**
 * Removes the pages of a file from one on, and what was known of those that had gone.
 * @context invalidate_lock held for writing, or nobody can find the file; no folio locked
 */
export function truncatePages(m: Mm, inode: number, first: number): void {
  for (let at = mappingNext(m, inode, first); at !== XA_NONE; ) {
    while (!truncatePage(m, inode, at));
    condResched();
    at = mappingNext(m, inode, at + 1);
  }
  fileDropShadows(m, inode, first);
}

/** Clears the rest of the page that the file ends in, if it is cached. */
function zeroTail(m: Mm, inode: number, size: number): void {
  const offset = size % PAGE_SIZE;
  const index = Math.floor(size / PAGE_SIZE);
  const pfn = offset === 0 ? 0 : mappingGet(m, inode, index);
  if (pfn <= 0) return;
  folioLock(m, pfn);
  if (folioInMapping(m, pfn, inode, index)) {
    folioWaitWriteback(m, pfn);
    pageBytes(m, pfn).fill(0, offset);
    fileDirty(m, pfn);
  }
  folioUnlock(m, pfn);
  folioPut(m, pfn);
}

/**
 * Sets the size of a file.
 * @param size bytes, at least 0
 * @returns 0, ENOSPC, EIO: the host's file kept its size, which may be larger than ours
 * @context i_rwsem of the file held for writing; takes invalidate_lock; may block
 */
export function truncateFile(m: Mm, inode: number, size: number): number {
  const base = inode * RWSEM_WORDS;
  rwsemDownWrite(m.invalidateLock, base, LC_INVALIDATE);
  const before = m.hostFile.size[inode] as number;
  m.hostFile.size[inode] = size;
  if (size < before) {
    zeroTail(m, inode, size);
    truncatePages(m, inode, filePageCount(size));
  }
  const error = hostTruncate((m.hostFile.fd[inode] as number) - 1, size);
  rwsemUpWrite(m.invalidateLock, base, LC_INVALIDATE);
  return error;
}
