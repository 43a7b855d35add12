// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writing dirty pages of a file to the host (mm/page-writeback.c, write_cache_pages).
 *
 *   choose     what is dirty now gets the mark TOWRITE: pages dirtied later are for a later pass
 *   prepare    lock; write-protect where it is mapped; PG_DIRTY -> PG_WRITEBACK; unlock
 *   write      wait until no CPU stores to them; one write of the host for a run of pages
 *   end        failed: dirty again, and the file's error count says so; wake who waits
 *
 * The bytes do not change while they are written: stores fault, and then wait for the end of
 * writeback, as writers do.
 */
import { bitWait } from '../../shared/bit_lock.ts';
import { faultDelay } from '../../shared/fault.ts';
import { listAddTail } from '../../shared/list.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { EIO } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { fileClearDirty, fileDirty } from './file_dirty.ts';
import {
  folioClear,
  folioEndWriteback,
  folioLock,
  folioLruvec,
  folioNid,
  folioSet,
  folioTest,
  folioTestClear,
  folioTryLock,
  folioUnlock,
} from './folio.ts';
import { hostWrite } from './host_io.ts';
import { PAGE_SIZE } from './limits.ts';
import { lruHead, lruLock, lruUnlock, lruvecDelFolioLocked, updateLruSize } from './lruvec.ts';
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
import {
  LRU_INACTIVE_FILE,
  PG_ACTIVE,
  PG_DIRTY,
  PG_LRU,
  PG_RECLAIM,
  PG_UNEVICTABLE,
  PG_WRITEBACK,
} from './mm_types.ts';
import { wakeDirtyWaiters } from './page_writeback.ts';
import { fileMkclean } from './rmap_file.ts';
import { folioPut } from './swap.ts';
import { reclaimUnthrottle } from './throttle.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';
import { EV } from './vmstat_items.ts';

/** Pages of one write of the host. */
const RUN_MAX = 64;

/** Waits until a page is not being written. @context a reference; may hold the folio lock */
export function folioWaitWriteback(m: Mm, pfn: number): void {
  if (folioTest(m, pfn, PG_WRITEBACK)) bitWait(m.page.flags, pfn, PG_WRITEBACK, m.folioWait, 0);
}

/** Reclaim wanted the page: it is the next to go (folio_rotate_reclaimable). */
function rotateReclaimable(m: Mm, pfn: number): void {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & (PG_DIRTY | PG_UNEVICTABLE)) !== 0 || !folioTestClear(m, pfn, PG_LRU)) return;
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
  folioClear(m, pfn, PG_ACTIVE);
  folioSet(m, pfn, PG_LRU);
  listAddTail(m.link.next, m.link.prev, pfn, lruHead(m, lruvec, LRU_INACTIVE_FILE));
  updateLruSize(m, lruvec, m.page.zone[pfn] as number, LRU_INACTIVE_FILE, 1);
  lruUnlock(m, lruvec);
  m.task.events[EV.pgrotated] = (m.task.events[EV.pgrotated] as number) + 1;
}

/** Ends the writeback of one page. @context PG_WRITEBACK is ours, a reference held */
function endWriteback(m: Mm, pfn: number, error: number): void {
  const { events } = m.task;
  if (error < 0) {
    fileDirty(m, pfn);
    events[EV.kr_file_write_error] = (events[EV.kr_file_write_error] as number) + 1;
  } else {
    events[EV.nr_written] = (events[EV.nr_written] as number) + 1;
    events[EV.kr_file_written] = (events[EV.kr_file_written] as number) + 1;
    events[EV.pgpgout] = (events[EV.pgpgout] as number) + 4;
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
  Atomics.add(m.node.writeback, folioNid(m, pfn), 1);
  fileMarkWriteback(m, pfn);
  return true;
}

/**
 * Writes pages that are in writeback, neighbours, and ends it.
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
    const bytes = Math.min(left, PAGE_SIZE);
    if (bytes > 0) views.push(pageBytes(m, pfn).subarray(0, bytes));
    left -= bytes;
  }
  const fd = (m.hostFile.fd[inode] as number) - 1;
  const error = views.length === 0 ? 0 : hostWrite(fd, views, at);
  if (error < 0) Atomics.add(m.hostFile.wbErr, inode, 1);
  for (const pfn of run) endWriteback(m, pfn, error);
  for (const pfn of run) reclaimUnthrottle(m, folioNid(m, pfn));
  wakeDirtyWaiters(m);
  return error;
}

/** Locks a page of the pass. @returns false when it is the file's no more; then it is put */
function lockForWrite(m: Mm, pfn: number, inode: number, index: number): boolean {
  if (folioInMapping(m, pfn, inode, index)) return true;
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return false;
}

/** Pages of the pass that are in writeback and not submitted yet. */
interface Run {
  first: number;
  readonly pfns: number[];
  error: number;
}

function submit(m: Mm, inode: number, run: Run): void {
  if (run.pfns.length === 0) return;
  const error = submitRun(m, inode, run.first, run.pfns);
  if (run.error === 0) run.error = error;
  for (const pfn of run.pfns) folioPut(m, pfn);
  run.pfns.length = 0;
}

/** One page of the pass. */
function writeOne(m: Mm, inode: number, index: number, run: Run, wait: boolean): void {
  if (run.pfns.length === RUN_MAX || index !== run.first + run.pfns.length) submit(m, inode, run);
  const pfn = mappingGet(m, inode, index);
  if (pfn <= 0) return;
  if (!folioTryLock(m, pfn)) {
    // Whoever has it may wait for what we have begun.
    submit(m, inode, run);
    folioLock(m, pfn);
  }
  if (!lockForWrite(m, pfn, inode, index)) return;
  if (folioTest(m, pfn, PG_WRITEBACK)) {
    if (wait) {
      submit(m, inode, run);
      folioWaitWriteback(m, pfn);
    } else {
      fileClearMarks(m, pfn, [MARK_TOWRITE]);
      folioUnlock(m, pfn);
      folioPut(m, pfn);
      return;
    }
  }
  const ours = startWriteback(m, pfn);
  folioUnlock(m, pfn);
  if (!ours) {
    folioPut(m, pfn);
    return;
  }
  if (run.pfns.length === 0) run.first = index;
  run.pfns.push(pfn);
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
  const run: Run = { first: 0, pfns: [], error: 0 };
  unmapOut.cpuMask = 0;
  fileMarkToWrite(m, inode, first, last);
  for (let at = first; at <= last; at++) {
    at = fileNextMarked(m, inode, at, MARK_TOWRITE);
    if (at === XA_NONE || at > last) break;
    writeOne(m, inode, at, run, wait);
    if (run.pfns.length === 0) condResched();
  }
  submit(m, inode, run);
  if (wait) waitForWriteback(m, inode, first, last);
  return run.error;
}

/** Waits for what others are writing. */
function waitForWriteback(m: Mm, inode: number, first: number, last: number): void {
  for (let at = first; at <= last; at++) {
    at = fileNextMarked(m, inode, at, MARK_WRITEBACK);
    if (at === XA_NONE || at > last) return;
    const pfn = mappingGet(m, inode, at);
    if (pfn <= 0) continue;
    folioWaitWriteback(m, pfn);
    folioPut(m, pfn);
  }
}

/**
 * Writes one page that reclaim wants to be rid of (pageout); kswapd alone may.
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
