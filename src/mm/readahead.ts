// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading pages of a file into the cache (mm/readahead.c, page_cache_ra_unbounded): those of a
 * range that are missing, with one read of the host for each run of them.
 *
 * All memory is had before the first folio is locked. New folios are shown locked and not up to
 * date, so whoever finds one waits for its read. A read that fails takes its pages out of the cache
 * again: a page that is in it and unlocked is up to date.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { HELD_LOCKS_MAX } from '../../shared/limits.ts';
import { rcuBarrier } from '../../shared/rcu_callback.ts';
import { RWSEM_WORDS, rwsemDownRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { memcgCharge } from './charge.ts';
import { pageBytes } from './content.ts';
import { EBUSY, ENOMEM, ENOSPC } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { filePageCount } from './file_pages.ts';
import type { RaWindow } from './file_ra.ts';
import { makeFileRoom } from './file_room.ts';
import { folioPages, folioSet, folioTryLock, folioUnlock } from './folio.ts';
import { hostRead } from './host_io.ts';
import { PAGE_SIZE } from './limits.ts';
import { LC_INVALIDATE } from './lock_order.ts';
import { mappingPeek } from './mapping.ts';
import { fileAddFolio, fileEraseFolio } from './mapping_file.ts';
import { memcgRefresh } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_UPTODATE } from './mm_types.ts';
import { PFN_NONE } from './page_alloc.ts';
import { allocPages } from './page_alloc_slow.ts';
import { newFileFolio } from './readahead_order.ts';
import { discardNewPage, folioAddLru, folioPut } from './swap.ts';
import { homeNode } from './swapin.ts';
import { EV } from './vmstat_items.ts';
import { fileShadow, workingsetRefaultFile } from './workingset_file.ts';

/** Folios that are locked at once: a default window. */
const BATCH = 32;
assert(BATCH + 8 < HELD_LOCKS_MAX, 'lockdep remembers the locks of a batch, and those around it');

/** @context may block for truncation; outside folio locks */
export function invalidateLockShared(m: Mm, inode: number): void {
  rwsemDownRead(m.invalidateLock, inode * RWSEM_WORDS, LC_INVALIDATE);
}

/** Ends `invalidateLockShared`. @context who holds it */
export function invalidateUnlockShared(m: Mm, inode: number): void {
  rwsemUpRead(m.invalidateLock, inode * RWSEM_WORDS, LC_INVALIDATE);
}

/**
 * A page for a file, charged to this thread's group and known to nobody.
 * @returns its pfn, or ENOMEM @context may block and reclaim; no folio locked
 */
export function newFilePage(m: Mm): number {
  memcgRefresh(m, m.task.mm);
  const pfn = allocPages(m, homeNode(m), 0);
  if (pfn === PFN_NONE) return ENOMEM;
  if (memcgCharge(m, pfn, m.task.memcg)) return pfn;
  discardNewPage(m, pfn);
  return ENOMEM;
}

/**
 * Shows a new folio in a file: locked, not up to date.
 * @returns 0; otherwise the folio is gone: EEXIST when there is a page, ENOSPC, EBUSY
 * @context the folio is from newFilePage or newFileFolio
 */
export function showFilePage(m: Mm, pfn: number, inode: number, index: number): number {
  const locked = folioTryLock(m, pfn);
  assert(locked, 'a new folio is locked');
  faultDelay(FAULT_DELAY);
  const error = fileAddFolio(m, pfn, inode, index);
  if (error < 0) {
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return error;
  }
  workingsetRefaultFile(m, pfn, fileShadow.entry);
  folioAddLru(m, pfn);
  return 0;
}

/** Locked new folios of neighbouring indexes: filled by one read. */
function readRun(m: Mm, inode: number, first: number, run: readonly number[]): number {
  const fd = (m.hostFile.fd[inode] as number) - 1;
  const views: Uint8Array[] = [];
  for (const pfn of run) {
    const end = pfn + folioPages(m, pfn);
    for (let page = pfn; page < end; page++) views.push(pageBytes(m, page));
  }
  const error = hostRead(fd, views, first * PAGE_SIZE);
  const { events } = m.task;
  if (error === 0) events[EV.pgpgin] = (events[EV.pgpgin] as number) + 4 * views.length;
  for (const pfn of run) {
    if (error === 0) folioSet(m, pfn, PG_UPTODATE);
    else fileEraseFolio(m, pfn);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
  }
  return error;
}

