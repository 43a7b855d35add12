// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading, writing, cutting and syncing files of the host through the cache (mm/filemap.c,
 * generic_file_read_iter, generic_perform_write; fs/sync.c).
 *
 * A call sees or makes all of another's bytes or none: readers share i_rwsem, writers and
 * truncation have it alone.
 */
import { faultDelay } from '../../shared/fault.ts';
import {
  RWSEM_WORDS,
  rwsemDownRead,
  rwsemDownWrite,
  rwsemUpRead,
  rwsemUpWrite,
} from '../../shared/rwsem.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { EBUSY, EINTR, EINVAL, EIO, ENOSPC } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileDirty } from './file_dirty.ts';
import { filePageCount } from './file_pages.ts';
import { type FileRa, newFileRa } from './file_ra.ts';
import { makeFileRoom } from './file_room.ts';
import { fileReadPage } from './filemap.ts';
import {
  folioLock,
  folioOrder,
  folioSet,
  folioUnlock,
  folioWaitWriteback,
  pageFolio,
} from './folio.ts';
import { hostFsync } from './host_io.ts';
import { PAGE_SIZE } from './limits.ts';
import { LC_I_RWSEM } from './lock_order.ts';
import { folioInMapping, mappingGet } from './mapping.ts';
import { payForHigh } from './memcg_high.ts';
import type { Mm } from './mm.ts';
import { PG_UPTODATE } from './mm_types.ts';
import { balanceDirtyPages } from './page_writeback.ts';
import { newFilePage, showFilePage } from './readahead.ts';
import { folioMarkAccessed, folioPut } from './swap.ts';
import { beforeGrowth, truncateFile } from './truncate.ts';
import { writeFilePages } from './writeback.ts';

/** Largest file: its pages have 31-bit numbers. */
export const FILE_BYTES_MAX = 2 ** 31 * PAGE_SIZE;

const LAST_PAGE = 2 ** 31 - 1;

/** Position of a write at the end of the file, wherever that is by then (O_APPEND). */
export const AT_END = -1;

/** Byte behind the last `fileWrite`. Private to the thread. */
export const fileWrote = { end: 0 };

function validRange(position: number, length: number): boolean {
  return Number.isInteger(position) && position >= 0 && position + length <= FILE_BYTES_MAX;
}

/** @returns bytes of a file @context the caller has the inode */
export function fileSize(m: Mm, inode: number): number {
  return m.hostFile.size[inode] as number;
}

/**
 * Are both pages of this large folio? Then going from one to the other is no second use of it
 * (pos_same_folio). @param last page of the file, or -1
 */
function ofOneFolio(m: Mm, pfn: number, last: number, index: number): boolean {
  const order = folioOrder(m, pfn);
  return order > 0 && last >> order === index >> order;
}

/**
 * Reads from a file.
 * @param buffer filled from its start @param position byte of the file @param ra of this open file
 * @returns bytes read, fewer at the end of the file; EINVAL, ENOMEM, EIO, ENOSPC
 * @context the caller has the inode, no lock held; may block, read and reclaim
 */
export function fileRead(
  m: Mm,
  inode: number,
  buffer: Uint8Array,
  position: number,
  ra: FileRa,
): number {
  if (!validRange(position, buffer.length)) return EINVAL;
  const base = inode * RWSEM_WORDS;
  rwsemDownRead(m.iRwsem, base, LC_I_RWSEM);
  const end = Math.min(position + buffer.length, fileSize(m, inode));
  let at = position;
  let error = 0;
  while (at < end) {
    const index = Math.floor(at / PAGE_SIZE);
    const last = ra.prev;
    const page = fileReadPage(m, inode, index, ra, filePageCount(end) - index);
    if (page <= 0) {
      error = page;
      break;
    }
    const pfn = pageFolio(m, page);
    const from = at - index * PAGE_SIZE;
    const bytes = Math.min(PAGE_SIZE - from, end - at);
    buffer.set(pageBytes(m, page).subarray(from, from + bytes), at - position);
    if (!ofOneFolio(m, pfn, last, index)) folioMarkAccessed(m, pfn);
    folioPut(m, pfn);
    at += bytes;
    condResched();
  }
  rwsemUpRead(m.iRwsem, base, LC_I_RWSEM);
  payForHigh(m);
  return at > position ? at - position : error;
}

/**
 * The page that a write goes to: its folio locked, not being written out; what the write leaves of
 * it is there (write_begin).
 * @returns its pfn with a reference on its folio, or an errno
 */
function writeBegin(m: Mm, inode: number, index: number, whole: boolean): number {
  for (let tries = 0; ; tries++) {
    const page = mappingGet(m, inode, index);
    if (page > 0) {
      const folio = pageFolio(m, page);
      folioLock(m, folio);
      if (folioInMapping(m, page, inode, index)) {
        folioWaitWriteback(m, folio);
        return page;
      }
      folioUnlock(m, folio);
      folioPut(m, folio);
      continue;
    }
    if (!whole && index < filePageCount(fileSize(m, inode))) {
      const read = fileReadPage(m, inode, index, newFileRa(), 1);
      if (read < 0) return read;
      if (read > 0) folioPut(m, pageFolio(m, read));
      continue;
    }
    const pfn = newFilePage(m);
    if (pfn < 0) return pfn;
    const error = showFilePage(m, pfn, inode, index);
    if (error === 0) {
      if (!whole) pageBytes(m, pfn).fill(0);
      return pfn;
    }
    const full = error === ENOSPC || error === EBUSY;
    if (full && (tries > 8 || !makeFileRoom(m, inode))) return ENOSPC;
  }
}

