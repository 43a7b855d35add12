// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap readahead for devices that seek (mm/swap_state.c, swap_cluster_readahead).
 *
 * The window is an aligned run of slots around the faulting one, of up to 2^page-cluster pages; it
 * grows with the hits of the last one and shrinks when they stop. A synchronous device has none.
 */
import { memcgPut } from './memcg_css.ts';
import { memcgGetFromSlot } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { SWAP_MAP_BAD } from './mm_types.ts';
import { PFN_NONE } from './page_alloc.ts';
import { folioPut, lruAddDrain } from './swap.ts';
import { swapCacheHas } from './swap_state.ts';
import { swapCount } from './swapfile.ts';
import { swapinNew } from './swapin.ts';
import { EV } from './vmstat_items.ts';

/** Pages of the next window (swapin_nr_pages). */
function windowPages(m: Mm, slot: number): number {
  const largest = 1 << m.config.pageCluster;
  if (largest <= 1) return 1;
  const hits = Atomics.exchange(m.node.readaheadHits, 0, 0);
  const previous = Atomics.load(m.node.readaheadPrev, 0);
  let pages = hits + 2;
  if (pages === 2) {
    // No hits: only a neighbour of the last fault is worth a second page.
    if (slot !== previous + 1 && slot !== previous - 1) pages = 1;
  } else {
    let rounded = 4;
    while (rounded < pages) rounded *= 2;
    pages = rounded;
  }
  pages = Math.min(pages, largest);
  // It shrinks by half at most.
  pages = Math.max(pages, Atomics.load(m.node.readaheadWindow, 0) >> 1);
  // While windows are of use, the place where they last were not is kept.
  if (hits === 0) Atomics.store(m.node.readaheadPrev, 0, slot);
  Atomics.store(m.node.readaheadWindow, 0, pages);
  return pages;
}

/**
 * Reads a slot, and what its window has beside it, in the order of the slots: that is the order in
 * which their pages get to the list (swap_cluster_readahead).
 * @param memcg group to charge the slot's own page, on which the caller holds a reference; that of
 *   a neighbour is its own
 * @returns the slot's folio, as swapinNew
 * @context a fault; may block and reclaim
 */
export function swapinReadahead(m: Mm, slot: number, memcg: number): number {
  const mask = windowPages(m, slot) - 1;
  if (mask === 0) return swapinNew(m, slot, memcg, false);
  const end = Math.min(slot | mask, m.sizes.nrSlots - 1);
  let room = true;
  let wanted = PFN_NONE;
  for (let near = Math.max(slot & ~mask, 1); near <= end; near++) {
    if (near === slot) wanted = swapinNew(m, slot, memcg, false);
    else if (room) room = readNeighbour(m, near);
  }
  lruAddDrain(m);
  return wanted;
}

/** Reads a slot that nobody has asked for, if it can be read. @returns false without memory */
function readNeighbour(m: Mm, slot: number): boolean {
  // Racy peeks: swapinNew looks again under the cluster lock.
  const count = swapCount(m, slot);
  if (count === 0 || count === SWAP_MAP_BAD || swapCacheHas(m, slot)) return true;
  const memcg = memcgGetFromSlot(m, slot);
  const pfn = swapinNew(m, slot, memcg, true);
  memcgPut(m, memcg);
  if (pfn === PFN_NONE) return false;
  if (pfn < 0) return true;
  m.task.events[EV.swap_ra] = (m.task.events[EV.swap_ra] as number) + 1;
  folioPut(m, pfn);
  return true;
}
