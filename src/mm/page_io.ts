// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap I/O: one page between a frame and the swap device (mm/page_io.c).
 *
 * When swapWriteout returns, writeback has ended, but for pages that a turn of reclaim writes to a
 * file: those are under way for a while yet (swap_plug.ts). What kcompressd is to compress is
 * handed to it, and written when it comes to it.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { pageWords, sameFilledWord } from './content.ts';
import { FAULT_DELAY, FAULT_READ, FAULT_WRITE } from './faults.ts';
import {
  folioClear,
  folioEndWriteback,
  folioNid,
  folioOrder,
  folioSet,
  folioUnlock,
} from './folio.ts';
import { kcompressdQueue } from './kcompressd.ts';
import { KCOMPRESSD_OFF } from './kcompressd_types.ts';
import { lruvecRow } from './lruvec.ts';
import { countMemcg, MS } from './memcg_events.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_RECLAIM, PG_UPTODATE, PG_WRITEBACK } from './mm_types.ts';
import { countMthpEvent } from './mthp_stat.ts';
import { deviceDiscard, deviceRead, deviceWrite } from './swap_backend.ts';
import { slotOnFile } from './swap_info.ts';
import { plugAdd } from './swap_plug.ts';
import { MTHP } from './thp_types.ts';
import { EV } from './vmstat_items.ts';
import { zeromapTest, zeromapTestClear, zeromapTestSet } from './zeromap.ts';
import {
  ZSWAP_BROKEN,
  ZSWAP_NOT_HERE,
  zswapInvalidate,
  zswapLoad,
  zswapStore,
  zswapWritebackEnabled,
} from './zswap.ts';
import { hasZswap } from './zswap_entry.ts';

/** The page is on the device, or under way to it; the folio is unlocked. */
export const WRITE_DONE = 0;
/** The device could not take it; the folio is dirty again, and still locked. */
export const WRITE_FAILED = 1;
/** kcompressd has the folio, which is not the caller's any more. */
export const WRITE_QUEUED = 2;

/**
 * Writes a folio to its slot (swap_writeout).
 * @param plugged the caller's reclaim ends with plugFinish: what goes to a file is under way till
 *   then, or less long
 * @returns WRITE_DONE (folio unlocked), WRITE_QUEUED or WRITE_FAILED (folio locked, dirty)
 * @context folio locked, in the swap cache, its dirty bit cleared for I/O, unmapped and flushed
 */
export function swapWriteout(m: Mm, pfn: number, plugged = false): number {
  const slot = m.page.private[pfn] as number;
  const zero = folioOrder(m, pfn) === 0 && storeZero(m, pfn, slot);
  if (zero) return stored(m, pfn);
  const asynchronous = m.kcompressdPolicy !== KCOMPRESSD_OFF && kcompressdQueue(m, pfn, slot);
  return asynchronous ? WRITE_QUEUED : writeNow(m, pfn, plugged);
}

/** The page needed no device. @context folio locked */
function stored(m: Mm, pfn: number): number {
  folioClear(m, pfn, PG_RECLAIM);
  folioUnlock(m, pfn);
  return WRITE_DONE;
}

/** The caller writes, whoever it is. @returns and @context as swapWriteout, without WRITE_QUEUED */
export function writeNow(m: Mm, pfn: number, plugged: boolean): number {
  const order = folioOrder(m, pfn);
  if (order > 0) return writeoutLarge(m, pfn, order, plugged);
  const slot = m.page.private[pfn] as number;
  if (zswapStore(m, pfn, slot)) return stored(m, pfn);
  if (!deviceAllowed(m, slot)) {
    folioSet(m, pfn, PG_DIRTY);
    folioClear(m, pfn, PG_RECLAIM);
    return WRITE_FAILED;
  }
  return writeToDevice(m, pfn, slot, plugged && slotOnFile(m, slot));
}

/** May the slot's page go to the device? Else its group keeps it in memory. */
function deviceAllowed(m: Mm, slot: number): boolean {
  return !hasZswap(m) || zswapWritebackEnabled(m, m.slot.memcg[slot] as number);
}
/** Keeps a page of zeroes in the zero map. @returns false for any other, which is not there then */
function storeZero(m: Mm, page: number, slot: number): boolean {
  const { events } = m.task;
  if (m.config.contents && sameFilledWord(m, page) === 0) {
    zswapInvalidate(m, slot);
    deviceDiscard(m, slot);
    if (zeromapTestSet(m, slot)) {
      events[EV.kr_swap_zero_freed] = (events[EV.kr_swap_zero_freed] as number) + 1;
    }
    events[EV.swpout_zero] = (events[EV.swpout_zero] as number) + 1;
    return true;
  }
  if (zeromapTestClear(m, slot)) {
    events[EV.kr_swap_zero_freed] = (events[EV.kr_swap_zero_freed] as number) + 1;
  }
  return false;
}

/**
 * Stores all pages of a folio: in the zero map, in zswap, or on the device. Whether a single page
 * is one of zeroes, `swapWriteout` has seen.
 * @returns how many needed no device, or -1 when one could not be stored
 * @context the slots are pinned: the folio is in writeback, or locked in the swap cache
 */
