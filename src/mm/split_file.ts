// SPDX-License-Identifier: GPL-2.0-only
/**
 * Taking a large folio of a file apart (mm/huge_memory.c, split_huge_page_to_list for page cache).
 *
 *   unmap all, wait for CPUs -> i_pages: freeze the count at what is known; entries name the pages
 *   already, and keep their marks; each tail a folio of its own, locked -> unlock, drop references
 *
 * It is not mapped again: the next access faults. Pages behind the end of the file, which
 * truncation could not split off, leave the file.
 */
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { countDirty } from './file_dirty.ts';
import { filePageCount } from './file_pages.ts';
import {
  folioClear,
  folioLruvec,
  folioNid,
  folioOrder,
  folioPages,
  folioRefFreeze,
  folioTest,
} from './folio.ts';
import { lruLock, lruUnlock } from './lruvec.ts';
import { addCounts, iPagesLock, iPagesUnlock, tablesOf } from './mapping.ts';
import { munlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_MLOCKED, PG_WRITEBACK } from './mm_types.ts';
import { folioMapcount } from './rmap.ts';
import { fileTryToUnmap } from './rmap_file.ts';
import { divideFolio, releaseTails } from './split_divide.ts';
import { forgetLarge } from './swap.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';

/**
 * Takes every entry that maps the folio away, and waits until no CPU uses one.
 * @context folio locked, referenced, in a file; takes i_mmap_rwsem, ptl, i_pages; may block
 */
export function fileUnmapAll(m: Mm, pfn: number): void {
  const before = unmapOut.cpuMask;
  unmapOut.cpuMask = 0;
  while (!fileTryToUnmap(m, pfn, false));
  if (unmapOut.cpuMask !== 0) tlbFlush(m, unmapOut.cpuMask);
  unmapOut.cpuMask = before;
  // Whichever VMA wanted that: reclaim sees it again.
  if (folioTest(m, pfn, PG_MLOCKED)) munlockFolio(m, pfn);
}

/**
 * Pages from one on leave the file, with what is dirty of them.
 * @param kept pages of the folio that stay @context frozen; i_pages held
 */
function dropBehind(m: Mm, pfn: number, inode: number, kept: number): void {
  const dropped = folioPages(m, pfn) - kept;
  if (dropped === 0) return;
  const { pages } = tablesOf(m, inode);
  for (let page = pfn + kept; page < pfn + kept + dropped; page++) {
    pages.erase(m.page.index[page] as number);
    m.page.mapping[page] = 0;
  }
  addCounts(m, inode, -dropped, 0);
  Atomics.sub(m.fileInfo, 0, dropped);
  Atomics.sub(m.node.filePages, folioNid(m, pfn), dropped);
  if (folioTest(m, pfn, PG_DIRTY)) countDirty(m, pfn, inode, -dropped);
}

/** Freezes the folio and divides it. @returns false when somebody holds it */
function freezeAndDivide(m: Mm, pfn: number, isolated: boolean): boolean {
  const inode = -(m.page.mapping[pfn] as number);
  const pages = folioPages(m, pfn);
  iPagesLock(m, inode);
  const frozen = folioRefFreeze(m, pfn, 1 + pages);
  if (frozen) {
    const end = filePageCount(m.hostFile.size[inode] as number);
    // One that begins behind the end waits for truncation, which takes it as it is.
    const inFile = end - (m.page.index[pfn] as number);
    const kept = inFile > 0 ? Math.min(inFile, pages) : pages;
    forgetLarge(m, pfn, folioOrder(m, pfn));
    dropBehind(m, pfn, inode, kept);
    const lruvec = folioLruvec(m, pfn);
    if (!isolated) lruLock(m, lruvec);
    divideFolio(m, pfn, !isolated, kept);
    if (!isolated) lruUnlock(m, lruvec);
    for (let page = pfn + kept; page < pfn + pages; page++) folioClear(m, page, PG_DIRTY);
  }
  iPagesUnlock(m, inode);
  return frozen;
}

/**
 * Splits a large folio of a file.
 * @param pfn its head, which stays locked and referenced
 * @param tails as splitFolio
 * @returns false when somebody holds the folio, or writes it: then it is whole, perhaps unmapped
 * @context as splitFolio; the folio is in a file of the host
 */
export function splitFile(m: Mm, pfn: number, tails: number[] | null): boolean {
  const pages = folioPages(m, pfn);
  if (folioTest(m, pfn, PG_WRITEBACK)) return false;
  // A hint that saves the walks: what is held now is not frozen.
  const known = 1 + pages + folioMapcount(m, pfn);
  if (Atomics.load(m.page.refcount, pfn) !== known) return false;
  fileUnmapAll(m, pfn);
  faultDelay(FAULT_DELAY);
  const done = !shouldFail(FAULT_TRYLOCK) && freezeAndDivide(m, pfn, tails !== null);
  faultDelay(FAULT_DELAY);
  if (done) releaseTails(m, pfn, pages, tails);
  return done;
}
