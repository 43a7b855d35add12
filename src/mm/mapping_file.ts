// SPDX-License-Identifier: GPL-2.0-only
/**
 * The page table of a file of the host: mapping.ts's, with other entries (mm/filemap.c).
 *
 *   entry      the page is                           who holds what
 *   0          on the host                            -
 *   pfn        cached; page.mapping = -inode          the entry holds a reference on the folio
 *   negative   on the host; it was here (a shadow)    -
 *
 * Marks say which pages are dirty, being written, and to be written by the pass that runs
 * (PAGECACHE_TAG_*). An entry is dirty if its folio is; that the mark is right is settled under
 * i_pages, by whoever comes second. A large folio has an entry, a reference and marks for each of
 * its pages; functions take its head.
 *
 * Shadows take room as pages do. When files may hold no more, those of the file itself go first.
 */

import { assert } from '../../shared/assert.ts';
import { EBUSY, EEXIST, ENOSPC } from './errno.ts';
import {
  folioNid,
  folioOrder,
  folioPages,
  folioRefFreeze,
  folioRefUnfreeze,
  folioTest,
} from './folio.ts';
import { addCounts, iPagesLock, iPagesUnlock, tablesOf, takeEntry, XA_NONE } from './mapping.ts';
import { fileAddLarge } from './mapping_large.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY } from './mm_types.ts';
import { fileShadow, packShadow } from './workingset_file.ts';

export const MARK_DIRTY = 0;
export const MARK_WRITEBACK = 1;
/** Of the dirty ones, those that a pass of the writer has chosen: later ones wait for the next. */
export const MARK_TOWRITE = 2;

const ALL_MARKS = [MARK_DIRTY, MARK_WRITEBACK, MARK_TOWRITE] as const;

/**
 * Puts a folio where the file has none (__filemap_add_folio). Each entry takes a reference; what
 * shadow was there is left in `fileShadow`.
 * @returns 0; EEXIST when there is one, ENOSPC when files may hold no more, EBUSY when every node
 *   is in use or waits for its grace period
 * @context folio locked, charged, in no file; takes i_pages
 */
export function fileAddFolio(m: Mm, pfn: number, inode: number, index: number): number {
  if (folioOrder(m, pfn) > 0) return fileAddLarge(m, pfn, inode, index);
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  const before = pages.load(index);
  let result = before > 0 ? EEXIST : 0;
  if (before === 0 && !takeEntry(m)) result = ENOSPC;
  if (result === 0) {
    m.page.index[pfn] = index;
    m.page.mapping[pfn] = -inode;
    // Before the entry: whoever finds the folio there finds it referenced.
    Atomics.add(m.page.refcount, pfn, 1);
    if (pages.store(index, pfn)) {
      addCounts(m, inode, 1, before < 0 ? -1 : 0);
      Atomics.add(m.node.filePages, folioNid(m, pfn), 1);
      fileShadow.entry = before;
    } else {
      Atomics.sub(m.page.refcount, pfn, 1);
      m.page.mapping[pfn] = 0;
      Atomics.sub(m.fileInfo, 0, 1);
      result = EBUSY;
    }
  }
  iPagesUnlock(m, inode);
  return result;
}

/** The folio is no file's any more. @context i_pages held */
function forget(m: Mm, pfn: number): void {
  const nr = folioPages(m, pfn);
  for (let page = pfn; page < pfn + nr; page++) m.page.mapping[page] = 0;
  Atomics.sub(m.node.filePages, folioNid(m, pfn), nr);
}

/** Entries of a folio become one shadow each, all the same. @context i_pages, the count frozen */
function leaveShadows(m: Mm, pfn: number, inode: number, targetMemcg: number): void {
  const { pages } = tablesOf(m, inode);
  const first = m.page.index[pfn] as number;
  const end = first + folioPages(m, pfn);
  for (let at = first; at < end; at++) {
    for (const mark of ALL_MARKS) pages.clearMark(at, mark);
  }
  const shadow = packShadow(m, pfn, targetMemcg);
  for (let at = first; at < end; at++) pages.store(at, shadow);
}

