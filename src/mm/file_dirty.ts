// SPDX-License-Identifier: GPL-2.0-only
/**
 * Pages of files that the host does not have yet (mm/page-writeback.c): who dirties one, and who
 * cleans it, by PG_DIRTY; what the marks of its entry say follows.
 *
 *   dirty one     set PG_DIRTY, then the mark                  under i_pages, if it is in the file
 *   write it out  clear PG_DIRTY, then the mark unless it is dirty again
 */
import { folioNid, folioPages, folioTestClear, pageFolio } from './folio.ts';
import { fileClearMarks, fileSetMark, MARK_DIRTY, MARK_TOWRITE } from './mapping_file.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_RECLAIM, PG_SWAPBACKED } from './mm_types.ts';
import { EV } from './vmstat_items.ts';

/** @returns whether a page is one of a file of the host @context locked, else a hint */
export function folioOfHost(m: Mm, pfn: number): boolean {
  if ((m.page.mapping[pfn] as number) >= 0) return false;
  return (Atomics.load(m.page.flags, pfn) & PG_SWAPBACKED) === 0;
}

/** Counts dirty pages of a file, on the node of a folio. */
export function countDirty(m: Mm, pfn: number, inode: number, by: number): void {
  Atomics.add(m.node.dirty, folioNid(m, pfn), by);
  Atomics.add(m.hostFile.dirty, inode, by);
}

/**
 * Marks the folio of a page of a file dirty, all of it (filemap_dirty_folio).
 * @returns whether it was clean
 * @context the folio stays in its file: locked, in writeback, or mapped under ptl; takes i_pages
 */
export function fileDirty(m: Mm, page: number): boolean {
  const pfn = pageFolio(m, page);
  const before = Atomics.or(m.page.flags, pfn, PG_DIRTY);
  // Reclaim wanted it, before it was stored to again.
  if ((before & PG_RECLAIM) !== 0) Atomics.and(m.page.flags, pfn, ~PG_RECLAIM);
  if ((before & PG_DIRTY) !== 0) return false;
  const inode = -(m.page.mapping[pfn] as number);
  fileSetMark(m, pfn, inode, MARK_DIRTY);
  const nr = folioPages(m, pfn);
  countDirty(m, pfn, inode, nr);
  m.task.events[EV.nr_dirtied] = (m.task.events[EV.nr_dirtied] as number) + nr;
  return true;
}

/**
 * A folio is about to be written out: from here on a store makes it dirty anew.
 * @returns whether it was dirty
 * @context folio locked, in its file, its mappings write-protected
 */
export function fileClearDirty(m: Mm, pfn: number): boolean {
  if (!folioTestClear(m, pfn, PG_DIRTY)) return false;
  countDirty(m, pfn, -(m.page.mapping[pfn] as number), -folioPages(m, pfn));
  return true;
}

/** What is in the folio is wanted no more (folio_cancel_dirty). @context folio locked, unmapped */
export function fileCancelDirty(m: Mm, pfn: number): void {
  if (fileClearDirty(m, pfn)) fileClearMarks(m, pfn, [MARK_DIRTY, MARK_TOWRITE]);
}
