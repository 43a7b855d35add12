// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writing dirty pages of a file to the host (mm/page-writeback.c, write_cache_pages).
 *
 *   choose     what is dirty now gets the mark TOWRITE: pages dirtied later are for a later pass
 *   prepare    lock; write-protect where it is mapped; PG_DIRTY -> PG_WRITEBACK; unlock
 *   write      wait until no CPU stores to them; one write of the host for a run of pages, once
 *              many more are prepared
 *   end        failed: dirty again, and the file's error count says so; wake who waits
 *
 * The bytes do not change while they are written: stores fault, and then wait for the end of
 * writeback, as writers do.
 */
import { faultDelay } from '../../shared/fault.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { EIO } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileClearDirty, fileDirty } from './file_dirty.ts';
import {
  folioEndWriteback,
  folioLock,
  folioNid,
  folioPages,
  folioSet,
  folioTest,
  folioTestClear,
  folioTryLock,
  folioUnlock,
  folioWaitWriteback,
  pageFolio,
} from './folio.ts';
import { hostWrite } from './host_io.ts';
import { PAGE_SIZE } from './limits.ts';
import { rotateReclaimable } from './lru_rotate.ts';
import { folioInMapping, mappingGet, XA_NONE } from './mapping.ts';
import {
  fileClearMarks,
  fileMarkToWrite,
  fileMarkWriteback,
  fileNextMarked,
  MARK_TOWRITE,
  MARK_WRITEBACK,
} from './mapping_file.ts';
import type { Mm } from './mm.ts';
import { PG_RECLAIM, PG_WRITEBACK } from './mm_types.ts';
import { wakeDirtyWaiters } from './page_writeback.ts';
import { fileMkclean } from './rmap_file.ts';
import { folioPut } from './swap.ts';
import { reclaimUnthrottle } from './throttle.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';
import { EV } from './vmstat_items.ts';

/** Pages of one write of the host; a larger folio is one write. */
const RUN_MAX = 64;
/**
 * Pages that a pass has in writeback at once. A writer fills a disk's queue much faster than the
 * disk empties it: reclaim meets what is dirty in writeback, and gets it back when it is written.
 */
const UNDER_WAY_MAX = 2048;

/** Adds to a counter of this thread. */
function count(m: Mm, event: number, by: number): void {
  m.task.events[event] = (m.task.events[event] as number) + by;
}

/** Ends the writeback of one folio. @context PG_WRITEBACK is ours, a reference held */
function endWriteback(m: Mm, pfn: number, error: number): void {
  const pages = folioPages(m, pfn);
  if (error < 0) {
    fileDirty(m, pfn);
    count(m, EV.kr_file_write_error, pages);
  } else {
    count(m, EV.nr_written, pages);
    count(m, EV.kr_file_written, pages);
    count(m, EV.pgpgout, 4 * pages);
  }
  fileClearMarks(m, pfn, [MARK_WRITEBACK]);
  const rotate = folioTestClear(m, pfn, PG_RECLAIM);
  folioEndWriteback(m, pfn);
  if (rotate) rotateReclaimable(m, pfn);
}

/**
 * From dirty to being written, if it is dirty. The CPUs to wait for are added to `unmapOut`.
 * @returns whether it is ours to write now
 * @context folio locked, in its file, not in writeback
 */
function startWriteback(m: Mm, pfn: number): boolean {
  if (fileMkclean(m, pfn)) fileDirty(m, pfn);
  if (!fileClearDirty(m, pfn)) {
    fileClearMarks(m, pfn, [MARK_TOWRITE]);
    return false;
  }
  folioSet(m, pfn, PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), folioPages(m, pfn));
  fileMarkWriteback(m, pfn);
  return true;
}

/**
 * Writes folios that are in writeback, neighbours, and ends it.
 * @returns 0 or an errno @context references held; no lock but perhaps none of these folios'
 */
function submitRun(m: Mm, inode: number, first: number, run: readonly number[]): number {
  if (unmapOut.cpuMask !== 0) tlbFlush(m, unmapOut.cpuMask);
  unmapOut.cpuMask = 0;
  faultDelay(FAULT_DELAY);
  const at = first * PAGE_SIZE;
  // The file may have been cut since: what lies beyond its end is nobody's.
  let left = Math.max((m.hostFile.size[inode] as number) - at, 0);
  const views: Uint8Array[] = [];
  for (const pfn of run) {
    const end = pfn + folioPages(m, pfn);
    for (let page = pfn; page < end; page++) {
      const bytes = Math.min(left, PAGE_SIZE);
      if (bytes > 0) views.push(pageBytes(m, page).subarray(0, bytes));
      left -= bytes;
    }
  }
  const fd = (m.hostFile.fd[inode] as number) - 1;
  const error = views.length === 0 ? 0 : hostWrite(fd, views, at);
  if (error < 0) Atomics.add(m.hostFile.wbErr, inode, 1);
  for (const pfn of run) endWriteback(m, pfn, error);
  for (const pfn of run) reclaimUnthrottle(m, folioNid(m, pfn));
  wakeDirtyWaiters(m);
  return error;
}