/** Takes the entries of a folio away. @context i_pages */
function eraseEntries(m: Mm, pfn: number, inode: number): void {
  const { pages } = tablesOf(m, inode);
  const first = m.page.index[pfn] as number;
  const nr = folioPages(m, pfn);
  for (let at = first; at < first + nr; at++) pages.erase(at);
  Atomics.sub(m.fileInfo, 0, nr);
}

/**
 * Reclaim's last step for a folio of a file: if nobody but the file and the caller hold it and it
 * is clean, takes it out (__remove_mapping).
 * @param targetMemcg whose age the shadow takes; -1 leaves no shadow
 * @returns whether the folio is the caller's now, with count 0
 * @context folio locked, one reference of the caller's, unmapped; takes i_pages
 */
export function fileRemoveFolio(m: Mm, pfn: number, targetMemcg: number): boolean {
  const inode = -(m.page.mapping[pfn] as number);
  const nr = folioPages(m, pfn);
  iPagesLock(m, inode);
  let removed = folioRefFreeze(m, pfn, 1 + nr);
  // The count first, the dirty bit second: a writer that had a reference may have dirtied it.
  if (removed && folioTest(m, pfn, PG_DIRTY)) {
    folioRefUnfreeze(m, pfn, 1 + nr);
    removed = false;
  }
  if (removed) {
    if (targetMemcg >= 0) leaveShadows(m, pfn, inode, targetMemcg);
    else eraseEntries(m, pfn, inode);
    addCounts(m, inode, -nr, targetMemcg >= 0 ? nr : 0);
    forget(m, pfn);
  }
  iPagesUnlock(m, inode);
  return removed;
}

/**
 * Gives a folio's place in its file to another, with its marks (folio_migrate_mapping).
 * @param dst locked, known to nobody
 * @param refs what the old one must have for it; then it is frozen
 * @returns false when somebody else holds the old one: nothing has changed
 * @context both locked, the old one in a file, unmapped, not in writeback; takes i_pages
 */
export function fileReplaceFolio(m: Mm, old: number, dst: number, refs: number): boolean {
  const inode = -(m.page.mapping[old] as number);
  const index = m.page.index[old] as number;
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  assert(pages.load(index) === old, 'a folio that is not where its mapping says');
  assert(folioOrder(m, old) === 0, 'a large folio moves page by page');
  const frozen = folioRefFreeze(m, old, refs);
  if (frozen) {
    m.page.index[dst] = index;
    m.page.mapping[dst] = -inode;
    // Before the entry: whoever finds the folio there finds it referenced.
    Atomics.add(m.page.refcount, dst, 1);
    const stored = pages.store(index, dst);
    assert(stored, 'replacing an entry takes no node');
    Atomics.add(m.node.filePages, folioNid(m, dst), 1);
    if (folioTest(m, old, PG_DIRTY)) {
      Atomics.sub(m.node.dirty, folioNid(m, old), 1);
      Atomics.add(m.node.dirty, folioNid(m, dst), 1);
    }
    forget(m, old);
  }
  iPagesUnlock(m, inode);
  return frozen;
}

/**
 * Takes a folio out of its file, whoever else holds it (__filemap_remove_folio). The entries'
 * references go: the caller's is still there.
 * @context folio locked, in a file, clean, unmapped, not in writeback; takes i_pages
 */
export function fileEraseFolio(m: Mm, pfn: number): void {
  const inode = -(m.page.mapping[pfn] as number);
  const nr = folioPages(m, pfn);
  iPagesLock(m, inode);
  eraseEntries(m, pfn, inode);
  addCounts(m, inode, -nr, 0);
  forget(m, pfn);
  iPagesUnlock(m, inode);
  Atomics.sub(m.page.refcount, pfn, nr);
}

/**
 * Forgets history: shadows of a file at or after a page.
 * @returns shadows that went
 * @context takes i_pages, for a node's worth at a time
 */
