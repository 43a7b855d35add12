// SPDX-License-Identifier: GPL-2.0-only
/**
 * Neighbouring swap slots for the pages of a large folio (mm/swapfile.c, cluster_alloc_swap_entry
 * for orders above 0): a naturally aligned run in one cluster, so that one lock covers them all.
 */
import { shouldFail } from '../../shared/fault.ts';
import { FAULT_SWAP_FULL } from './faults.ts';
import { SWAPFILE_CLUSTER } from './limits.ts';
import type { Mm } from './mm.ts';
import { SWAP_HAS_CACHE } from './mm_types.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { deviceOn } from './swap_info.ts';
import { NR_SWAP_PAGES } from './swap_types.ts';

/** Clusters with room that are looked through before the folio is split instead. */
const CLUSTERS_TRIED = 16;

/** First slot of a free run. @returns 0 when the cluster has none @context swap_cluster held */
function findRun(m: Mm, cluster: number, pages: number): number {
  const first = cluster * SWAPFILE_CLUSTER;
  const end = Math.min(first + SWAPFILE_CLUSTER, m.sizes.nrSlots);
  for (let slot = first; slot + pages <= end; slot += pages) {
    let free = 0;
    while (free < pages && m.slot.count[slot + free] === 0) free++;
    if (free === pages) return slot;
  }
  return 0;
}

/** @returns the first slot, all of them the swap cache's, or 0 @context takes swap_cluster */
function allocFrom(m: Mm, device: number, cluster: number, pages: number): number {
  clusterLock(m, cluster * SWAPFILE_CLUSTER);
  let slot = 0;
  if (m.cluster.on[cluster] === 1) slot = findRun(m, cluster, pages);
  if (slot !== 0) {
    m.slot.count.fill(SWAP_HAS_CACHE, slot, slot + pages);
    m.cluster.free[cluster] = (m.cluster.free[cluster] as number) - pages;
    Atomics.sub(m.swapDevice.free, device, pages);
    Atomics.sub(m.swapInfo, NR_SWAP_PAGES, pages);
  }
  clusterUnlock(m, cluster * SWAPFILE_CLUSTER);
  return slot;
}

/** A run of a device: from the thread's own cluster on. */
function allocFromDevice(m: Mm, device: number, pages: number): number {
  const first = (m.swapDevice.base[device] as number) / SWAPFILE_CLUSTER;
  const clusters = Math.ceil(((m.swapDevice.pages[device] as number) + 1) / SWAPFILE_CLUSTER);
  const own = m.task.swapClusters[device] as number;
  for (let i = 0, tried = 0; i < clusters && tried < CLUSTERS_TRIED; i++) {
    const cluster = first + ((own + i) % clusters);
    if ((m.cluster.free[cluster] as number) < pages) continue;
    tried++;
    const slot = allocFrom(m, device, cluster, pages);
    if (slot !== 0) return slot;
  }
  return 0;
}

/**
 * Allocates slots for all pages of a large folio.
 * @param order of the folio @returns the first slot, or 0 when no cluster that was tried has a run
 * @context takes swap_cluster
 */
export function allocSlotRun(m: Mm, order: number): number {
  const pages = 1 << order;
  if (pages > SWAPFILE_CLUSTER || shouldFail(FAULT_SWAP_FULL)) return 0;
  for (let i = 0; i < m.sizes.nrSwapDevices; i++) {
    const device = m.swapDevice.order[i] as number;
    if (!deviceOn(m, device) || Atomics.load(m.swapDevice.free, device) < pages) continue;
    const slot = allocFromDevice(m, device, pages);
    if (slot !== 0) return slot;
  }
  return 0;
}
