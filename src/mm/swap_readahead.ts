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
import { folioPut } from './swap.ts';
import { swapCacheHas } from './swap_state.ts';
import { swapCount } from './swapfile.ts';
import { swapinNew } from './swapin.ts';
import { EV } from './vmstat_items.ts';

/** Pages of the next window (__swapin_nr_pages). */
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
  Atomics.store(m.node.readaheadPrev, 0, slot);
  Atomics.store(m.node.readaheadWindow, 0, pages);
  return pages;
}

/**
 * Reads the neighbours of a slot into the swap cache; the slot itself is left to the caller.
 * @context a fault; may block and reclaim
 */
export function swapReadahead(m: Mm, slot: number): void {
  const mask = windowPages(m, slot) - 1;
  if (mask === 0) return;
  const { events } = m.task;
  const end = Math.min(slot | mask, m.sizes.nrSlots - 1);
  for (let near = Math.max(slot & ~mask, 1); near <= end; near++) {
    // Racy peeks: swapinNew looks again under the cluster lock.
    const count = swapCount(m, near);
    if (near === slot || count === 0 || count === SWAP_MAP_BAD || swapCacheHas(m, near)) continue;
    const memcg = memcgGetFromSlot(m, near);
    const pfn = swapinNew(m, near, memcg, true);
    memcgPut(m, memcg);
    if (pfn === 0) return;
    if (pfn < 0) continue;
    events[EV.swap_ra] = (events[EV.swap_ra] as number) + 1;
    folioPut(m, pfn);
  }
}