export function storeFolio(m: Mm, pfn: number): number {
  const pages = 1 << folioOrder(m, pfn);
  const slot = m.page.private[pfn] as number;
  const toDisk = deviceAllowed(m, slot);
  let kept = 0;
  for (let i = 0; i < pages; i++) {
    const zero = pages > 1 && storeZero(m, pfn + i, slot + i);
    if (zero || zswapStore(m, pfn + i, slot + i)) kept++;
    else if (!toDisk || !deviceStore(m, pfn + i, slot + i)) return -1;
  }
  if (pages > 1) {
    const zswap = hasZswap(m) && kept > 0;
    countMthpEvent(m, pfn, zswap ? MTHP.zswpout : MTHP.swpout, zswap ? null : 'thp_swpout');
  }
  return kept;
}

/**
 * As swapWriteout, for all pages of a large folio. What was stored when one fails stays stored: the
 * folio is dirty again, and its slots are written anew.
 */
function writeoutLarge(m: Mm, pfn: number, order: number, plugged: boolean): number {
  const pages = 1 << order;
  const slot = m.page.private[pfn] as number;
  folioSet(m, pfn, PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), pages);
  const kept = storeFolio(m, pfn);
  const failed = kept < 0;
  if (failed) folioSet(m, pfn, PG_DIRTY);
  const begun = plugged && !failed && kept < pages && slotOnFile(m, slot);
  if (begun) plugAdd(m, pfn);
  else {
    folioClear(m, pfn, PG_RECLAIM);
    folioEndWriteback(m, pfn);
  }
  if (failed) return WRITE_FAILED;
  folioUnlock(m, pfn);
  return WRITE_DONE;
}

/** The device's part of swapWriteout (__swap_writepage). @param begin leave it under way */
function writeToDevice(m: Mm, pfn: number, slot: number, begin: boolean): number {
  folioSet(m, pfn, PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), 1);
  if (!deviceStore(m, pfn, slot)) {
    folioSet(m, pfn, PG_DIRTY);
    folioClear(m, pfn, PG_RECLAIM);
    folioEndWriteback(m, pfn);
    return WRITE_FAILED;
  }
  if (begin) {
    plugAdd(m, pfn);
    folioUnlock(m, pfn);
    return WRITE_DONE;
  }
  folioClear(m, pfn, PG_RECLAIM);
  // Under the lock: whoever waits for it finds no writeback that would keep the slot.
  folioEndWriteback(m, pfn);
  folioUnlock(m, pfn);
  return WRITE_DONE;
}

/** Writes one page to its slot's device. @returns false when it was not taken */
function deviceStore(m: Mm, page: number, slot: number): boolean {
  const { events } = m.task;
  faultDelay(FAULT_DELAY);
  if (shouldFail(FAULT_WRITE) || !deviceWrite(m, page, slot)) return false;
  events[EV.pswpout] = (events[EV.pswpout] as number) + 1;
  countMemcg(m, m.page.memcg[page] as number, MS.pswpout);
  events[EV.pgpgout] = (events[EV.pgpgout] as number) + 4;
  events[EV.nr_written] = (events[EV.nr_written] as number) + 1;
  return true;
}

function countReadError(m: Mm): void {
  const { events } = m.task;
  events[EV.kr_swap_read_error] = (events[EV.kr_swap_read_error] as number) + 1;
}

/** The shrinker of zswap writes back less for a while (zswap_folio_swapin). */
function countDiskSwapin(m: Mm, pfn: number): void {
  const lruvec = lruvecRow(m, m.page.memcg[pfn] as number, folioNid(m, pfn));
  Atomics.add(m.lruvec.diskSwapins, lruvec, 1);
}

/**
 * Reads a folio's page from its slot (swap_read_folio). On an error of the device the folio stays
 * without PG_UPTODATE, for whoever wanted it to see.
 * @context folio locked, in the swap cache; may block
 */
export function swapReadFolio(m: Mm, pfn: number): void {
  const { events } = m.task;
  const slot = m.page.private[pfn] as number;
  assert((Atomics.load(m.page.flags, pfn) & PG_UPTODATE) === 0, 'reading over an uptodate folio');
  const zswap = zswapLoad(m, pfn, slot);
  if (zswap === ZSWAP_BROKEN) {
    countReadError(m);
    return;
  }
  if (zeromapTest(m, slot)) {
    if (m.config.contents) pageWords(m, pfn).fill(0);
    events[EV.swpin_zero] = (events[EV.swpin_zero] as number) + 1;
  } else if (zswap === ZSWAP_NOT_HERE) {
    if (hasZswap(m)) countDiskSwapin(m, pfn);
    events[EV.pswpin] = (events[EV.pswpin] as number) + 1;
    countMemcg(m, m.page.memcg[pfn] as number, MS.pswpin);
    events[EV.pgpgin] = (events[EV.pgpgin] as number) + 4;
    if (shouldFail(FAULT_READ) || !deviceRead(m, pfn, slot)) {
      countReadError(m);
      return;
    }
  }
  folioSet(m, pfn, PG_UPTODATE);
}
