// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap slots: allocation and reference counts (mm/swapfile.c).
 *
 * Slots come in clusters of SWAPFILE_CLUSTER, one lock each. Every thread allocates from a cluster
 * of its own on each device until it is full, so that neighbours in time are neighbours on the
 * device and threads rarely meet. The device of the highest priority that has room is filled first;
 * equals take turns. A slot's count has one reference per page-table entry, plus SWAP_HAS_CACHE
 * while a folio of it is in the swap cache; at zero the device's copy is dropped at once.
 *
 * Slot 0 is reserved: a page-table entry of 0 is empty.
 */
import { assert, bug } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { FAULT_SWAP_FULL } from './faults.ts';
import { SWAPFILE_CLUSTER } from './limits.ts';
import { LC_SWAP_CLUSTER } from './lock_order.ts';
import { unchargeSwap } from './memcg_swap.ts';
import type { Mm } from './mm.ts';
import { SWAP_HAS_CACHE, SWAP_MAP_BAD, SWAP_MAP_MAX } from './mm_types.ts';
import { setSlotShadow } from './shadow_nodes.ts';
import { deviceFreeLocked } from './swap_backend.ts';
import { clusterLock, clusterOf, clusterUnlock } from './swap_cluster.ts';
import { deviceOn, nrSwapPages } from './swap_info.ts';
import { NR_SWAP_PAGES, SWAP_TURN } from './swap_types.ts';
import { EV } from './vmstat_items.ts';
import { zeromapTestClear } from './zeromap.ts';
import { zswapInvalidateLocked } from './zswap_entry.ts';

export { nrSwapPages, vmSwapFull } from './swap_info.ts';

/** No slot: swap is full, or off. */
export const SLOT_NONE = 0;

/** @returns a slot of a cluster, referenced by the swap cache only, or SLOT_NONE */
function allocFromCluster(m: Mm, cluster: number): number {
  if ((m.cluster.free[cluster] as number) === 0) return SLOT_NONE;
  const { count } = m.slot;
  const device = m.cluster.device[cluster] as number;
  const first = cluster * SWAPFILE_CLUSTER;
  const end = Math.min(first + SWAPFILE_CLUSTER, m.sizes.nrSlots);
  let found = SLOT_NONE;
  spinLock(m.clusterLock, cluster, LC_SWAP_CLUSTER);
  if ((m.cluster.free[cluster] as number) > 0 && m.cluster.on[cluster] === 1) {
    const hint = m.cluster.hint[cluster] as number;
    for (let i = 0; i < end - first; i++) {
      const slot = hint + i < end ? hint + i : hint + i - (end - first);
      if (count[slot] !== 0) continue;
      count[slot] = SWAP_HAS_CACHE;
      m.cluster.free[cluster] = (m.cluster.free[cluster] as number) - 1;
      m.cluster.hint[cluster] = slot + 1 < end ? slot + 1 : first;
      Atomics.sub(m.swapDevice.free, device, 1);
      Atomics.sub(m.swapInfo, NR_SWAP_PAGES, 1);
      found = slot;
      break;
    }
    assert(found !== SLOT_NONE, 'cluster counts a free slot that is not there');
  }
  spinUnlock(m.clusterLock, cluster, LC_SWAP_CLUSTER);
  return found;
}

/** A slot of a device: of the thread's own cluster there, or the next one that has any. */
function allocFromDevice(m: Mm, device: number): number {
  const { swapClusters } = m.task;
  const first = (m.swapDevice.base[device] as number) / SWAPFILE_CLUSTER;
  const clusters = Math.ceil(((m.swapDevice.pages[device] as number) + 1) / SWAPFILE_CLUSTER);
  for (let i = 0; i < clusters; i++) {
    const at = ((swapClusters[device] as number) + i) % clusters;
    const slot = allocFromCluster(m, first + at);
    if (slot === SLOT_NONE) continue;
    swapClusters[device] = at;
    return slot;
  }
  return SLOT_NONE;
}

