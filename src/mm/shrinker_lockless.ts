// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walks without a lock: the seed, and what it became.
 *
 *   1 rcu   the group's info; past its last unit: done
 *   2       a unit of it, and out of RCU: units stay while the group does
 *   3       each set bit is an id
 *   4 rcu   the id's shrinker
 *   5       none, or no reference to be had: its bit goes, unless it only is not registered yet
 *           else out of RCU, with a reference: the callbacks may sleep
 *   6       run it; put it: the last reference wakes shrinkerFree
 *   7       the next unit, from 1: the info may have been replaced meanwhile
 *
 * The list of all, for the root, is walked with a reference on where one stands, which is put only
 * when RCU holds the next.
 */
import { rcuDereference, rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import type { Mm } from './mm.ts';
import { NEXT_LAST_PUT, type ShrinkScan, shrinkScanOf } from './shrink_kernel.ts';
import { shrinkerPut, shrinkerTryGet } from './shrinker.ts';
import { clearShrinkerBit, homeOfUnit } from './shrinker_info.ts';
import { clearStaleBit, idleWithoutKmem, shrinkOne, shrinkOwn } from './shrinker_one.ts';
import { SHRINKER_DYING } from './shrinker_types.ts';
import { EV } from './vmstat_items.ts';

/**
 * Steps 4 and 5 again, for an id whose shrinker could not simply be taken.
 * @returns its row with a reference, 0 for none
 */
function takeShrinker(m: Mm, unit: number, id: number): number {
  rcuReadLock();
  const s = rcuDereference(m.shrinker.idr, id);
  if (s !== 0 && shrinkerTryGet(m, s)) {
    rcuReadUnlock();
    return s;
  }
  // One that is not registered yet may have objects, whose bit this is.
  const going = s === 0 || (Atomics.load(m.shrinker.flags, s) & SHRINKER_DYING) !== 0;
  if (going) clearStaleBit(m, unit, id, s);
  else if (m.shrinkerFlaws.has('early-clear')) clearShrinkerBit(m, unit, id);
  rcuReadUnlock();
  return 0;
}

/** Steps 6 and 7: puts. @returns the next shrinker as `scan.next` does */
function putNext(m: Mm, scan: ShrinkScan, s: number, lruvec: number, id: number): number {
  const next = scan.putNext(s, lruvec, id + 1);
  if (next !== NEXT_LAST_PUT) return next;
  shrinkerPut(m, s);
  return scan.next(lruvec, id + 1);
}

/**
 * The shrinkers that have a bit. Steps 1 to 5 are the scan's (shrink_kernel.ts), which has found
 * the bit of an id and taken its shrinker, or says that it could not.
 * @returns objects freed
 * @context a reference on the group is held, no spinlock; may block in callbacks
 */
export function shrinkMemcgLockless(
  m: Mm,
  gfp: number,
  nid: number,
  memcg: number,
  priority: number,
): number {
  const { events } = m.task;
  events[EV.kr_shrink_walk] = (events[EV.kr_shrink_walk] as number) + 1;
  const scan = shrinkScanOf(m);
  const lruvec = memcg * m.sizes.nrNodes + nid;
  let freed = 0;
  for (let s = scan.next(lruvec, 0); s !== 0; ) {
    const id = s < 0 ? ~s : (m.shrinker.id[s] as number);
    if (s < 0) s = takeShrinker(m, homeOfUnit(m, lruvec, id), id);
    if (s === 0) {
      s = scan.next(lruvec, id + 1);
      continue;
    }
    const unit = homeOfUnit(m, lruvec, id);
    if (!idleWithoutKmem(m, s)) {
      freed += shrinkOne(m, gfp, nid, memcg, s, id, unit, priority);
    } else if (m.shrinkerFlaws.has('leak')) {
      s = scan.next(lruvec, id + 1);
      continue;
    } else {
      clearShrinkerBit(m, unit, id);
    }
    s = putNext(m, scan, s, lruvec, id);
  }
  return freed;
}

/**
 * Every shrinker, for the root.
 * @returns objects freed
 * @context no spinlock held; may block in callbacks
 */
export function shrinkGlobalLockless(m: Mm, gfp: number, nid: number, priority: number): number {
  const { events } = m.task;
  events[EV.kr_shrink_walk] = (events[EV.kr_shrink_walk] as number) + 1;
  const { next } = m.shrinker;
  let freed = 0;
  rcuReadLock();
  for (let s = rcuDereference(next, 0); s !== 0; s = rcuDereference(next, s)) {
    if (!shrinkerTryGet(m, s)) continue;
    rcuReadUnlock();
    freed += shrinkOwn(m, gfp, nid, s, priority);
    // Inside RCU before the put: what stands next cannot be taken off the list before the put, and
    // its row not be used again before this section ends.
    rcuReadLock();
    shrinkerPut(m, s);
  }
  rcuReadUnlock();
  return freed;
}
