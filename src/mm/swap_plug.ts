// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writes to swap files that are under way (block/blk-core.c, the plug of mm/vmscan.c's
 * shrink_lruvec; mm/page_io.c, end_swap_bio_write).
 *
 *   plugged     a pass over an lruvec has written them, and keeps them back: one request for
 *               neighbours is better than many
 *   submitted   the pass has ended, or had enough to hand over: the device has them
 *   done        the device's time is over: writeback ends, and reclaim finds the page at the end of
 *               its list
 *
 * A device is slower than reclaim: a pass never frees what it wrote and goes on to other pages, the
 * next ones may not either, and a fault finds such a page in the swap cache. A reclaim that ends
 * leaves nothing under way: the program is slower than the device.
 *
 * Here the bytes are with the host at once; what is late is the end of writeback. Late by the clock
 * of reclaim's own work, so that runs repeat: so many microseconds a page, as measured on a real
 * kernel (docs/fidelity.md has how). It is the writer's own to bring about, so a thread that is
 * about to sleep does that first, as the kernel flushes a plug.
 */
import { folioEndWriteback, folioPages, folioTestClear, ownWrites } from './folio.ts';
import { rotateReclaimable } from './lru_rotate.ts';
import type { Mm } from './mm.ts';
import { PG_RECLAIM } from './mm_types.ts';
import { folioPut } from './swap.ts';

/** What reclaim takes for a page that it looks at, and more for one that it writes, in us. */
const SCAN_US = 0.5;
const WRITE_US = 2.5;
/** What a disk takes for what it was handed at once, in us. */
const DEVICE_US = 125;
/** Requests that a plug holds at most (BLK_MAX_REQUEST_COUNT). */
const REQUESTS_MAX = 32;
/** One of so many pages is worth handing over with the next (BLK_PLUG_FLUSH_SIZE). */
const FLUSH_PAGES = 32;
/** Pages of one request at most: the segments of a virtio disk. */
const REQUEST_PAGES_MAX = 254;

/** Pages that this thread has in writeback, with a reference each, oldest first. */
const underWay: number[] = [];
/** Of what was submitted, oldest first: how many at once, and when the device has done them. */
const handed: { folios: number; until: number }[] = [];
/** How many of `underWay` are submitted. */
let submitted = 0;
/** Time of this thread's reclaim, in us. */
let now = 0;
/** Requests in the plug, and the last of them: its slots. */
let requests = 0;
let first = 0;
let end = 0;

/**
 * A page is on its device, but its writeback has not ended.
 * @context folio locked, in writeback; the caller's reclaim ends with plugFinish
 */
export function plugAdd(m: Mm, pfn: number): void {
  const pages = folioPages(m, pfn);
  addToRequest(m.page.private[pfn] as number, pages);
  Atomics.add(m.page.refcount, pfn, 1);
  underWay.push(pfn);
  now += pages * WRITE_US;
  ownWrites.finish = plugFinish;
}

/**
 * Slots become part of the last request, if they are its neighbours; else they begin another, and
 * what is plugged goes to the device when that has become much (blk_add_rq_to_plug).
 */
function addToRequest(slot: number, pages: number): void {
  if (requests > 0 && end - first + pages <= REQUEST_PAGES_MAX) {
    if (slot === end) {
      end += pages;
      return;
    }
    if (slot + pages === first) {
      first = slot;
      return;
    }
  }
  if (requests === REQUESTS_MAX || (requests > 0 && end - first >= FLUSH_PAGES)) plugSubmit();
  requests++;
  first = slot;
  end = slot + pages;
}

/** Writeback of the oldest `count` ends, in the order of writing: the last is found first. */
function complete(m: Mm, count: number): void {
  for (let i = 0; i < count; i++) {
    const pfn = underWay[i] as number;
    const wanted = folioTestClear(m, pfn, PG_RECLAIM);
    folioEndWriteback(m, pfn);
    if (wanted) rotateReclaimable(m, pfn);
    folioPut(m, pfn);
  }
  underWay.splice(0, count);
}

/** Reclaim has looked at some pages: time goes by. @context this thread's reclaim */
export function plugTick(pages: number): void {
  now += pages * SCAN_US;
}

/**
 * A turn begins (lru_add_drain): what the device has done meanwhile is at the end of the list.
 * @context no spinlock held; takes lru_lock
 */
export function plugPoll(m: Mm): void {
  while (handed.length > 0 && (handed[0] as { until: number }).until <= now) {
    const { folios } = handed.shift() as { folios: number };
    submitted -= folios;
    complete(m, folios);
  }
}

/**
 * A pass over an lruvec has ended (blk_finish_plug), or the plug is full: the device gets what is
 * in it.
 * @context this thread's reclaim
 */
export function plugSubmit(): void {
  const folios = underWay.length - submitted;
  if (folios > 0) handed.push({ folios, until: now + DEVICE_US });
  submitted += folios;
  requests = 0;
}

/**
 * The device has done all that this thread gave it.
 * @context no spinlock held; takes lru_lock; folio locks may be held
 */
export function plugFinish(m: Mm): void {
  handed.length = 0;
  submitted = 0;
  requests = 0;
  if (underWay.length > 0) complete(m, underWay.length);
  ownWrites.finish = null;
}
