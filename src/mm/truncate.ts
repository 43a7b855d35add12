// SPDX-License-Identifier: GPL-2.0-only
/**
 * Cutting a file (mm/truncate.c): the size first, so that nobody brings a page back, then the
 * pages, then the host's file.
 *
 * A folio goes under its lock: whoever maps it, writes it or reads it has it locked at some point
 * and sees, before or after, whose it is. Pages that a process has copied for itself (private,
 * written to) stay mapped: the kernel takes them too.
 */
import { faultDelay } from '../../shared/fault.ts';
import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../../shared/rwsem.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileCancelDirty, fileDirty } from './file_dirty.ts';
import { filePageCount } from './file_pages.ts';
import { folioClear, folioLock, folioUnlock, folioWaitWriteback, pageFolio } from './folio.ts';
import { hostTruncate } from './host_io.ts';
import { PAGE_SIZE } from './limits.ts';
import { LC_INVALIDATE } from './lock_order.ts';
import { folioInMapping, mappingGet, mappingNext, XA_NONE } from './mapping.ts';
import { fileDropShadows, fileEraseFolio } from './mapping_file.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_RECLAIM } from './mm_types.ts';
import { fileTryToUnmap } from './rmap_file.ts';
import { folioPut } from './swap.ts';
import { tlbFlush } from './tlb.ts';
import { truncatePart, zeroFrom } from './truncate_part.ts';
import { unmapOut } from './unmap_out.ts';

/**
 * Removes the folio of a page, whoever uses it; one that begins before `first` stays.
 * @returns false when it changed under our eyes: look again
 */
function truncatePage(m: Mm, inode: number, index: number, first: number): boolean {
  const page = mappingGet(m, inode, index);
  if (page <= 0) return true;
  const pfn = pageFolio(m, page);
  faultDelay(FAULT_DELAY);
  folioLock(m, pfn);
  const ours = folioInMapping(m, page, inode, index);
  if (ours && (m.page.index[pfn] as number) >= first) {
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
    while (!truncatePage(m, inode, at, first));
    condResched();
    at = mappingNext(m, inode, at + 1);
  }
  fileDropShadows(m, inode, first);
}

/**
 * Clears the rest of the page that a file ends in, if it is cached.
 * @param grows the rest of its folio, too: one that stayed whole when the file was cut may have
 *   been stored to since, by a CPU that had translated before. Else the host has other bytes there
 */
function zeroTail(m: Mm, inode: number, size: number, grows: boolean): void {
  const offset = size % PAGE_SIZE;
  const index = Math.floor(size / PAGE_SIZE);
  const wanted = offset !== 0 || (grows && (m.config.fileLargeFolios ?? 0) > 0);
  const page = wanted ? mappingGet(m, inode, index) : 0;
  if (page <= 0) return;
  const pfn = pageFolio(m, page);
  folioLock(m, pfn);
  if (folioInMapping(m, page, inode, index)) {
    folioWaitWriteback(m, pfn);
    pageBytes(m, page).fill(0, offset);
    if (grows) zeroFrom(m, pfn, page + 1);
    else fileDirty(m, pfn);
  }
  folioUnlock(m, pfn);
  folioPut(m, pfn);
}

/** Cuts the host's file to the size of ours. @returns 0, or an errno: it is to be cut yet then */
export function cutHost(m: Mm, inode: number): number {
  const size = m.hostFile.size[inode] as number;
  const error = hostTruncate((m.hostFile.fd[inode] as number) - 1, size);
  m.hostFile.uncut[inode] = error < 0 ? 1 : 0;
  return error;
}

/**
 * A file is about to grow beyond its end. What a process has stored behind the end through a
 * mapping of the same page becomes no part of it (pagecache_isize_extended), nor does what the host
 * could not cut off.
 * @param position byte from which on there is something
 * @returns 0, or an errno: the file must stay as long as it is
 * @context i_rwsem of the file held for writing; no folio locked; may block
 */
export function beforeGrowth(m: Mm, inode: number, position: number): number {
  const size = m.hostFile.size[inode] as number;
  if (position > size) zeroTail(m, inode, size, true);
  return m.hostFile.uncut[inode] === 0 ? 0 : cutHost(m, inode);
}

/** A file gets longer. The host first: where it has no room, the file is as long as it was. */
function grow(m: Mm, inode: number, size: number): number {
  const fd = (m.hostFile.fd[inode] as number) - 1;
  const error = beforeGrowth(m, inode, size) || hostTruncate(fd, size);
  if (error === 0) m.hostFile.size[inode] = size;
  return error;
}

/** A file gets shorter. */
function cut(m: Mm, inode: number, size: number): number {
  m.hostFile.size[inode] = size;
  zeroTail(m, inode, size, false);
  if ((m.config.fileLargeFolios ?? 0) > 0) truncatePart(m, inode, filePageCount(size));
  truncatePages(m, inode, filePageCount(size));
  return cutHost(m, inode);
}

/**
 * Sets the size of a file.
 * @param size bytes, at least 0
 * @returns 0, ENOSPC, EIO: what was to grow is as long as before; what was cut is cut, and on the
 *   host when it grows again, or goes
 * @context i_rwsem of the file held for writing; takes invalidate_lock; may block
 */
export function truncateFile(m: Mm, inode: number, size: number): number {
  const base = inode * RWSEM_WORDS;
  rwsemDownWrite(m.invalidateLock, base, LC_INVALIDATE);
  const longer = size > (m.hostFile.size[inode] as number);
  const error = longer ? grow(m, inode, size) : cut(m, inode, size);
  rwsemUpWrite(m.invalidateLock, base, LC_INVALIDATE);
  return error;
}
