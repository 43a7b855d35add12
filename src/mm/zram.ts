// SPDX-License-Identifier: GPL-2.0-only
/**
 * The zram device: a swap slot's page, compressed, in memory (drivers/block/zram).
 *
 * A slot is empty, a compressed object, a raw page (it would not shrink below ZS_MAX_COMPRESSED),
 * or a same-filled page, kept as the one word that it repeats. The slot table is guarded by the
 * slot's cluster lock; the object's bytes belong to whoever stores or frees the slot, and a reader
 * holds the folio lock of the slot's folio, which keeps both away.
 */
import { assert } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { compressPage, decompressPage } from './compress.ts';
import { pageBytes, pageWords, sameFilledWord } from './content.ts';
import { FAULT_COMPRESS } from './faults.ts';
import { PAGE_SIZE } from './limits.ts';
import type { Mm } from './mm.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { EV } from './vmstat_items.ts';
import { ZS_HANDLE_NONE, zsFree, zsMalloc, zsView, zsWrite } from './zsmalloc.ts';
import { ZS_MAX_COMPRESSED } from './zsmalloc_sizes.ts';

export const ZRAM_EMPTY = 0;
export const ZRAM_LZ = 1;
export const ZRAM_RAW = 2;
export const ZRAM_SAME = 3;
/** Stored without bytes: contents are off. */
export const ZRAM_VOID = 4;

/**
 * Stores a folio's page in its slot.
 * @returns false when the store is full: nothing changed, the page stays dirty
 * @context folio locked, unmapped and flushed; may not be written meanwhile. Takes swap_cluster,
 *   zsmalloc locks
 */
export function zramWrite(m: Mm, pfn: number, slot: number): boolean {
  const { events } = m.task;
  if (!m.config.contents) {
    setSlot(m, slot, ZRAM_VOID, 0, 0);
    events[EV.kr_zram_store] = (events[EV.kr_zram_store] as number) + 1;
    return true;
  }
  const word = sameFilledWord(m, pfn);
  if (word !== null) {
    setSlot(m, slot, ZRAM_SAME, word, 0);
    events[EV.kr_zram_same] = (events[EV.kr_zram_same] as number) + 1;
    return true;
  }
  const bytes = pageBytes(m, pfn);
  const packed = compressPage(bytes, m.config.compressCost);
  const raw = packed.length > ZS_MAX_COMPRESSED || shouldFail(FAULT_COMPRESS);
  const size = raw ? PAGE_SIZE : packed.length;
  const handle = zsMalloc(m, size);
  if (handle === ZS_HANDLE_NONE) {
    events[EV.kr_zram_full] = (events[EV.kr_zram_full] as number) + 1;
    return false;
  }
  zsWrite(m, handle, raw ? bytes : packed);
  setSlot(m, slot, raw ? ZRAM_RAW : ZRAM_LZ, handle, size);
  const cell = raw ? EV.kr_zram_huge : EV.kr_zram_store;
  events[cell] = (events[cell] as number) + 1;
  return true;
}

function setSlot(m: Mm, slot: number, kind: number, handle: number, size: number): void {
  clusterLock(m, slot);
  zramOverwriteLocked(m, slot);
  m.zram.kind[slot] = kind;
  m.zram.handle[slot] = handle;
  m.zram.size[slot] = size;
  clusterUnlock(m, slot);
}

/**
 * Drops what the slot held, before it is written anew or kept elsewhere.
 * @context swap_cluster held
 */
export function zramOverwriteLocked(m: Mm, slot: number): void {
  if (!zramFreeLocked(m, slot)) return;
  const { events } = m.task;
  events[EV.kr_swap_overwrite] = (events[EV.kr_swap_overwrite] as number) + 1;
}

/**
 * Reads a slot's page into a frame.
 * @context the slot's folio is locked and in the swap cache, so that the slot neither changes nor
 *   goes
 */
export function zramRead(m: Mm, pfn: number, slot: number): void {
  if (m.config.contents) zramReadInto(m, slot, pageWords(m, pfn));
}

/**
 * Unpacks a slot's page.
 * @param page PAGE_WORDS words
 * @context the slot may not change: its folio is locked in the swap cache, or swap_cluster is held
 */
export function zramReadInto(m: Mm, slot: number, page: Int32Array): void {
  const kind = m.zram.kind[slot] as number;
  if (kind === ZRAM_SAME) {
    page.fill(m.zram.handle[slot] as number);
    return;
  }
  assert(kind === ZRAM_LZ || kind === ZRAM_RAW, 'reading an empty zram slot');
  const bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
  const stored = zsView(m, m.zram.handle[slot] as number, m.zram.size[slot] as number);
  if (kind === ZRAM_RAW) bytes.set(stored);
  else decompressPage(stored, bytes);
}

/**
 * Drops what a slot holds (swap_slot_free_notify).
 * @returns whether it held a page
 * @context swap_cluster held
 */
export function zramFreeLocked(m: Mm, slot: number): boolean {
  const kind = m.zram.kind[slot] as number;
  if (kind === ZRAM_EMPTY) return false;
  if (kind === ZRAM_LZ || kind === ZRAM_RAW) zsFree(m, m.zram.handle[slot] as number);
  m.zram.kind[slot] = ZRAM_EMPTY;
  m.zram.handle[slot] = 0;
  m.zram.size[slot] = 0;
  return true;
}