/** Indexes of a range that are not cached, at most `most`. */
function missingPages(m: Mm, inode: number, first: number, end: number, most: number): number[] {
  const missing: number[] = [];
  for (let at = first; at < end && missing.length < most; at++) {
    if (mappingPeek(m, inode, at) <= 0) missing.push(at);
  }
  return missing;
}

/** What came of the last `readBatch`. Private to the thread. */
const batch = { error: 0, next: 0 };

/**
 * Allocates folios for missing pages.
 * @param missing indexes; on return the first ones are those of the first pages of the folios
 * @param order largest one to try @param end page behind the last one that is wanted
 * @returns the folios, BATCH at most: then `batch.next` is where to go on; `batch.error` says when
 *   memory ran out
 */
function allocFor(m: Mm, missing: number[], order: number, end: number): number[] {
  const folios: number[] = [];
  for (let i = 0; i < missing.length; ) {
    const index = missing[i] as number;
    if (folios.length === BATCH) {
      batch.next = index;
      break;
    }
    const large = order === 0 ? 0 : newFileFolio(m, missing, i, order, end);
    const pfn = large === 0 ? newFilePage(m) : large;
    if (pfn < 0) {
      batch.error = pfn;
      break;
    }
    // Never behind what is yet to be looked at.
    missing[folios.length] = index;
    folios.push(pfn);
    i += folioPages(m, pfn);
  }
  return folios;
}

/**
 * One batch: allocates, shows, reads. Leaves the next index and the first error in `batch`.
 * @param order of large folios, where they fit
 */
function readBatch(
  m: Mm,
  inode: number,
  first: number,
  end: number,
  marked: number,
  order: number,
): void {
  const most = Math.max(BATCH, 1 << order);
  const missing = missingPages(m, inode, first, end, most);
  batch.error = 0;
  batch.next = missing.length < most ? end : (missing[most - 1] as number) + 1;
  const folios = allocFor(m, missing, order, end);
  let run: number[] = [];
  let start = 0;
  let next = 0;
  const flush = (): void => {
    if (run.length === 0) return;
    const error = readRun(m, inode, start, run);
    if (batch.error === 0) batch.error = error;
    run = [];
  };
  folios.forEach((pfn, i) => {
    const index = missing[i] as number;
    const pages = folioPages(m, pfn);
    if (run.length > 0 && index !== next) flush();
    const error = showFilePage(m, pfn, inode, index);
    if (error < 0) {
      flush();
      if (batch.error === 0 && (error === ENOSPC || error === EBUSY)) batch.error = error;
      return;
    }
    if (marked >= index && marked < index + pages) folioSet(m, pfn, PG_READAHEAD);
    if (run.length === 0) start = index;
    run.push(pfn);
    next = index + pages;
  });
  flush();
}

/**
 * Reads the pages of a window that are missing, as far as the file goes.
 * @returns 0, or the first failure: ENOMEM, EIO, ENOSPC when files may hold no more. Then some of
 *   the pages may be there
 * @context the caller has the inode; no folio locked; takes invalidate_lock; may block and reclaim
 */
export function readPages(m: Mm, inode: number, window: RaWindow): number {
  let error = 0;
  const marked = window.asyncSize > 0 ? window.start + window.pages - window.asyncSize : -1;
  for (let at = window.start; error === 0; ) {
    invalidateLockShared(m, inode);
    const end = Math.min(
      window.start + window.pages,
      filePageCount(m.hostFile.size[inode] as number),
    );
    if (at < end) {
      readBatch(m, inode, at, end, marked, window.order ?? 0);
      error = batch.error;
      at = batch.next;
    }
    invalidateUnlockShared(m, inode);
    if (at >= end) break;
  }
  if (error === EBUSY) {
    rcuBarrier();
    return makeFileRoom(m, inode) ? 0 : ENOSPC;
  }
  if (error === ENOSPC && makeFileRoom(m, inode)) return 0;
  return error;
}