/** Devices by priority; those of one priority take turns, a cluster's worth of slots each. */
function allocByPriority(m: Mm): number {
  const { order, priority, free } = m.swapDevice;
  const { nrSwapDevices } = m.sizes;
  for (let from = 0, to = 0; from < nrSwapDevices; from = to) {
    const highest = priority[order[from] as number];
    while (to < nrSwapDevices && priority[order[to] as number] === highest) to++;
    const equals = to - from;
    const turn = equals > 1 ? Atomics.add(m.swapInfo, SWAP_TURN, 1) >>> 0 : 0;
    for (let i = 0; i < equals; i++) {
      const device = order[from + ((turn + i) % equals)] as number;
      if (!deviceOn(m, device) || Atomics.load(free, device) === 0) continue;
      const slot = allocFromDevice(m, device);
      if (slot === SLOT_NONE) continue;
      m.task.swapDevice = device;
      m.task.swapLeft = SWAPFILE_CLUSTER - 1;
      return slot;
    }
  }
  return SLOT_NONE;
}

/**
 * Allocates a slot, referenced by the swap cache only (folio_alloc_swap).
 * @returns the slot, or SLOT_NONE when swap is full
 * @context takes swap_cluster
 */
export function allocSlot(m: Mm): number {
  if (nrSwapPages(m) === 0 || shouldFail(FAULT_SWAP_FULL)) return SLOT_NONE;
  const { task } = m;
  if (task.swapLeft > 0) {
    task.swapLeft--;
    const first = (m.swapDevice.base[task.swapDevice] as number) / SWAPFILE_CLUSTER;
    const own = task.swapClusters[task.swapDevice] as number;
    const slot = allocFromCluster(m, first + own);
    if (slot !== SLOT_NONE) return slot;
  }
  return allocByPriority(m);
}

/**
 * Adds a page-table reference.
 * @returns false when the count is at its largest
 * @context takes swap_cluster; may be under ptl
 */
export function swapDuplicate(m: Mm, slot: number): boolean {
  clusterLock(m, slot);
  const count = m.slot.count[slot] as number;
  assert(count !== 0 && count !== SWAP_MAP_BAD, 'duplicating a free swap slot');
  const ok = (count & ~SWAP_HAS_CACHE) < SWAP_MAP_MAX;
  if (ok) m.slot.count[slot] = count + 1;
  clusterUnlock(m, slot);
  return ok;
}

/**
 * Drops a page-table reference; the last one frees the slot unless the cache holds it.
 * @returns references of page tables that are left
 * @context takes swap_cluster; may be under ptl
 */
export function swapFree(m: Mm, slot: number): number {
  clusterLock(m, slot);
  const count = m.slot.count[slot] as number;
  if ((count & ~SWAP_HAS_CACHE) === 0 || count === SWAP_MAP_BAD) {
    bug(`swap slot ${slot} freed with count ${count}`);
  }
  m.slot.count[slot] = count - 1;
  if (count - 1 === 0) freeSlotLocked(m, slot);
  clusterUnlock(m, slot);
  return (count - 1) & ~SWAP_HAS_CACHE;
}

/**
 * References from page tables, the cache's apart. @context swap_cluster, or the folio lock of its
 * folio
 */
export function swapCount(m: Mm, slot: number): number {
  return (m.slot.count[slot] as number) & ~SWAP_HAS_CACHE;
}

/** Drops the swap cache's reference. @context swap_cluster held */
export function putCacheRefLocked(m: Mm, slot: number): void {
  const count = m.slot.count[slot] as number;
  assert((count & SWAP_HAS_CACHE) !== 0, 'slot has no cache reference to drop');
  m.slot.count[slot] = count & ~SWAP_HAS_CACHE;
  if ((count & ~SWAP_HAS_CACHE) === 0) freeSlotLocked(m, slot);
}

/** The slot has no reference left: the device drops its copy. @context swap_cluster held */
function freeSlotLocked(m: Mm, slot: number): void {
  const { events } = m.task;
  setSlotShadow(m, slot, 0, 0);
  zswapInvalidateLocked(m, slot);
  if (zeromapTestClear(m, slot)) {
    events[EV.kr_swap_zero_freed] = (events[EV.kr_swap_zero_freed] as number) + 1;
  } else if (deviceFreeLocked(m, slot)) {
    events[EV.kr_swap_slot_freed] = (events[EV.kr_swap_slot_freed] as number) + 1;
  }
  unchargeSwap(m, m.slot.memcg[slot] as number);
  const cluster = clusterOf(slot);
  m.cluster.free[cluster] = (m.cluster.free[cluster] as number) + 1;
  Atomics.add(m.swapDevice.free, m.cluster.device[cluster] as number, 1);
  if (m.cluster.on[cluster] === 1) Atomics.add(m.swapInfo, NR_SWAP_PAGES, 1);
}
