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
import { shrinkerPut, shrinkerTryGet } from './shrinker.ts';
import { clearShrinkerBit, derefInfo, infoNrMax, infoUnit } from './shrinker_info.ts';
import { clearStaleBit, idleWithoutKmem, shrinkOne, shrinkOwn } from './shrinker_one.ts';
import { SHRINKER_DYING, SHRINKER_UNIT_BITS, UNIT_MAP_WORDS } from './shrinker_types.ts';
import { EV } from './vmstat_items.ts';

/**
 * Steps 4 and 5: a reference on the shrinker of an id.
 * @returns its row, 0 for none
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
  if (going || m.shrinkerFlaws.has('early-clear')) clearStaleBit(m, unit, id, s);
  rcuReadUnlock();
  return 0;
}

/** The set bits of one word of a unit. @returns objects freed */
function shrinkWord(
  m: Mm,
  gfp: number,
  nid: number,
  memcg: number,
  unit: number,
  first: number,
  bitmap: number,
  priority: number,
): number {
  let freed = 0;
  for (let bits = bitmap; bits !== 0; bits &= bits - 1) {
    const id = first + 31 - Math.clz32(bits & -bits);
    const s = takeShrinker(m, unit, id);
    if (s === 0) continue;
    if (idleWithoutKmem(m, s)) {
      if (m.shrinkerFlaws.has('leak')) continue;
      clearShrinkerBit(m, unit, id);
    } else {
      freed += shrinkOne(m, gfp, nid, memcg, s, id, unit, priority);
    }
    shrinkerPut(m, s);
  }
  return freed;
}

/**
 * The shrinkers that have a bit.
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
  const { unitMap } = m.shrinker;
  const lruvec = memcg * m.sizes.nrNodes + nid;
  let freed = 0;
  for (let first = 0; ; first += SHRINKER_UNIT_BITS) {
    rcuReadLock();
    const info = derefInfo(m, lruvec);
    const there = info !== 0 && first < infoNrMax(m, info);
    const unit = there ? infoUnit(m, info, first / SHRINKER_UNIT_BITS) : 0;
    rcuReadUnlock();
    if (unit === 0) return freed;
    for (let word = 0; word < UNIT_MAP_WORDS; word++) {
      const bitmap = Atomics.load(unitMap, unit * UNIT_MAP_WORDS + word);
      if (bitmap === 0) continue;
      freed += shrinkWord(m, gfp, nid, memcg, unit, first + word * 32, bitmap, priority);
    }
  }
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
