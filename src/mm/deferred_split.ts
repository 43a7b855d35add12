// SPDX-License-Identifier: GPL-2.0-only
/**
 * The shrinker of large folios that are mapped in part (mm/huge_memory.c, thp-deferred_split):
 * splitting one frees the pages that nothing maps any more.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioOrder, folioTryLock, folioUnlock } from './folio.ts';
import type { Mm } from './mm.ts';
import { shrinkerAlloc, shrinkerRegister } from './shrinker.ts';
import { SHRINK_STOP, SHRINKER_TYPE_THP, type ShrinkerType } from './shrinker_ops.ts';
import { SHRINKER_NUMA_AWARE } from './shrinker_types.ts';
import { splitFolio } from './split.ts';
import { requeueSplit, takeSplitQueue } from './split_queue.ts';
import { folioPut, lruAddDrain } from './swap.ts';
import { thpInit } from './thp.ts';
import { THP_SHRINKER } from './thp_types.ts';

/** Folios of the scan that is under way: callbacks of one thread do not nest. */
const taken: number[] = [];

/** Splits one. @returns whether it is done with, by whoever @context takes its lock by trylock */
function splitDeferred(m: Mm, pfn: number): boolean {
  if (!folioTryLock(m, pfn)) return false;
  // Reclaim may have split it meanwhile.
  const done = folioOrder(m, pfn) === 0 || splitFolio(m, pfn, m.config.rmapTryLock);
  folioUnlock(m, pfn);
  return done;
}

/** Callbacks of thp-deferred_split. */
export const deferredSplitType: ShrinkerType = {
  /** @returns folios queued @context any reclaimer */
  countObjects(m, sc) {
    return m.splitQueueLength[sc.nid] as number;
  },

  /** @returns folios split, or SHRINK_STOP @context any reclaimer */
  scanObjects(m, sc) {
    taken.length = 0;
    // One that waits in our batch is held by it.
    lruAddDrain(m);
    sc.nrScanned = takeSplitQueue(m, sc.nid, sc.nrToScan, taken);
    faultDelay(FAULT_DELAY);
    let split = 0;
    for (const pfn of taken) {
      if (splitDeferred(m, pfn)) split++;
      else requeueSplit(m, pfn);
      folioPut(m, pfn);
    }
    taken.length = 0;
    return split > 0 ? split : SHRINK_STOP;
  },
};

/**
 * Sets the switches, and makes the shrinker of a machine that may have large folios.
 * @context boot, before there are groups
 */
export function deferredSplitInit(m: Mm): void {
  thpInit(m);
  if ((m.config.thp ?? null) === null) return;
  const name = 'thp-deferred_split';
  const shrinker = shrinkerAlloc(m, SHRINKER_NUMA_AWARE, SHRINKER_TYPE_THP, 0, name);
  assert(shrinker > 0, 'there is room for the shrinker of large folios');
  m.thpWords[THP_SHRINKER] = shrinker;
  shrinkerRegister(m, shrinker);
}
