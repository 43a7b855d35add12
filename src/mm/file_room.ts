// SPDX-License-Identifier: GPL-2.0-only
/**
 * Clean pages of files that can go at once (mm/truncate.c, invalidate_mapping_pages), for
 * drop_caches, and when the tables of files are full: shadows first, which are only history.
 */
import { condResched } from '../../shared/sched.ts';
import { fileRefs } from './file_refs.ts';
import {
  folioClear,
  folioLruvec,
  folioPages,
  folioTest,
  folioTestClear,
  folioTryLock,
  folioUnlock,
  pageFolio,
} from './folio.ts';
import { lruLock, lruUnlock, lruvecDelFolioLocked } from './lruvec.ts';
import { folioInMapping, mappingGet, mappingNext, XA_NONE } from './mapping.ts';
import { fileDropShadows, fileRemoveFolio } from './mapping_file.ts';
import { uncharge } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_LRU,
  PG_READAHEAD,
  PG_RECLAIM,
  PG_REFERENCED,
  PG_WORKINGSET,
  PG_WRITEBACK,
} from './mm_types.ts';
import { freePage } from './page_alloc.ts';
import { folioMapcount } from './rmap.ts';
import { folioPut, releaseFolio } from './swap.ts';

/** Frees a folio whose count is frozen at 0. @context it is in no file, and ours */
function freeFrozen(m: Mm, pfn: number): void {
  if (folioTestClear(m, pfn, PG_LRU)) {
    const lruvec = folioLruvec(m, pfn);
    lruLock(m, lruvec);
    lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
    lruUnlock(m, lruvec);
  }
  folioClear(m, pfn, PG_ACTIVE | PG_REFERENCED | PG_WORKINGSET | PG_RECLAIM | PG_READAHEAD);
  if (folioPages(m, pfn) > 1) {
    releaseFolio(m, pfn);
    return;
  }
  uncharge(m, m.page.memcg[pfn] as number, 1);
  freePage(m, pfn);
}

/**
 * @returns pages that went, all of the page's folio or none
 * @context the caller has a reference, which is used up
 */
function invalidateFolio(m: Mm, page: number, inode: number, index: number): number {
  const pfn = pageFolio(m, page);
  const pages = folioPages(m, pfn);
  if (!folioTryLock(m, pfn)) {
    folioPut(m, pfn);
    return 0;
  }
  const ours = folioInMapping(m, page, inode, index);
  const busy = folioTest(m, pfn, PG_DIRTY | PG_WRITEBACK) || folioMapcount(m, pfn) !== 0;
  const removed = ours && !busy && fileRemoveFolio(m, pfn, -1);
  folioUnlock(m, pfn);
  if (removed) freeFrozen(m, pfn);
  else folioPut(m, pfn);
  return removed ? pages : 0;
}

/**
 * Drops the clean, unmapped pages of a file that nobody uses just now.
 * @returns pages dropped
 * @context the caller has the inode; no lock held
 */
export function invalidateFile(m: Mm, inode: number): number {
  let dropped = 0;
  for (let at = mappingNext(m, inode, 0); at !== XA_NONE; at = mappingNext(m, inode, at + 1)) {
    const pfn = mappingGet(m, inode, at);
    if (pfn > 0) dropped += invalidateFolio(m, pfn, inode, at);
    condResched();
  }
  return dropped;
}

function makeRoomIn(m: Mm, inode: number): boolean {
  return fileDropShadows(m, inode, 0) > 0 || invalidateFile(m, inode) > 0;
}

/**
 * Files may hold no more entries: gives some of this file's up, or else of others.
 * @returns whether any went
 * @context the caller has the inode; holds nothing but mmap_lock, i_rwsem; tries s_umount
 */
export function makeFileRoom(m: Mm, inode: number): boolean {
  if (makeRoomIn(m, inode)) return true;
  let done = false;
  const { nrPages, nrSwapped } = m.mapping;
  const wanted = (other: number): boolean =>
    !done && other !== inode && (nrPages[other] as number) + (nrSwapped[other] as number) > 0;
  fileRefs().each(m, wanted, (other) => {
    done = makeRoomIn(m, other);
  });
  return done;
}
