// SPDX-License-Identifier: GPL-2.0-only
/**
 * The lock of a swap cluster: guards the slots of SWAPFILE_CLUSTER neighbours and what zram keeps
 * for them.
 */
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { SWAPFILE_CLUSTER } from './limits.ts';
import { LC_SWAP_CLUSTER } from './lock_order.ts';
import type { Mm } from './mm.ts';

/** @returns the cluster that a swap slot lies in */
export function clusterOf(slot: number): number {
  return Math.floor(slot / SWAPFILE_CLUSTER);
}

/** @context inside the folio lock and ptl; outside lru_lock and zsmalloc locks */
export function clusterLock(m: Mm, slot: number): void {
  spinLock(m.clusterLock, clusterOf(slot), LC_SWAP_CLUSTER);
}

/** Releases the lock of a slot's cluster. @context the holder */
export function clusterUnlock(m: Mm, slot: number): void {
  spinUnlock(m.clusterLock, clusterOf(slot), LC_SWAP_CLUSTER);
}
