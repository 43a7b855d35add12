// SPDX-License-Identifier: GPL-2.0-only
/**
 * A swap file as a device: which slots it holds a page of, their writing and reading
 * (mm/page_io.c).
 *
 * A file keeps whatever was written to it last; `swapDisk.stored` says whether that is the slot's
 * page. It changes under the slot's cluster lock; the bytes belong to whoever has the slot's folio
 * locked in the swap cache.
 */
import { pageBytes } from './content.ts';
import type { Mm } from './mm.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { deviceOf } from './swap_info.ts';
import { swapFileRead, swapFileWrite } from './swap_io.ts';
import { EV } from './vmstat_items.ts';

/** @returns whether the file has the slot's page @context swap_cluster, or the slot's folio lock */
export function diskHolds(m: Mm, slot: number): boolean {
  return m.swapDisk.stored[slot] === 1;
}

/**
 * Writes a folio's page to its slot of the file.
 * @returns false on an error: what the file has there is not the slot's page
 * @context folio locked, in the swap cache, unmapped and flushed; takes swap_cluster; may block
 */
export function diskWrite(m: Mm, pfn: number, slot: number): boolean {
  const written =
    !m.config.contents || swapFileWrite(m, deviceOf(m, slot), slot, pageBytes(m, pfn));
  clusterLock(m, slot);
  diskOverwriteLocked(m, slot);
  m.swapDisk.stored[slot] = written ? 1 : 0;
  clusterUnlock(m, slot);
  return written;
}

/** What the file had is to be replaced. @context swap_cluster held */
export function diskOverwriteLocked(m: Mm, slot: number): void {
  if (!diskFreeLocked(m, slot)) return;
  m.task.events[EV.kr_swap_overwrite] = (m.task.events[EV.kr_swap_overwrite] as number) + 1;
}

/**
 * Reads a slot's page into a folio.
 * @returns false on an error: the folio's bytes are anything
 * @context folio locked, in the swap cache; may block; no spinlock held
 */
export function diskRead(m: Mm, pfn: number, slot: number): boolean {
  return diskReadInto(m, slot, m.config.contents ? pageBytes(m, pfn) : null);
}

/**
 * Reads a slot's page. @param page PAGE_SIZE bytes, null without contents
 * @returns false on an error @context the file has the slot's page, and it does not change; may
 *   block; no spinlock held
 */
export function diskReadInto(m: Mm, slot: number, page: Uint8Array | null): boolean {
  return page === null || swapFileRead(m, deviceOf(m, slot), slot, page);
}

/** Forgets the slot's page. @returns whether there was one @context swap_cluster held */
export function diskFreeLocked(m: Mm, slot: number): boolean {
  const held = m.swapDisk.stored[slot] === 1;
  m.swapDisk.stored[slot] = 0;
  return held;
}
