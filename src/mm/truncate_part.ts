// SPDX-License-Identifier: GPL-2.0-only
/**
 * The large folio that the new end of a file lies in (mm/truncate.c,
 * truncate_inode_partial_folio): split, and what lies behind the end is gone. Where somebody holds
 * it for long, it stays whole: unmapped, and zero behind the end. What is there cannot be mapped
 * (`fileHasPage`), and is cleared again when the file grows.
 */
import { faultDelay } from '../../shared/fault.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioLock, folioPages, folioUnlock, folioWaitWriteback, pageFolio } from './folio.ts';
import { folioInMapping, mappingGet } from './mapping.ts';
import type { Mm } from './mm.ts';
import { splitFolio } from './split.ts';
import { fileUnmapAll } from './split_file.ts';
import { folioPut, lruAddDrainAll } from './swap.ts';

/** Times that a split is tried: who waits for the folio, or has it isolated, lets it go. */
const TRIES_MAX = 8;

/** Clears the pages of a folio from one on. @context folio locked, not in writeback */
export function zeroFrom(m: Mm, pfn: number, first: number): void {
  const end = pfn + folioPages(m, pfn);
  for (let page = first; page < end; page++) pageBytes(m, page).fill(0);
}

/** One try. @param last leave it whole if need be @returns whether there is no more to do */
function tryPart(m: Mm, inode: number, first: number, last: boolean): boolean {
  const page = mappingGet(m, inode, first);
  if (page <= 0) return true;
  const pfn = pageFolio(m, page);
  faultDelay(FAULT_DELAY);
  folioLock(m, pfn);
  const ours = folioInMapping(m, page, inode, first);
  let done = ours && (m.page.index[pfn] as number) === first;
  if (ours && !done) {
    folioWaitWriteback(m, pfn);
    done = (m.page.index[pfn] as number) > first || splitFolio(m, pfn, false) || last;
    if (last && pageFolio(m, page) === pfn) {
      // Who unmaps it just now may not have waited for all CPUs yet: see beforeGrowth.
      fileUnmapAll(m, pfn);
      zeroFrom(m, pfn, page);
    }
  }
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return done;
}

/**
 * Splits the folio that holds pages on both sides of the end of a file.
 * @param first page behind the end, where the size of the file says so
 * @context i_rwsem and invalidate_lock of the file held for writing; no folio locked; may block
 */
export function truncatePart(m: Mm, inode: number, first: number): void {
  for (let tries = 1; !tryPart(m, inode, first, tries === TRIES_MAX); tries++) {
    // Batches hold references.
    lruAddDrainAll(m, false);
    condResched();
  }
}