/** Is a locked page of the pass the file's? @returns false when no more; then its folio is put */
function stillThere(m: Mm, page: number, inode: number, index: number): boolean {
  if (folioInMapping(m, page, inode, index)) return true;
  const pfn = pageFolio(m, page);
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return false;
}

/** Neighbours that are in writeback, and will be written at once. */
interface Run {
  readonly first: number;
  readonly pfns: number[];
  pages: number;
}

/** What one pass has begun and the host does not have yet: the oldest first. */
interface Pass {
  readonly runs: Run[];
  pages: number;
  error: number;
}

/** Writes the oldest run of a pass. */
function writeOldest(m: Mm, inode: number, pass: Pass): void {
  const { first, pfns, pages } = pass.runs.shift() as Run;
  pass.pages -= pages;
  const error = submitRun(m, inode, first, pfns);
  if (pass.error === 0) pass.error = error;
  for (const pfn of pfns) folioPut(m, pfn);
}

/** Writes all that a pass has begun. */
function writeBegun(m: Mm, inode: number, pass: Pass): void {
  while (pass.runs.length > 0) writeOldest(m, inode, pass);
}

/** A folio is in writeback: the last run takes it, or a new one begins. */
function addToPass(m: Mm, pass: Pass, pfn: number): void {
  const index = m.page.index[pfn] as number;
  const pages = folioPages(m, pfn);
  const run = pass.runs.at(-1);
  const next = run !== undefined && run.pages + pages <= RUN_MAX;
  if (next && index === run.first + run.pages) {
    run.pfns.push(pfn);
    run.pages += pages;
  } else pass.runs.push({ first: index, pfns: [pfn], pages });
  pass.pages += pages;
}

/** One page of the pass, and with it all of its folio. */
function writeOne(m: Mm, inode: number, index: number, pass: Pass, wait: boolean): void {
  while (pass.pages >= UNDER_WAY_MAX) writeOldest(m, inode, pass);
  const page = mappingGet(m, inode, index);
  if (page <= 0) return;
  const pfn = pageFolio(m, page);
  if (!folioTryLock(m, pfn)) {
    // Whoever has it may wait for what we have begun.
    writeBegun(m, inode, pass);
    folioLock(m, pfn);
  }
  if (!stillThere(m, page, inode, index)) return;
  if (folioTest(m, pfn, PG_WRITEBACK)) {
    if (wait) {
      writeBegun(m, inode, pass);
      folioWaitWriteback(m, pfn);
    } else {
      // The mark stays: it may be that of an fsync, which waits for its turn to write the page.
      folioUnlock(m, pfn);
      folioPut(m, pfn);
      return;
    }
  }
  const ours = startWriteback(m, pfn);
  folioUnlock(m, pfn);
  if (ours) addToPass(m, pass, pfn);
  else folioPut(m, pfn);
}

/**
 * Writes what is dirty of a range of a file.
 * @param first page @param last page, included @param wait also for what others are writing: fsync
 * @returns 0, or the first error; what could not be written is dirty again
 * @context the caller has the inode; no folio locked; takes folio locks, i_mmap_rwsem; may block
 */
export function writeFilePages(
  m: Mm,
  inode: number,
  first: number,
  last: number,
  wait: boolean,
): number {
  const pass: Pass = { runs: [], pages: 0, error: 0 };
  unmapOut.cpuMask = 0;
  fileMarkToWrite(m, inode, first, last);
  for (let at = first; at <= last; at++) {
    at = fileNextMarked(m, inode, at, MARK_TOWRITE);
    if (at === XA_NONE || at > last) break;
    writeOne(m, inode, at, pass, wait);
    if (pass.pages === 0) condResched();
  }
  writeBegun(m, inode, pass);
  if (wait) waitForWriteback(m, inode, first, last);
  return pass.error;
}

/** Waits for what others are writing. */
function waitForWriteback(m: Mm, inode: number, first: number, last: number): void {
  for (let at = first; at <= last; at++) {
    at = fileNextMarked(m, inode, at, MARK_WRITEBACK);
    if (at === XA_NONE || at > last) return;
    const page = mappingGet(m, inode, at);
    if (page <= 0) continue;
    const pfn = pageFolio(m, page);
    folioWaitWriteback(m, pfn);
    folioPut(m, pfn);
  }
}

/**
 * Writes one folio that reclaim wants to be rid of (pageout); kswapd alone may.
 * @returns 0, or EIO when it is still dirty; the folio is unlocked either way
 * @context folio locked, isolated, unmapped, in its file, dirty; may block
 */
export function filePageout(m: Mm, pfn: number): number {
  const inode = -(m.page.mapping[pfn] as number);
  const index = m.page.index[pfn] as number;
  // Unmapped, and its batch flushed: there is nobody to wait for.
  unmapOut.cpuMask = 0;
  const ours = startWriteback(m, pfn);
  folioUnlock(m, pfn);
  return ours ? submitRun(m, inode, index, [pfn]) : EIO;
}
