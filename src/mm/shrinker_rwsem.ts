// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walks under shrinker_rwsem, as they were before the seed: the read side is tried, and when a
 * writer has it or waits for it, the walk gives up; a walk that a writer waits for ends early.
 */
import { rwsemContended, rwsemTryRead, rwsemUpRead } from '../../shared/rwsem.ts';
import { LC_SHRINKER } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { shrinkScanOf } from './shrink_kernel.ts';
import { clearShrinkerBit, homeOfUnit } from './shrinker_info.ts';
import { idleWithoutKmem, shrinkOne, shrinkOwn } from './shrinker_one.ts';
import { SHRINKER_REGISTERED } from './shrinker_types.ts';
import { EV } from './vmstat_items.ts';

/** Takes the read side, or counts that it could not. */
function begin(m: Mm): boolean {
  const { events } = m.task;
  events[EV.kr_shrink_walk] = (events[EV.kr_shrink_walk] as number) + 1;
  if (rwsemTryRead(m.shrinker.rwsem, 0, LC_SHRINKER)) return true;
  events[EV.kr_shrink_skipped] = (events[EV.kr_shrink_skipped] as number) + 1;
  return false;
}

/** Does a writer wait? Then the walk ends, and says that it has made progress. */
function contended(m: Mm): boolean {
  if (!rwsemContended(m.shrinker.rwsem, 0)) return false;
  m.task.events[EV.kr_shrink_early] = (m.task.events[EV.kr_shrink_early] as number) + 1;
  return true;
}

/** The shrinkers that have a bit. @returns objects freed */
export function shrinkMemcgRwsem(
  m: Mm,
  gfp: number,
  nid: number,
  memcg: number,
  priority: number,
): number {
  if (!begin(m)) return 0;
  const { flags } = m.shrinker;
  const scan = shrinkScanOf(m);
  const lruvec = memcg * m.sizes.nrNodes + nid;
  let freed = 0;
  for (let s = scan.look(lruvec, 0), id = 0; s !== 0; s = scan.look(lruvec, id + 1)) {
    id = s < 0 ? ~s : (m.shrinker.id[s] as number);
    const unit = homeOfUnit(m, lruvec, id);
    if (s < 0) {
      // Nobody can take the id while the read side is held.
      clearShrinkerBit(m, unit, id);
      continue;
    }
    // kreclaim-racy: another bit may change, this one does under the write side alone
    if (((flags[s] as number) & SHRINKER_REGISTERED) === 0 || idleWithoutKmem(m, s)) continue;
    freed += shrinkOne(m, gfp, nid, memcg, s, id, unit, priority);
    if (contended(m)) {
      freed = freed === 0 ? 1 : freed;
      break;
    }
  }
  rwsemUpRead(m.shrinker.rwsem, 0, LC_SHRINKER);
  return freed;
}

/** Every shrinker, for the root. @returns objects freed */
export function shrinkGlobalRwsem(m: Mm, gfp: number, nid: number, priority: number): number {
  if (!begin(m)) return 0;
  const { next } = m.shrinker;
  let freed = 0;
  for (let s = Atomics.load(next, 0); s !== 0; s = Atomics.load(next, s)) {
    freed += shrinkOwn(m, gfp, nid, s, priority);
    if (contended(m)) {
      freed = freed === 0 ? 1 : freed;
      break;
    }
  }
  rwsemUpRead(m.shrinker.rwsem, 0, LC_SHRINKER);
  return freed;
}
