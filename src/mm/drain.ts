// SPDX-License-Identifier: GPL-2.0-only
/** Emptying what threads keep for themselves: LRU batches, charge stocks, pcp lists. */
import { drainAllStock, drainOwnStock } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { drainAllPages } from './page_alloc.ts';
import { lruAddDrain, lruAddDrainAll } from './swap.ts';

/** This thread's LRU batch and stock: what they hold would outlive the thread. */
export function drainOwnBatches(m: Mm): void {
  lruAddDrain(m);
  drainOwnStock(m);
}

/**
 * Everything of every thread, waiting for each lock.
 * @context quiescence: the walkers of check.ts want nothing in flight
 */
export function drainEverything(m: Mm): void {
  lruAddDrainAll(m, true);
  drainAllStock(m, true);
  drainAllPages(m, true);
}
