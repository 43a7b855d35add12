// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap I/O: one page between a frame and the swap device (mm/page_io.c).
 *
 * zram is synchronous: when swapWriteout returns, writeback has ended.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { pageWords } from './content.ts';
import { FAULT_DELAY, FAULT_WRITE } from './faults.ts';
import { folioClear, folioEndWriteback, folioNid, folioSet, folioUnlock } from './folio.ts';
import { countMemcg, MS } from './memcg_events.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_RECLAIM, PG_UPTODATE, PG_WRITEBACK } from './mm_types.ts';
import { EV } from './vmstat_items.ts';
import { zeromapTest, zeromapTestClear, zeromapTestSet } from './zeromap.ts';
import { sameFilledWord, zramDiscard, zramRead, zramWrite } from './zram.ts';

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
    zramDiscard(m, slot);
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
  folioSet(m, pfn, PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), 1);
  faultDelay(FAULT_DELAY);
  if (shouldFail(FAULT_WRITE) || !zramWrite(m, pfn, slot)) {
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

/**
 * Reads a folio's page from its slot (swap_read_folio). @context folio locked, in the swap cache
 */
export function swapReadFolio(m: Mm, pfn: number): void {
  const { events } = m.task;
  const slot = m.page.private[pfn] as number;
  assert((Atomics.load(m.page.flags, pfn) & PG_UPTODATE) === 0, 'reading over an uptodate folio');
  if (zeromapTest(m, slot)) {
    if (m.config.contents) pageWords(m, pfn).fill(0);
    events[EV.swpin_zero] = (events[EV.swpin_zero] as number) + 1;
  } else {
    zramRead(m, pfn, slot);
    events[EV.pswpin] = (events[EV.pswpin] as number) + 1;
    countMemcg(m, m.page.memcg[pfn] as number, MS.pswpin);
    events[EV.pgpgin] = (events[EV.pgpgin] as number) + 4;
  }
  folioSet(m, pfn, PG_UPTODATE);
}
