// SPDX-License-Identifier: GPL-2.0-only
/**
 * zswap: pages on their way to a swap file are kept in memory, compressed, while there is room
 * (mm/zswap.c).
 *
 *   store        compress; an object of the pool; the entry is the slot's page from here on
 *   load         unpack, and forget: the folio in the swap cache is the only copy, and dirty
 *   limit        at max_pool_percent of memory nothing is accepted until zswap_shrink has brought
 *                the pool below accept_threshold_percent of that
 *   write back   zswap_writeback.ts
 *
 * What is rejected goes to the file; entries that the slot had are freed first, so that an old page
 * is never read. All callers have the slot's folio locked, which keeps the slot as it is.
 */
import { shouldFail } from '../../shared/fault.ts';
import { WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { compressPage, decompressPage } from './compress.ts';
import { pageBytes } from './content.ts';
import { FAULT_COMPRESS } from './faults.ts';
import { folioNid, folioSet } from './folio.ts';
import { PAGE_SIZE } from './limits.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY } from './mm_types.ts';
import { totalManaged } from './show_mem.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { diskOverwriteLocked } from './swap_disk.ts';
import { slotOnFile } from './swap_info.ts';
import { EV } from './vmstat_items.ts';
import { ZS_HANDLE_NONE, zsMalloc, zsView, zsWrite } from './zsmalloc.ts';
import { ZS_POOL_ZSWAP } from './zsmalloc_sizes.ts';
import {
  hasZswap,
  zswapFreeLocked,
  zswapHolds,
  zswapInsertLocked,
  zswapInvalidateLocked,
  zswapTotalPages,
} from './zswap_entry.ts';
import * as Z from './zswap_types.ts';

/** Results of a load. */
export const ZSWAP_NOT_HERE = 0;
export const ZSWAP_LOADED = 1;
export const ZSWAP_BROKEN = 2;

/** Makes room in a group that is over its own limit. @returns whether it did */
type ShrinkGroup = (m: Mm, memcg: number) => boolean;

/** Code, not state: the same in every worker. Writing back imports us, not the other way round. */
let shrinkGroup: ShrinkGroup = () => false;

/** @context once per worker, at import of zswap_writeback.ts */
export function registerZswapShrink(shrink: ShrinkGroup): void {
  shrinkGroup = shrink;
}

/** Pages that the pool may have (zswap_max_pages). */
export function zswapMaxPages(m: Mm): number {
  const percent = Atomics.load(m.zswapWords, Z.ZSWAP_MAX_POOL_PERCENT);
  return Math.floor((totalManaged(m) * percent) / 100);
}

/** Pages below which a pool that was full takes more (zswap_accept_thr_pages). */
export function zswapAcceptPages(m: Mm): number {
  const percent = Atomics.load(m.zswapWords, Z.ZSWAP_ACCEPT_THRESHOLD_PERCENT);
  return Math.floor((zswapMaxPages(m) * percent) / 100);
}

/** Full at the limit, and until it is below the threshold (zswap_check_limits). */
export function zswapIsFull(m: Mm): boolean {
  const pages = zswapTotalPages(m);
  if (pages >= zswapMaxPages(m)) {
    Atomics.add(m.zswapWords, Z.ZSWAP_POOL_LIMIT_HIT, 1);
    Atomics.store(m.zswapWords, Z.ZSWAP_FULL, 1);
    return true;
  }
  if (Atomics.load(m.zswapWords, Z.ZSWAP_FULL) === 0) return false;
  if (pages > zswapAcceptPages(m)) return true;
  Atomics.store(m.zswapWords, Z.ZSWAP_FULL, 0);
  return false;
}

/** Is no group from this one upwards at its memory.zswap.max (obj_cgroup_may_zswap)? */
function groupMayStore(m: Mm, memcg: number): boolean {
  for (let group = memcg; group !== 0; group = m.memcg.parent[group] as number) {
    const limit = Atomics.load(m.memcg.zswapLimit, group);
    if (limit === 0) continue;
    const pages = (Atomics.load(m.memcg.zswapUnits, group) * Z.ZSWAP_UNIT) / PAGE_SIZE;
    if (pages >= limit - 1) return false;
  }
  return true;
}

/** May a group's entries be written to the file (mem_cgroup_zswap_writeback_enabled)? */
export function zswapWritebackEnabled(m: Mm, memcg: number): boolean {
  for (let group = memcg; ; group = m.memcg.parent[group] as number) {
    if (Atomics.load(m.memcg.zswapNoWriteback, group) === 1) return false;
    if (group === 0) return true;
  }
}

/** Asks zswap_shrink to make room. */
function kickShrink(m: Mm): void {
  // PAIRS(zswap-shrink): stored before the wake; the daemon looks at it once it is in the queue.
  Atomics.store(m.zswapWords, Z.ZSWAP_WORK, 1);
  wakeUp(m.zswapWait, 0, WAKE_ALL);
}

/**
 * Would a page of the group be taken, as far as limits say? Nothing is shrunk or counted for it.
 * @context any; a hint
 */
export function zswapMayStore(m: Mm, memcg: number): boolean {
  const full = Atomics.load(m.zswapWords, Z.ZSWAP_FULL) === 1;
  return !full && groupMayStore(m, memcg);
}

function mayStore(m: Mm, memcg: number): boolean {
  if (Atomics.load(m.zswapWords, Z.ZSWAP_ENABLED) === 0) return false;
  if (!groupMayStore(m, memcg) && !(shrinkGroup(m, memcg) && groupMayStore(m, memcg))) return false;
  if (zswapIsFull(m)) {
    kickShrink(m);
    return false;
  }
  return true;
}

/** What one page became. Private to the thread. */
const packed = { handle: 0, length: 0 };

/** Compresses a page into the pool; into `packed`. @returns false when it is rejected */
function pack(m: Mm, pfn: number, memcg: number): boolean {
  packed.handle = 0;
  packed.length = Z.ZSWAP_VOID_BYTES;
  if (!m.config.contents) return true;
  const page = pageBytes(m, pfn);
  const failed = shouldFail(FAULT_COMPRESS);
  let bytes = failed ? page : compressPage(page, m.config.compressCost);
  if (failed || bytes.length >= PAGE_SIZE) {
    // Kept raw, so that the list is in the order of use: but only where it can be written back.
    if (!zswapWritebackEnabled(m, memcg)) {
      const why = failed ? Z.ZSWAP_REJECT_COMPRESS_FAIL : Z.ZSWAP_REJECT_COMPRESS_POOR;
      Atomics.add(m.zswapWords, why, 1);
      return false;
    }
    bytes = page;
  }
  const handle = zsMalloc(m, bytes.length, ZS_POOL_ZSWAP);
  if (handle === ZS_HANDLE_NONE) {
    Atomics.add(m.zswapWords, Z.ZSWAP_REJECT_ALLOC_FAIL, 1);
    return false;
  }
  zsWrite(m, handle, bytes);
  packed.handle = handle;
  packed.length = bytes.length;
  return true;
}

/** Frees what zswap has of a slot. @context the slot's folio locked; takes swap_cluster */
export function zswapInvalidate(m: Mm, slot: number): void {
  if (!zswapHolds(m, slot)) return;
  clusterLock(m, slot);
  zswapInvalidateLocked(m, slot);
  clusterUnlock(m, slot);
}

/**
 * Takes a folio's page (zswap_store).
 * @returns false when it is to go to the device: zswap then has nothing of the slot
 * @context folio locked in the swap cache, unmapped and flushed; or in writeback, by kcompressd,
 *   where what is stored may be old at once, and the folio dirty; takes swap_cluster; may write
 *   other entries back, for which it allocates from reserves
 */
export function zswapStore(m: Mm, pfn: number, slot: number): boolean {
  if (!hasZswap(m) || !slotOnFile(m, slot)) return false;
  const memcg = m.slot.memcg[slot] as number;
  if (!mayStore(m, memcg) || !pack(m, pfn, memcg)) {
    zswapInvalidate(m, slot);
    return false;
  }
  const { handle, length } = packed;
  clusterLock(m, slot);
  zswapInvalidateLocked(m, slot);
  diskOverwriteLocked(m, slot);
  zswapInsertLocked(m, slot, handle, length, folioNid(m, pfn));
  clusterUnlock(m, slot);
  m.task.events[EV.zswpout] = (m.task.events[EV.zswpout] as number) + 1;
  return true;
}

/**
 * Unpacks an entry.
 * @param page PAGE_SIZE bytes
 * @returns false when what is stored is no page
 * @context zswap holds the slot, and it does not change: its folio is locked, or swap_cluster held
 */
export function zswapReadInto(m: Mm, slot: number, page: Uint8Array): boolean {
  const length = m.zswap.length[slot] as number;
  const bytes = zsView(m, m.zswap.handle[slot] as number, length);
  try {
    if (length === PAGE_SIZE) page.set(bytes);
    else decompressPage(bytes, page);
    return true;
  } catch {
    Atomics.add(m.zswapWords, Z.ZSWAP_DECOMPRESS_FAIL, 1);
    return false;
  }
}

/**
 * Gives a slot's page to its folio, and forgets it (zswap_load).
 * @returns ZSWAP_NOT_HERE, ZSWAP_LOADED, or ZSWAP_BROKEN: the folio's bytes are anything
 * @context folio locked, in the swap cache, not up to date; takes swap_cluster
 */
export function zswapLoad(m: Mm, pfn: number, slot: number): number {
  if (!zswapHolds(m, slot)) return ZSWAP_NOT_HERE;
  if (m.config.contents && !zswapReadInto(m, slot, pageBytes(m, pfn))) return ZSWAP_BROKEN;
  // The only copy from here on.
  folioSet(m, pfn, PG_DIRTY);
  clusterLock(m, slot);
  zswapFreeLocked(m, slot);
  clusterUnlock(m, slot);
  m.task.events[EV.zswpin] = (m.task.events[EV.zswpin] as number) + 1;
  return ZSWAP_LOADED;
}
