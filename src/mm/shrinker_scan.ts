// SPDX-License-Identifier: GPL-2.0-only
/**
 * How much of one shrinker is scanned (mm/shrinker.c, do_shrink_slab).
 *
 *   delta = (freeable >> priority) x 4 / seeks, half of it all for seeks 0
 *   scan    (put off before >> priority) + delta, at most 2 x freeable, a batch at a time
 *   put off what is left of (put off before + delta), at most 2 x freeable, and DEFERRED_MAX
 */
import { assert } from '../../shared/assert.ts';
import { THREADS_MAX } from '../../shared/limits.ts';
import { condResched } from '../../shared/sched.ts';
import type { Mm } from './mm.ts';
import { addNrDeferred, xchgNrDeferred } from './shrinker_info.ts';
import { shrinkerMapAcquire, shrinkerMapRelease } from './shrinker_map.ts';
import {
  SHRINK_BATCH,
  SHRINK_EMPTY,
  SHRINK_STOP,
  type ShrinkControl,
  type ShrinkerType,
  shrinkerType,
} from './shrinker_ops.ts';
import { EV } from './vmstat_items.ts';

/**
 * Most objects that one pass puts off. Put-off work is an i32, where the kernel has an atomic_long:
 * so many from every thread at once still fit.
 */
const DEFERRED_MAX = 2 ** 24;
assert(DEFERRED_MAX * (THREADS_MAX - 1) < 2 ** 31, 'put-off work of all threads fits in an i32');

/** Objects that one pass aims for, put-off work apart. */
function scanDelta(m: Mm, s: number, freeable: number, priority: number): number {
  const seeks = m.shrinker.seeks[s] as number;
  // Objects that are cheap to make again go faster.
  if (seeks === 0) return Math.floor(freeable / 2);
  return Math.floor(((freeable >> priority) * 4) / seeks);
}

/** Scans batch by batch. @returns objects freed; `scanned` is left in the record */
function scanBatches(
  m: Mm,
  type: ShrinkerType,
  sc: ShrinkControl,
  total: number,
  freeable: number,
): number {
  const { events } = m.task;
  const batch = (m.shrinker.batch[sc.shrinker] as number) || SHRINK_BATCH;
  let left = total;
  let freed = 0;
  progress.scanned = 0;
  while (left >= batch || left >= freeable) {
    const turn = Math.min(batch, left);
    sc.nrToScan = turn;
    sc.nrScanned = turn;
    events[EV.kr_shrink_scan] = (events[EV.kr_shrink_scan] as number) + 1;
    const result = type.scanObjects(m, sc);
    if (result === SHRINK_STOP) break;
    freed += result;
    const scanned = Math.min(sc.nrScanned, turn);
    events[EV.slabs_scanned] = (events[EV.slabs_scanned] as number) + scanned;
    left -= scanned;
    progress.scanned += scanned;
    if (scanned === 0) break;
    condResched();
  }
  return freed;
}

/** Second result of scanBatches: private to the thread. */
const progress = { scanned: 0 };

/**
 * Counts a shrinker's objects, and scans its share of them.
 * @param sc nid, memcg, gfp and shrinker are set @param priority 12 (gentle) .. 0 (everything)
 * @returns objects freed, or SHRINK_EMPTY when it has none
 * @context may block in the callbacks; the shrinker cannot go meanwhile (reference, SRCU or rwsem)
 */
export function doShrinkSlab(m: Mm, sc: ShrinkControl, priority: number): number {
  const s = sc.shrinker;
  const type = shrinkerType(m, s);
  const { events } = m.task;
  sc.arg = m.shrinker.arg[s] as number;
  events[EV.kr_shrink_count] = (events[EV.kr_shrink_count] as number) + 1;
  shrinkerMapAcquire(m, s);
  const freeable = type.countObjects(m, sc);
  if (freeable === 0 || freeable === SHRINK_EMPTY) {
    shrinkerMapRelease(m, s);
    return freeable;
  }
  const nr = xchgNrDeferred(m, s, sc.nid, sc.memcg);
  const delta = scanDelta(m, s, freeable, priority);
  const most = 2 * freeable;
  const total = Math.min((nr >> priority) + delta, most);
  const freed = scanBatches(m, type, sc, total, freeable);
  shrinkerMapRelease(m, s);
  const rest = Math.min(Math.max(nr + delta - progress.scanned, 0), most, DEFERRED_MAX);
  addNrDeferred(m, rest, s, sc.nid, sc.memcg);
  return freed;
}
