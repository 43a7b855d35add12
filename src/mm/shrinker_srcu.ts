// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walks in an SRCU section, as they were for a while before the seed: nothing is tried and nothing
 * is given up, but who frees a shrinker waits for every walk that runs, whatever it does. A
 * generation cuts walks short, so that it need not wait for whole ones.
 */
import { SrcuDomain } from '../../shared/srcu.ts';
import { LC_SHRINKER_SRCU } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { shrinkScanOf } from './shrink_kernel.ts';
import { homeOfUnit } from './shrinker_info.ts';
import { clearStaleBit, idleWithoutKmem, shrinkOne, shrinkOwn } from './shrinker_one.ts';
import { SHRINKER_GENERATION, SHRINKER_REGISTERED } from './shrinker_types.ts';
import { JIFFY_MS } from './throttle.ts';
import { EV } from './vmstat_items.ts';

/** This thread's handle on the shrinkers' domain, which is paced by the jiffy as the kernel's. */
export function shrinkerSrcu(m: Mm): SrcuDomain {
  const { srcu } = m.shrinker;
  m.task.shrinkerSrcu ??= new SrcuDomain(srcu, LC_SHRINKER_SRCU, m.task.id, JIFFY_MS);
  return m.task.shrinkerSrcu;
}

/** Has a shrinker been freed since the walk began? Then the walk ends, and claims progress. */
function cutShort(m: Mm, generation: number): boolean {
  if (Atomics.load(m.shrinker.words, SHRINKER_GENERATION) === generation) return false;
  m.task.events[EV.kr_shrink_early] = (m.task.events[EV.kr_shrink_early] as number) + 1;
  return true;
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
  const { flags, words } = m.shrinker;
  const scan = shrinkScanOf(m);
  const lruvec = memcg * m.sizes.nrNodes + nid;
  const srcu = shrinkerSrcu(m);
  const side = srcu.readLock();
  const generation = Atomics.load(words, SHRINKER_GENERATION);
  let freed = 0;
  for (let s = scan.look(lruvec, 0), id = 0; s !== 0; s = scan.look(lruvec, id + 1)) {
    id = s < 0 ? ~s : (m.shrinker.id[s] as number);
    const unit = homeOfUnit(m, lruvec, id);
    if (s < 0) {
      clearStaleBit(m, unit, id, 0);
      continue;
    }
    // kreclaim-racy: one that is hidden now may still run, its owner waits for this section
    if (((flags[s] as number) & SHRINKER_REGISTERED) === 0 || idleWithoutKmem(m, s)) continue;
    freed += shrinkOne(m, gfp, nid, memcg, s, id, unit, priority);
    if (cutShort(m, generation)) {
      freed = freed === 0 ? 1 : freed;
      break;
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
