// SPDX-License-Identifier: GPL-2.0-only
/**
 * Pages that may not be reclaimed (mm/mlock.c, the part about one folio): PG_MLOCKED, and a place
 * on the unevictable list.
 *
 * A page is not told how many locked VMAs map it. Munlocking one makes it evictable; reclaim, which
 * sees every VMA, locks it again if another wants that. A large folio is locked as a whole, for the
 * sake of one page too.
 */
import { folioLruvec, folioNid, folioPages, folioTest, folioTestClear } from './folio.ts';
import { lruLock, lruUnlock, lruvecAddFolioLocked, lruvecDelFolioLocked } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { PG_ACTIVE, PG_LRU, PG_MLOCKED, PG_UNEVICTABLE } from './mm_types.ts';
import { EV } from './vmstat_items.ts';

function count(m: Mm, event: number, by: number): void {
  m.task.events[event] = (m.task.events[event] as number) + by;
}

/**
 * Moves a folio to the list that PG_MLOCKED asks for. One that is isolated, or waits in a batch, is
 * put there by whoever puts it on a list.
 * @context takes lru_lock
 */
function settle(m: Mm, pfn: number): void {
  if (!folioTestClear(m, pfn, PG_LRU)) return;
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
  const flags = cullFlags(m, pfn, Atomics.or(m.page.flags, pfn, PG_LRU) | PG_LRU);
  lruvecAddFolioLocked(m, lruvec, pfn, flags);
  lruUnlock(m, lruvec);
}

/**
 * What a folio's flags are to be on a list: unevictable exactly when mlocked.
 * @param flags its flags, PG_LRU just set by the caller
 * @returns them, changed where needed
 * @context lru_lock held
 */
export function cullFlags(m: Mm, pfn: number, flags: number): number {
  const mlocked = (flags & PG_MLOCKED) !== 0;
  if (mlocked === ((flags & PG_UNEVICTABLE) !== 0)) return flags;
  if (mlocked) {
    Atomics.or(m.page.flags, pfn, PG_UNEVICTABLE);
    Atomics.and(m.page.flags, pfn, ~PG_ACTIVE);
    count(m, EV.unevictable_pgs_culled, folioPages(m, pfn));
    return (flags | PG_UNEVICTABLE) & ~PG_ACTIVE;
  }
  Atomics.and(m.page.flags, pfn, ~PG_UNEVICTABLE);
  count(m, EV.unevictable_pgs_rescued, folioPages(m, pfn));
  return flags & ~PG_UNEVICTABLE;
}

/** Locks a folio in memory. @context its ptl held, or a reference; takes lru_lock */
export function mlockFolio(m: Mm, pfn: number): void {
  const before = Atomics.or(m.page.flags, pfn, PG_MLOCKED);
  if ((before & PG_MLOCKED) !== 0) return;
  const pages = folioPages(m, pfn);
  Atomics.add(m.node.mlocked, folioNid(m, pfn), pages);
  count(m, EV.unevictable_pgs_mlocked, pages);
  settle(m, pfn);
}

/** Lets a folio go that a VMA had locked. @context as mlockFolio */
export function munlockFolio(m: Mm, pfn: number): void {
  if (!folioTestClear(m, pfn, PG_MLOCKED)) return;
  const pages = folioPages(m, pfn);
  Atomics.sub(m.node.mlocked, folioNid(m, pfn), pages);
  count(m, EV.unevictable_pgs_munlocked, pages);
  settle(m, pfn);
}

/** The last reference of a folio goes: it is locked no more. @context off the lists, count 0 */
export function clearMlocked(m: Mm, pfn: number): void {
  if (!folioTest(m, pfn, PG_MLOCKED | PG_UNEVICTABLE)) return;
  if (folioTestClear(m, pfn, PG_MLOCKED)) {
    const pages = folioPages(m, pfn);
    Atomics.sub(m.node.mlocked, folioNid(m, pfn), pages);
    count(m, EV.unevictable_pgs_cleared, pages);
  }
  Atomics.and(m.page.flags, pfn, ~PG_UNEVICTABLE);
}
