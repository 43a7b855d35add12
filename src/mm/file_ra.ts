// SPDX-License-Identifier: GPL-2.0-only
/**
 * How far to read ahead (mm/readahead.c): windows that grow while a reader goes on, started early
 * by the page that carries PG_READAHEAD. Who reads a page is filemap.ts.
 *
 *   miss at the start, or after the last page read   a new window, by what is asked for
 *   hit of the marked page                           the next one, two to four times as large
 *   any other miss                                   what is asked for
 */
import { PAGE_SIZE } from './limits.ts';
import type { Mm } from './mm.ts';
import { VM_HUGEPAGE, VM_RAND_READ, VM_SEQ_READ } from './mm_types.ts';

/** What one reader has read so far (struct file_ra_state). Private to the thread, or a copy. */
export interface FileRa {
  /** First page of the window. */
  start: number;
  /** Its pages; 0 for none yet. */
  size: number;
  /** Pages of it that are left when the next one is started. */
  asyncSize: number;
  /** Misses of faults, less their hits. */
  mmapMiss: number;
  /** The page read last, -1 for none. */
  prev: number;
}

/** @returns a reader that has read nothing */
export function newFileRa(): FileRa {
  return { start: 0, size: 0, asyncSize: 0, mmapMiss: 0, prev: -1 };
}

/** Pages to read, and which of them gets the mark. */
export interface RaWindow {
  readonly start: number;
  readonly pages: number;
  /** Pages from the end at which the mark is; 0 for no mark. */
  readonly asyncSize: number;
  /** Order of its folios, as far as they fit; not given for single pages. */
  readonly order?: number;
}

/** Faults stop reading around after so many misses more than hits (MMAP_LOTSAMISS). */
const MMAP_LOTSAMISS = 100;

/** @returns the largest window, in pages; 0 when nothing is read ahead */
export function raPages(m: Mm): number {
  return Math.floor((m.config.readAheadKb * 1024) / PAGE_SIZE);
}

/** @returns the smallest power of two that is at least `n` */
function roundUpPow2(n: number): number {
  return n <= 1 ? 1 : 2 ** (32 - Math.clz32(n - 1));
}

/** First window for a request (get_init_ra_size). Pure. */
export function initialRaPages(request: number, most: number): number {
  const size = roundUpPow2(request);
  if (size <= most / 32) return size * 4;
  return size <= most / 4 ? size * 2 : most;
}

/** Window after one of `size` (get_next_ra_size). Pure. */
export function nextRaPages(size: number, most: number): number {
  if (size < most / 16) return size * 4;
  return size <= most / 2 ? size * 2 : most;
}

function windowOf(ra: FileRa): RaWindow {
  return { start: ra.start, pages: ra.size, asyncSize: ra.asyncSize };
}

/** What each window adds to the order of the folio that started it (page_cache_async_ra). */
const ORDER_STEP = 2;

/**
 * Order of the folios of a window (page_cache_ra_order): it grows from window to window, and none
 * is larger than the window.
 * @param last order of the folio that started the window @returns 0 where files have single pages
 */
export function raOrder(m: Mm, last: number, pages: number): number {
  const most = Math.min(m.config.fileLargeFolios ?? 0, 31 - Math.clz32(pages));
  return Math.min(last + ORDER_STEP, most);
}

/**
 * A page is missing (page_cache_sync_ra).
 * @param request pages that the reader wants from `index` on, at least 1
 */
export function raSync(m: Mm, ra: FileRa, index: number, request: number): RaWindow {
  const most = raPages(m);
  if (most === 0) return { start: index, pages: 1, asyncSize: 0 };
  const sequential = index === 0 || index - ra.prev === 1 || index === ra.prev;
  if (!sequential && request <= most) return { start: index, pages: request, asyncSize: 0 };
  ra.start = index;
  ra.size = initialRaPages(request, most);
  ra.asyncSize = ra.size > request ? ra.size - request : ra.size;
  return windowOf(ra);
}

/** A window ends where a folio of its order may end: so the next one begins with a large one. */
function alignEnd(ra: FileRa, order: number): void {
  const end = ra.start + ra.size;
  const aligned = end - (end % 2 ** order);
  if (aligned > ra.start) ra.size = aligned - ra.start;
}

/**
 * The marked folio is used (page_cache_async_ra).
 * @param index its first page
 * @param hole first page from `index` on that is not cached, at most a window away; -1 for none
 * @param order of the folio
 */
export function raAsync(
  m: Mm,
  ra: FileRa,
  index: number,
  hole: number,
  order = 0,
): RaWindow | null {
  const most = raPages(m);
  if (most === 0) return null;
  const mark = ra.start + ra.size - ra.asyncSize;
  const marked = index === mark - (mark % (1 << order));
  if (ra.size > 0 && (marked || index === ra.start + ra.size)) {
    ra.start += ra.size;
    ra.size = nextRaPages(ra.size, most);
  } else {
    // Somebody else's window, or one that was forgotten: what it had read tells its size.
    if (hole < 0 || hole - index > most) return null;
    ra.start = hole;
    ra.size = nextRaPages(hole - index + 1, most);
  }
  const next = raOrder(m, order, ra.size);
  if (next > 0) alignEnd(ra, next);
  ra.asyncSize = ra.size;
  return next === 0 ? windowOf(ra) : { ...windowOf(ra), order: next };
}

function hasLarge(m: Mm): boolean {
  return (m.config.fileLargeFolios ?? 0) > 0;
}

/** A fault in a VMA that wants large folios misses. One folio where accesses are random. */
function raHuge(m: Mm, ra: FileRa, index: number, vmFlags: number): RaWindow {
  const order = m.config.fileLargeFolios ?? 0;
  const pages = 2 ** order;
  const random = (vmFlags & VM_RAND_READ) !== 0;
  ra.start = index - (index % pages);
  ra.size = random ? pages : 2 * pages;
  ra.asyncSize = random ? 0 : pages;
  return { ...windowOf(ra), order };
}

/**
 * A fault misses (do_sync_mmap_readahead): reads around the page, unless that has been in vain.
 * @param vmFlags of the VMA: VM_HUGEPAGE wants two folios of the largest order, the page in the
 *   first one; VM_SEQ_READ a reader's window; of VM_RAND_READ nothing helps
 */
export function raFault(m: Mm, ra: FileRa, index: number, vmFlags: number): RaWindow {
  const most = raPages(m);
  const one = { start: index, pages: 1, asyncSize: 0 };
  if ((vmFlags & VM_HUGEPAGE) !== 0 && hasLarge(m)) return raHuge(m, ra, index, vmFlags);
  if ((vmFlags & VM_RAND_READ) !== 0 || most === 0) return one;
  if ((vmFlags & VM_SEQ_READ) !== 0) return raSync(m, ra, index, most);
  if (ra.mmapMiss < MMAP_LOTSAMISS * 10) ra.mmapMiss++;
  if (ra.mmapMiss > MMAP_LOTSAMISS) return one;
  ra.start = Math.max(index - Math.floor(most / 2), 0);
  ra.size = most;
  ra.asyncSize = Math.floor(most / 4);
  return windowOf(ra);
}