/** Writes within one page. @returns 0 or an errno @context i_rwsem held for writing */
function writePage(m: Mm, inode: number, at: number, bytes: Uint8Array): number {
  const index = Math.floor(at / PAGE_SIZE);
  const from = at - index * PAGE_SIZE;
  const page = writeBegin(m, inode, index, bytes.length === PAGE_SIZE);
  if (page < 0) return page;
  const pfn = pageFolio(m, page);
  pageBytes(m, page).set(bytes, from);
  faultDelay(FAULT_DELAY);
  folioSet(m, pfn, PG_UPTODATE);
  // The size before the lock goes: writeback leaves out what lies beyond it.
  if (at + bytes.length > fileSize(m, inode)) m.hostFile.size[inode] = at + bytes.length;
  fileDirty(m, pfn);
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return 0;
}

/**
 * Writes to a file, which grows if need be. The host has it after writeback, or fsync.
 * @param buffer what to write, all of it @param position byte of the file, or AT_END
 * @returns bytes written, fewer when memory or tables ran out on the way; EINVAL, ENOMEM, EIO for a
 *   page that could not be read first, ENOSPC, EINTR when the process is being killed
 * @context the caller has the inode, no lock held; may block, read and reclaim, and waits while too
 *   much is dirty
 */
export function fileWrite(m: Mm, inode: number, buffer: Uint8Array, position: number): number {
  if (position !== AT_END && !validRange(position, buffer.length)) return EINVAL;
  const base = inode * RWSEM_WORDS;
  rwsemDownWrite(m.iRwsem, base, LC_I_RWSEM);
  const start = position === AT_END ? fileSize(m, inode) : position;
  const grows = start + buffer.length > fileSize(m, inode);
  let done = 0;
  let error = validRange(start, buffer.length) ? 0 : EINVAL;
  if (error === 0 && grows) error = beforeGrowth(m, inode, start);
  while (done < buffer.length && error === 0) {
    const at = start + done;
    const bytes = Math.min(PAGE_SIZE - (at % PAGE_SIZE), buffer.length - done);
    error = writePage(m, inode, at, buffer.subarray(done, done + bytes));
    if (error === 0) done += bytes;
    if (fatalSignalPending(m)) error = EINTR;
    balanceDirtyPages(m);
    condResched();
  }
  rwsemUpWrite(m.iRwsem, base, LC_I_RWSEM);
  payForHigh(m);
  fileWrote.end = start + done;
  return done > 0 ? done : error;
}

/**
 * Cuts a file, or lets it grow by zeroes.
 * @returns 0, EINVAL, ENOSPC, EIO @context as fileWrite
 */
export function fileTruncate(m: Mm, inode: number, size: number): number {
  if (!validRange(size, 0)) return EINVAL;
  const base = inode * RWSEM_WORDS;
  rwsemDownWrite(m.iRwsem, base, LC_I_RWSEM);
  const error = truncateFile(m, inode, size);
  rwsemUpWrite(m.iRwsem, base, LC_I_RWSEM);
  return error;
}

/** The error count that the last `fileFsync` has told of. Private to the thread. */
export const fileSynced = { errors: 0 };

/** The host's part of an fsync. What it fails with concerns everybody who has the file open. */
function syncHost(m: Mm, inode: number): number {
  const error = hostFsync((m.hostFile.fd[inode] as number) - 1);
  if (error < 0) Atomics.add(m.hostFile.wbErr, inode, 1);
  return error;
}

/**
 * Waits until the host has all that was written to a file, on its disk.
 * @param seen the file's error count as this open file knew it (errseq_t)
 * @returns 0, or EIO when a write failed now or since then: what could not be written is dirty
 *   again, and is tried again by the next call. `fileSynced` has the count to ask with then
 * @context the caller has the inode, no lock held; may block
 */
export function fileFsync(m: Mm, inode: number, seen: number): number {
  return fileFsyncRange(m, inode, 0, LAST_PAGE, seen);
}

/** As `fileFsync`, of pages `first` to `last`, included. */
export function fileFsyncRange(
  m: Mm,
  inode: number,
  first: number,
  last: number,
  seen: number,
): number {
  const error = writeFilePages(m, inode, first, last, true) || syncHost(m, inode);
  // Read once: a write that fails after this is for the next call to tell of.
  fileSynced.errors = fileErrors(m, inode);
  if (error < 0) return error;
  return fileSynced.errors === seen ? 0 : EIO;
}

/** @returns the file's error count: what an open file compares with at fsync @context any */
export function fileErrors(m: Mm, inode: number): number {
  return Atomics.load(m.hostFile.wbErr, inode);
}
