// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading one slot into a new folio (mm/swap_state.c, __read_swap_cache_async).
 *
 * The fault and the readahead window both come here. The folio enters the swap cache locked and not
 * up to date, so that whoever finds it there waits for the read; two threads that want one slot
 * meet at the insertion, and the slower one frees its page.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { memcgCharge } from './charge.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioSet, folioTryLock, folioUnlock } from './folio.ts';
import type { Mm } from './mm.ts';
import { PG_READAHEAD, PG_SWAPBACKED } from './mm_types.ts';
import { PFN_NONE } from './page_alloc.ts';
import { allocPages } from './page_alloc_slow.ts';
import { swapReadFolio } from './page_io.ts';
import { discardNewPage, folioAddLru, folioPut } from './swap.ts';
import { shadowFound, swapCacheInsert } from './swap_state.ts';
import { workingsetRefault } from './workingset.ts';

/**
 * Node that the thread allocates from first.
 * @returns node id; a thread bound to no CPU takes node 0
 * @context any thread
 */
export function homeNode(m: Mm): number {
  return m.task.cpu < 0 ? 0 : m.task.cpu % m.sizes.nrNodes;
}

/**
 * Reads a slot into a new folio and puts it in the swap cache, unlocked, with a reference.
 * @param memcg group to charge, on which the caller holds a reference
 * @returns pfn, PFN_NONE without memory, -1 when the slot is free or somebody else was faster
 * @context no lock but mmap_lock held
 */
export function swapinNew(m: Mm, slot: number, memcg: number, readahead: boolean): number {
  const pfn = allocPages(m, homeNode(m), 0);
  if (pfn === PFN_NONE) return PFN_NONE;
  if (!memcgCharge(m, pfn, memcg)) {
    discardNewPage(m, pfn);
    return PFN_NONE;
  }
  folioSet(m, pfn, PG_SWAPBACKED | (readahead ? PG_READAHEAD : 0));
  const locked = folioTryLock(m, pfn);
  assert(locked, 'a new folio is locked');
  if (swapCacheInsert(m, pfn, slot) !== 0) {
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return -1;
  }
  workingsetRefault(m, pfn, shadowFound.tag, shadowFound.age, false);
  folioAddLru(m, pfn);
  faultDelay(FAULT_DELAY);
  swapReadFolio(m, pfn);
  folioUnlock(m, pfn);
  return pfn;
}
