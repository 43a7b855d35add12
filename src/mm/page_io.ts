// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap I/O: one page between a frame and the swap device (mm/page_io.c).
 *
 * The caller waits for the device, whatever it is: when swapWriteout returns, writeback has ended.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { pageWords } from './content.ts';
import { FAULT_DELAY, FAULT_READ, FAULT_WRITE } from './faults.ts';
import { folioClear, folioEndWriteback, folioNid, folioSet, folioUnlock } from './folio.ts';
import { lruvecRow } from './lruvec.ts';
import { countMemcg, MS } from './memcg_events.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_RECLAIM, PG_UPTODATE, PG_WRITEBACK } from './mm_types.ts';
import { deviceDiscard, deviceRead, deviceWrite } from './swap_backend.ts';
import { EV } from './vmstat_items.ts';
import { zeromapTest, zeromapTestClear, zeromapTestSet } from './zeromap.ts';
import { sameFilledWord } from './zram.ts';
import {
  ZSWAP_BROKEN,
  ZSWAP_NOT_HERE,
  zswapInvalidate,
  zswapLoad,
  zswapStore,
  zswapWritebackEnabled,
} from './zswap.ts';
import { hasZswap } from './zswap_entry.ts';

/** The page is on the device; the folio is unlocked. */
export const WRITE_DONE = 0;
/** The device could not take it; the folio is dirty again, and still locked. */
export const WRITE_FAILED = 1;

/**
 * Writes a folio to its slot (swap_writeout).
 * @returns WRITE_DONE (folio unlocked) or WRITE_FAILED (folio locked, dirty)
 * @context folio locked, in the swap cache, its dirty bit cleared for I/O, unmapped and flushed
 */
export function swapWriteout(m: Mm, pfn: number): number {
  const { events } = m.task;
  const slot = m.page.private[pfn] as number;
  if (m.config.contents && sameFilledWord(pageWords(m, pfn)) === 0) {
    zswapInvalidate(m, slot);
    deviceDiscard(m, slot);
    if (zeromapTestSet(m, slot)) {
      events[EV.kr_swap_zero_freed] = (events[EV.kr_swap_zero_freed] as number) + 1;
    }
    events[EV.swpout_zero] = (events[EV.swpout_zero] as number) + 1;
    folioClear(m, pfn, PG_RECLAIM);
    folioUnlock(m, pfn);
    return WRITE_DONE;
  }
  if (zeromapTestClear(m, slot)) {
    events[EV.kr_swap_zero_freed] = (events[EV.kr_swap_zero_freed] as number) + 1;
  }
  if (zswapStore(m, pfn, slot)) {
    folioClear(m, pfn, PG_RECLAIM);
    folioUnlock(m, pfn);
    return WRITE_DONE;
  }
  if (hasZswap(m) && !zswapWritebackEnabled(m, m.slot.memcg[slot] as number)) {
    // Its group keeps away from the disk: the page stays in memory.
    folioSet(m, pfn, PG_DIRTY);
    folioClear(m, pfn, PG_RECLAIM);
    return WRITE_FAILED;
  }
  return writeToDevice(m, pfn, slot);
}

/** The device's part of swapWriteout (__swap_writepage). */
function writeToDevice(m: Mm, pfn: number, slot: number): number {
  const { events } = m.task;
  folioSet(m, pfn, PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), 1);
  faultDelay(FAULT_DELAY);
  if (shouldFail(FAULT_WRITE) || !deviceWrite(m, pfn, slot)) {
    folioSet(m, pfn, PG_DIRTY);
    folioClear(m, pfn, PG_RECLAIM);
    folioEndWriteback(m, pfn);
    return WRITE_FAILED;
  }
  events[EV.pswpout] = (events[EV.pswpout] as number) + 1;
  countMemcg(m, m.page.memcg[pfn] as number, MS.pswpout);
  events[EV.pgpgout] = (events[EV.pgpgout] as number) + 4;
  events[EV.nr_written] = (events[EV.nr_written] as number) + 1;
  folioClear(m, pfn, PG_RECLAIM);
  // Under the lock: whoever waits for it finds no writeback that would keep the slot.
  folioEndWriteback(m, pfn);
  folioUnlock(m, pfn);
  return WRITE_DONE;
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
