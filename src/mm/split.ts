// SPDX-License-Identifier: GPL-2.0-only
/**
 * Taking a large folio apart into single pages (mm/huge_memory.c, split_huge_page_to_list).
 *
 *   rmap held -> migration entries -> freeze the count at what is known -> each tail a folio of its
 *   own, locked, beside the head on its list -> entries back -> unlock, drop the tails' references
 *
 * A reference that nobody accounts for makes the freeze fail: then the entries come back, and the
 * folio is whole. Bytes stay where they are, so no CPU has to be waited for.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { folioOfHost } from './file_dirty.ts';
import { folioLruvec, folioOrder, folioPages, folioRefFreeze, folioTest } from './folio.ts';
import { lruLock, lruUnlock } from './lruvec.ts';
import { mapMigrationEntries, setMigrationEntries } from './migrate_entry.ts';
import type { Mm } from './mm.ts';
import { PG_LRU, PG_SWAPCACHE, PG_WRITEBACK } from './mm_types.ts';
import { countMthp, countMthpEvent } from './mthp_stat.ts';
import { anonVmaUnlockRead, folioLockAnonVmaRead, folioMapcount } from './rmap.ts';
import { divideFolio, releaseTails } from './split_divide.ts';
import { splitFile } from './split_file.ts';
import { forgetLarge } from './swap.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { folioFreeSwap } from './swap_state.ts';
import { MTHP, THP_ORDER_MAX } from './thp_types.ts';
import { EV } from './vmstat_items.ts';

/** References beside those of mappings, when nobody knows the folio but the caller. */
function knownRefs(m: Mm, pfn: number): number {
  return 1 + (folioTest(m, pfn, PG_SWAPCACHE) ? folioPages(m, pfn) : 0);
}

/** Freezes the folio and divides it. @returns false when somebody holds it */
function freezeAndDivide(m: Mm, pfn: number, isolated: boolean): boolean {
  const pages = folioPages(m, pfn);
  const cached = folioTest(m, pfn, PG_SWAPCACHE);
  // A lookup of a slot must find the pages before, or after.
  const slot = m.page.private[pfn] as number;
  if (cached) clusterLock(m, slot);
  const frozen = folioRefFreeze(m, pfn, knownRefs(m, pfn));
  if (frozen) {
    forgetLarge(m, pfn, folioOrder(m, pfn));
    const lruvec = folioLruvec(m, pfn);
    if (!isolated) {
      lruLock(m, lruvec);
      assert(folioTest(m, pfn, PG_LRU), 'a folio that nobody holds is on a list');
    }
    divideFolio(m, pfn, !isolated, cached ? pages : 0);
    if (!isolated) lruUnlock(m, lruvec);
  }
  if (cached) clusterUnlock(m, slot);
  return frozen;
}

function splitAnon(m: Mm, pfn: number, tryLock: boolean, tails: number[] | null): boolean {
  const pages = folioPages(m, pfn);
  if (folioTest(m, pfn, PG_WRITEBACK)) return false;
  // A hint that saves the walks: what is held now is not frozen.
  const known = knownRefs(m, pfn) + folioMapcount(m, pfn);
  if (Atomics.load(m.page.refcount, pfn) !== known) return false;
  const anonVma = folioLockAnonVmaRead(m, pfn, tryLock);
  if (anonVma < 0) return false;
  if (anonVma > 0) setMigrationEntries(m, pfn, anonVma);
  faultDelay(FAULT_DELAY);
  const done =
    folioMapcount(m, pfn) === 0 &&
    !shouldFail(FAULT_TRYLOCK) &&
    freezeAndDivide(m, pfn, tails !== null);
  faultDelay(FAULT_DELAY);
  if (anonVma > 0) {
    mapMigrationEntries(m, anonVma, pfn, pfn, pages);
    anonVmaUnlockRead(m, anonVma);
  }
  if (done) releaseTails(m, pfn, pages, tails);
  else if (folioMapcount(m, pfn) === 0) folioFreeSwap(m, pfn);
  return done;
}

/**
 * Splits a large folio into pages. Of a file's, those behind the end of the file go.
 * @param pfn its head, which stays locked and referenced; on no list if `tails` is given
 * @param tryLock do not wait for the rmap lock of an anonymous one
 * @param tails gets the other pages, each with a reference, on no list; null leaves them beside the
 *   head, and frees those that nothing maps
 * @returns false when somebody holds the folio: nothing has changed
 * @context folio locked, one reference of the caller's; takes anon_vma->rwsem or i_mmap_rwsem, ptl,
 *   swap_cluster or i_pages, split_queue_lock, lru_lock; may block, for a shootdown too
 */
export function splitFolio(
  m: Mm,
  pfn: number,
  tryLock: boolean,
  tails: number[] | null = null,
): boolean {
  const order = folioOrder(m, pfn);
  assert(order > 0, 'a single page cannot be split');
  const done = folioOfHost(m, pfn) ? splitFile(m, pfn, tails) : splitAnon(m, pfn, tryLock, tails);
  if (!done) {
    countMthpEvent(m, pfn, MTHP.split_failed, 'thp_split_page_failed');
    return false;
  }
  countMthp(m, order, MTHP.split);
  if (order === THP_ORDER_MAX) {
    m.task.events[EV.thp_split_page] = (m.task.events[EV.thp_split_page] as number) + 1;
  }
  return true;
}
