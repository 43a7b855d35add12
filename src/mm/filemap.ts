// SPDX-License-Identifier: GPL-2.0-only
/**
 * The page cache of a file of the host: finding a page, reading it if need be (mm/filemap.c).
 *
 * Whoever gets a page here has a reference on its folio; it stays the file's only while that is
 * locked, or mapped. A page that carries PG_READAHEAD starts the next window when it is used.
 */
import { faultDelay } from '../../shared/fault.ts';
import { EEXIST, EIO, ENOSPC } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { filePageCount } from './file_pages.ts';
import { type FileRa, type RaWindow, raAsync, raPages, raSync } from './file_ra.ts';
import {
  folioLock,
  folioOrder,
  folioTest,
  folioTestClear,
  folioUnlock,
  pageFolio,
} from './folio.ts';
import { folioInMapping, mappingGet, mappingPeek } from './mapping.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_UPTODATE } from './mm_types.ts';
import { readPages } from './readahead.ts';
import { folioPut } from './swap.ts';

/** Reads that fail, or come for nothing as the page goes again at once, before it is an error. */
const TRIES_MAX = 64;

/**
 * Did the last `fileGetPage` read from the host? And pages that were missed so far. Private to the
 * thread.
 */
export const fileGot = { major: false, misses: 0 };

/** First page from `index` on that is not cached, at most `most` away; -1 for none. */
function nextMiss(m: Mm, inode: number, index: number, most: number): number {
  for (let at = index; at <= index + most; at++) {
    if (mappingPeek(m, inode, at) <= 0) return at;
  }
  return -1;
}

/** Starts the next window if this folio says so. @context the caller has a reference; not locked */
function fileReadaheadHit(m: Mm, inode: number, pfn: number, ra: FileRa): void {
  if (!folioTest(m, pfn, PG_READAHEAD) || !folioTestClear(m, pfn, PG_READAHEAD)) return;
  const index = m.page.index[pfn] as number;
  const order = folioOrder(m, pfn);
  const window = raAsync(m, ra, index, nextMiss(m, inode, index, raPages(m)), order);
  // What it could not read is read when it is wanted.
  if (window !== null) readPages(m, inode, window);
}

/**
 * A page of a file, up to date.
 * @param ra what this reader has read so far @param first window to read when the page is missing
 * @returns its pfn with a reference on its folio, not locked; 0 beyond the end of the file; ENOMEM,
 *   EIO, ENOSPC
 * @context the caller has the inode; no folio locked; may block, read and reclaim
 */
export function fileGetPage(
  m: Mm,
  inode: number,
  index: number,
  ra: FileRa,
  first: () => RaWindow,
): number {
  fileGot.major = false;
  let error = EIO;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (index >= filePageCount(m.hostFile.size[inode] as number)) return 0;
    const page = mappingGet(m, inode, index);
    if (page > 0) {
      const pfn = pageFolio(m, page);
      fileReadaheadHit(m, inode, pfn, ra);
      if (folioTest(m, pfn, PG_UPTODATE)) return page;
      // Being read: its reader has it locked until it is up to date, or gone.
      folioLock(m, pfn);
      const good = folioTest(m, pfn, PG_UPTODATE) && folioInMapping(m, page, inode, index);
      folioUnlock(m, pfn);
      if (good) return page;
      folioPut(m, pfn);
      continue;
    }
    if (!fileGot.major) fileGot.misses++;
    fileGot.major = true;
    const window = tries === 0 ? first() : { start: index, pages: 1, asyncSize: 0 };
    faultDelay(FAULT_DELAY);
    error = readPages(m, inode, window);
    if (error < 0 && error !== EEXIST && window.pages === 1 && tries > 0) return error;
  }
  return error < 0 ? error : ENOSPC;
}

/**
 * As `fileGetPage`, for a reader.
 * @param request pages that it wants from `index` on
 */
export function fileReadPage(
  m: Mm,
  inode: number,
  index: number,
  ra: FileRa,
  request: number,
): number {
  const pfn = fileGetPage(m, inode, index, ra, () => raSync(m, ra, index, request));
  ra.prev = index;
  return pfn;
}
