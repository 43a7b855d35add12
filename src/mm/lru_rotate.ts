// SPDX-License-Identifier: GPL-2.0-only
/** Pages that reclaim has waited for go first (mm/swap.c, folio_rotate_reclaimable). */
import { listAddTail, listMoveTail } from '../../shared/list.ts';
import {
  folioClear,
  folioLruList,
  folioLruvec,
  folioPages,
  folioSet,
  folioTestClear,
} from './folio.ts';
import { lruHead, lruLock, lruUnlock, lruvecDelFolioLocked, updateLruSize } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { PG_ACTIVE, PG_DIRTY, PG_LRU, PG_UNEVICTABLE } from './mm_types.ts';
import { EV } from './vmstat_items.ts';

/** Would it be its turn to go? Then it is the caller's: PG_LRU is cleared. */
function takeWanted(m: Mm, pfn: number): boolean {
  const flags = Atomics.load(m.page.flags, pfn);
  return (flags & (PG_DIRTY | PG_UNEVICTABLE)) === 0 && folioTestClear(m, pfn, PG_LRU);
}

/** @context lru_lock of its lruvec held, PG_LRU cleared by the caller */
function rotateLocked(m: Mm, lruvec: number, pfn: number): void {
  const before = Atomics.load(m.page.flags, pfn);
  const lru = folioLruList(before & ~PG_ACTIVE);
  // To the other end of its list, or from the active one: then the sizes change.
  if ((before & PG_ACTIVE) !== 0) deactivateLocked(m, lruvec, pfn, before, lru);
  else listMoveTail(m.link.next, m.link.prev, pfn, lruHead(m, lruvec, lru));
  folioSet(m, pfn, PG_LRU);
  m.task.events[EV.pgrotated] = (m.task.events[EV.pgrotated] as number) + folioPages(m, pfn);
}

/**
 * Reclaim wanted the page, and its writeback has ended: it is the next to go. One that is dirty
 * again, isolated or locked in memory stays where it is.
 * @context a reference held; takes lru_lock
 */
export function rotateReclaimable(m: Mm, pfn: number): void {
  if (!takeWanted(m, pfn)) return;
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  rotateLocked(m, lruvec, pfn);
  lruUnlock(m, lruvec);
}

/**
 * As `rotateReclaimable`, for folios whose writeback ended one after the other: the lock is taken
 * once for those of one lruvec that follow each other.
 * @context a reference to each held; takes lru_lock
 */
export function rotateReclaimableBatch(m: Mm, folios: readonly number[]): void {
  let locked = -1;
  for (let i = 0; i < folios.length; i++) {
    const pfn = folios[i] as number;
    if (!takeWanted(m, pfn)) continue;
    const lruvec = folioLruvec(m, pfn);
    if (lruvec !== locked) {
      if (locked >= 0) lruUnlock(m, locked);
      lruLock(m, lruvec);
      locked = lruvec;
    }
    rotateLocked(m, lruvec, pfn);
  }
  if (locked >= 0) lruUnlock(m, locked);
}

/** @param flags as they are @param lru list that it goes to @context lru_lock, PG_LRU cleared */
function deactivateLocked(m: Mm, lruvec: number, pfn: number, flags: number, lru: number): void {
  lruvecDelFolioLocked(m, lruvec, pfn, flags);
  folioClear(m, pfn, PG_ACTIVE);
  listAddTail(m.link.next, m.link.prev, pfn, lruHead(m, lruvec, lru));
  updateLruSize(m, lruvec, m.page.zone[pfn] as number, lru, folioPages(m, pfn));
}
