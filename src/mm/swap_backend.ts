// SPDX-License-Identifier: GPL-2.0-only
/**
 * What keeps a slot's page: the zero map, zswap, or the slot's device, zram or a file
 * (mm/page_io.c). Exactly one of them does, unless the only copy is the slot's folio in the swap
 * cache, which is dirty then.
 */
import type { Mm } from './mm.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import {
  diskFreeLocked,
  diskHolds,
  diskOverwriteLocked,
  diskRead,
  diskWrite,
} from './swap_disk.ts';
import { slotOnFile } from './swap_info.ts';
import { ZRAM_EMPTY, zramFreeLocked, zramOverwriteLocked, zramRead, zramWrite } from './zram.ts';

/**
 * Stores a folio's page on its slot's device.
 * @returns false when the device did not take it
 * @context folio locked, in the swap cache, unmapped and flushed; takes swap_cluster; may block
 */
export function deviceWrite(m: Mm, pfn: number, slot: number): boolean {
  return slotOnFile(m, slot) ? diskWrite(m, pfn, slot) : zramWrite(m, pfn, slot);
}

/**
 * Reads a folio's page from its slot's device.
 * @returns false on an error: the folio's bytes are anything
 * @context folio locked, in the swap cache; may block; no spinlock held
 */
export function deviceRead(m: Mm, pfn: number, slot: number): boolean {
  if (slotOnFile(m, slot)) return diskRead(m, pfn, slot);
  zramRead(m, pfn, slot);
  return true;
}

/** @returns whether the slot's device has its page @context swap_cluster, or at rest */
export function deviceHolds(m: Mm, slot: number): boolean {
  return slotOnFile(m, slot) ? diskHolds(m, slot) : m.zram.kind[slot] !== ZRAM_EMPTY;
}

/** The device drops its copy. @returns whether it had one @context swap_cluster held */
export function deviceFreeLocked(m: Mm, slot: number): boolean {
  return slotOnFile(m, slot) ? diskFreeLocked(m, slot) : zramFreeLocked(m, slot);
}

/**
 * The page is kept elsewhere from now on: what the device has is old.
 * @context swap_cluster held
 */
export function deviceDiscardLocked(m: Mm, slot: number): void {
  if (slotOnFile(m, slot)) diskOverwriteLocked(m, slot);
  else zramOverwriteLocked(m, slot);
}

/** As deviceDiscardLocked. @context folio locked; takes swap_cluster */
export function deviceDiscard(m: Mm, slot: number): void {
  clusterLock(m, slot);
  deviceDiscardLocked(m, slot);
  clusterUnlock(m, slot);
}
