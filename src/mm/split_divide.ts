// SPDX-License-Identifier: GPL-2.0-only
/**
 * The part of a split that is the same for anonymous folios and those of files (mm/huge_memory.c,
 * __split_folio_to_order): pages of a frozen folio become folios of their own.
 */
import { assert } from '../../shared/assert.ts';
import { bitClearWake } from '../../shared/bit_lock.ts';
import { listAddTail } from '../../shared/list.ts';
import { folioClear, folioPages, folioRefUnfreeze } from './folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_LOCKED,
  PG_LRU,
  PG_MAYSHARE,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UNEVICTABLE,
  PG_UPTODATE,
  PG_WORKINGSET,
} from './mm_types.ts';
import { folioMapcount } from './rmap.ts';
import { folioPut } from './swap.ts';
import { folioFreeSwap } from './swap_state.ts';

/** What each page of a folio is from then on. */
const COPIED =
  PG_REFERENCED |
  PG_UPTODATE |
  PG_DIRTY |
  PG_ACTIVE |
  PG_WORKINGSET |
  PG_SWAPBACKED |
  PG_SWAPCACHE |
  PG_UNEVICTABLE |
  PG_MLOCKED;

/**
 * Makes the tails of a frozen folio folios of their own, locked, and thaws all of them.
 * @param onList the folio is on an LRU list: tails go beside it
 * @param held pages, from the first on, on which the swap cache or a file has a reference
 * @context frozen, unmapped; lru_lock held if `onList`; nobody finds a page of it meanwhile
 */
export function divideFolio(m: Mm, pfn: number, onList: boolean, held: number): void {
  const { flags, refcount, head, order } = m.page;
  const end = pfn + folioPages(m, pfn);
  const copied = Atomics.load(flags, pfn) & (COPIED | (onList ? PG_LRU : 0));
  order[pfn] = 0;
  for (let page = pfn; page < end; page++) {
    if (page !== pfn) {
      assert(Atomics.load(refcount, page) === 0, 'a tail has references of its own');
      // Locked before it is on its own: whoever waits for its entry waits for this lock then.
      Atomics.store(flags, page, copied | PG_LOCKED);
      if (onList) listAddTail(m.link.next, m.link.prev, page, pfn);
    }
    head[page] = 0;
  }
  folioClear(m, pfn, PG_MAYSHARE);
  for (let page = pfn; page < end; page++) {
    folioRefUnfreeze(m, page, 1 + (page < pfn + held ? 1 : 0));
  }
}

/** Unlocks the tails, and gives up what nothing maps. @param tails gets them, or null: put */
export function releaseTails(m: Mm, pfn: number, pages: number, tails: number[] | null): void {
  for (let page = pfn; page < pfn + pages; page++) {
    // Who unmapped it meanwhile found an entry that names no slot, and left the cache to us.
    if (folioMapcount(m, page) === 0) folioFreeSwap(m, page);
    if (page === pfn) continue;
    bitClearWake(m.page.flags, page, PG_LOCKED, m.folioWait);
    if (tails !== null) tails.push(page);
    else folioPut(m, page);
  }
}