export function fileDropShadows(m: Mm, inode: number, start: number): number {
  const { pages } = tablesOf(m, inode);
  let dropped = 0;
  for (let at = start; at !== XA_NONE; ) {
    let left = 64;
    iPagesLock(m, inode);
    for (at = pages.next(at); at !== XA_NONE && left > 0; at = pages.next(at + 1), left--) {
      if (pages.load(at) >= 0) continue;
      pages.erase(at);
      addCounts(m, inode, 0, -1);
      Atomics.sub(m.fileInfo, 0, 1);
      dropped++;
    }
    iPagesUnlock(m, inode);
  }
  return dropped;
}

/** Marks the folio's entries, if it is still the file's. @context any; takes i_pages */
export function fileSetMark(m: Mm, pfn: number, inode: number, mark: number): void {
  iPagesLock(m, inode);
  if (m.page.mapping[pfn] === -inode) {
    const { pages } = tablesOf(m, inode);
    const first = m.page.index[pfn] as number;
    const end = first + folioPages(m, pfn);
    for (let at = first; at < end; at++) pages.setMark(at, mark);
  }
  iPagesUnlock(m, inode);
}

/**
 * Writeback of a folio begins: its marks say so, and that it is clean unless somebody dirtied it.
 * @context folio locked, in a file, PG_WRITEBACK just set; takes i_pages
 */
export function fileMarkWriteback(m: Mm, pfn: number): void {
  const inode = -(m.page.mapping[pfn] as number);
  const first = m.page.index[pfn] as number;
  const end = first + folioPages(m, pfn);
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  for (let at = first; at < end; at++) {
    pages.setMark(at, MARK_WRITEBACK);
    pages.clearMark(at, MARK_TOWRITE);
  }
  const clean = !folioTest(m, pfn, PG_DIRTY);
  for (let at = first; clean && at < end; at++) pages.clearMark(at, MARK_DIRTY);
  iPagesUnlock(m, inode);
}

/** Takes marks off the folio's entries. @context folio locked or in writeback; takes i_pages */
export function fileClearMarks(m: Mm, pfn: number, marks: readonly number[]): void {
  const inode = -(m.page.mapping[pfn] as number);
  const first = m.page.index[pfn] as number;
  const end = first + folioPages(m, pfn);
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  for (const mark of marks) {
    // Whoever dirtied it meanwhile set the flag before the mark: then the mark stays.
    if (mark === MARK_DIRTY && folioTest(m, pfn, PG_DIRTY)) continue;
    for (let at = first; at < end; at++) pages.clearMark(at, mark);
  }
  iPagesUnlock(m, inode);
}

/**
 * Chooses all that is dirty now for one pass of the writer (tag_pages_for_writeback).
 * @param first page @param last page, included
 * @context takes i_pages
 */
export function fileMarkToWrite(m: Mm, inode: number, first: number, last: number): void {
  const { pages } = tablesOf(m, inode);
  iPagesLock(m, inode);
  for (let at = pages.nextMarked(first, MARK_DIRTY); at !== XA_NONE && at <= last; ) {
    pages.setMark(at, MARK_TOWRITE);
    at = at >= 0xffffffff ? XA_NONE : pages.nextMarked(at + 1, MARK_DIRTY);
  }
  iPagesUnlock(m, inode);
}

/** @returns the first page at or after `start` that has a mark, or XA_NONE @context i_pages */
export function fileNextMarked(m: Mm, inode: number, start: number, mark: number): number {
  iPagesLock(m, inode);
  const at = tablesOf(m, inode).pages.nextMarked(start, mark);
  iPagesUnlock(m, inode);
  return at;
}

/** Marks of an entry, for walkers. @context quiescence */
export function fileMarks(
  m: Mm,
  inode: number,
  index: number,
): { dirty: boolean; writeback: boolean } {
  const { pages } = tablesOf(m, inode);
  return {
    dirty: pages.getMark(index, MARK_DIRTY),
    writeback: pages.getMark(index, MARK_WRITEBACK),
  };
}
