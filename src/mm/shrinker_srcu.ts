// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walks in an SRCU section, as they were for a while before the seed: nothing is tried and nothing
 * is given up, but who frees a shrinker waits for every walk that runs, whatever it does. A
 * generation cuts walks short, so that it need not wait for whole ones.
 */
import { rcuDereference, rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { SrcuDomain } from '../../shared/srcu.ts';
import { LC_SHRINKER_SRCU } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { derefInfo, infoNrMax, infoUnit } from './shrinker_info.ts';
import { clearStaleBit, idleWithoutKmem, shrinkOne, shrinkOwn } from './shrinker_one.ts';
import {
  SHRINKER_GENERATION,
  SHRINKER_REGISTERED,
  SHRINKER_UNIT_BITS,
  UNIT_MAP_WORDS,
} from './shrinker_types.ts';
import { EV } from './vmstat_items.ts';

/** This thread's handle on the shrinkers' domain. */
export function shrinkerSrcu(m: Mm): SrcuDomain {
  m.task.shrinkerSrcu ??= new SrcuDomain(m.shrinker.srcu, LC_SHRINKER_SRCU, m.task.id);
  return m.task.shrinkerSrcu;
}

/** Has a shrinker been freed since the walk began? Then the walk ends, and claims progress. */
function cutShort(m: Mm, generation: number): boolean {
  if (Atomics.load(m.shrinker.words, SHRINKER_GENERATION) === generation) return false;
  m.task.events[EV.kr_shrink_early] = (m.task.events[EV.kr_shrink_early] as number) + 1;
  return true;
}

/** Row of a unit of a group on a node, 0 past the last. Units stay while the group does. */
function unitAt(m: Mm, lruvec: number, index: number): number {
  rcuReadLock();
  const info = derefInfo(m, lruvec);
  const there = info !== 0 && index < infoNrMax(m, info) / SHRINKER_UNIT_BITS;
  const unit = there ? infoUnit(m, info, index) : 0;
  rcuReadUnlock();
  return unit;
}

/**
 * The shrinkers that have a bit.
 * @returns objects freed
 * @context a reference on the group is held, no spinlock; may block in callbacks
 */
export function shrinkMemcgSrcu(
  m: Mm,
  gfp: number,
  nid: number,
  memcg: number,
  priority: number,
): number {
  const { events } = m.task;
  events[EV.kr_shrink_walk] = (events[EV.kr_shrink_walk] as number) + 1;
  const { unitMap, idr, flags, words } = m.shrinker;
  const lruvec = memcg * m.sizes.nrNodes + nid;
  const srcu = shrinkerSrcu(m);
  const side = srcu.readLock();
  const generation = Atomics.load(words, SHRINKER_GENERATION);
  let freed = 0;
  walk: for (let index = 0; ; index++) {
    const unit = unitAt(m, lruvec, index);
    if (unit === 0) break;
    for (let word = 0; word < UNIT_MAP_WORDS; word++) {
      let bits = Atomics.load(unitMap, unit * UNIT_MAP_WORDS + word);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const id = index * SHRINKER_UNIT_BITS + word * 32 + bit;
        const s = rcuDereference(idr, id);
        if (s === 0) {
          clearStaleBit(m, unit, id, 0);
          continue;
        }
        if ((Atomics.load(flags, s) & SHRINKER_REGISTERED) === 0) continue;
        if (idleWithoutKmem(m, s)) continue;
        freed += shrinkOne(m, gfp, nid, memcg, s, id, unit, priority);
        if (cutShort(m, generation)) {
          freed = freed === 0 ? 1 : freed;
          break walk;
        }
      }
    }
  }
  srcu.readUnlock(side);
  return freed;
}

/**
 * Every shrinker, for the root.
 * @returns objects freed
 * @context no spinlock held; may block in callbacks
 */
export function shrinkGlobalSrcu(m: Mm, gfp: number, nid: number, priority: number): number {
  const { events } = m.task;
  events[EV.kr_shrink_walk] = (events[EV.kr_shrink_walk] as number) + 1;
  const { next, words } = m.shrinker;
  const srcu = shrinkerSrcu(m);
  const side = srcu.readLock();
  const generation = Atomics.load(words, SHRINKER_GENERATION);
  let freed = 0;
  for (let s = Atomics.load(next, 0); s !== 0; s = Atomics.load(next, s)) {
    freed += shrinkOwn(m, gfp, nid, s, priority);
    if (cutShort(m, generation)) {
      freed = freed === 0 ? 1 : freed;
      break;
    }
  }
  srcu.readUnlock(side);
  return freed;
}
