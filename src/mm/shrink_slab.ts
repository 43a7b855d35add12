// SPDX-License-Identifier: GPL-2.0-only
/**
 * Slab reclaim of a group on a node, by the machine's policy (mm/shrinker.c, shrink_slab). Who
 * calls it: shrink_node for every group that it visits.
 */
import { WALK_RWSEM, WALK_SRCU } from './config.ts';
import type { Mm } from './mm.ts';
import { MEMCG_ONLINE } from './mm_types.ts';
import { shrinkGlobalLockless, shrinkMemcgLockless } from './shrinker_lockless.ts';
import { shrinkGlobalRwsem, shrinkMemcgRwsem } from './shrinker_rwsem.ts';
import { shrinkGlobalSrcu, shrinkMemcgSrcu } from './shrinker_srcu.ts';
import { SHRINKER_LIVE } from './shrinker_types.ts';

/**
 * Shrinks the caches of one group on one node; those of the root are all shrinkers' own.
 * @param gfp GFP_* of the reclaimer @param priority 12 (gentle) .. 0 (everything)
 * @returns objects freed; with the policies rwsem and srcu also 1 for a walk that was cut short
 * @context a reference on the group is held, no lock but mmap_lock; may block in callbacks
 */
export function shrinkSlab(
  m: Mm,
  gfp: number,
  nid: number,
  memcg: number,
  priority: number,
): number {
  // A machine without shrinkers pays one look.
  // kreclaim-racy: a shrinker that comes or goes now may as well come or go after the walk
  if (m.shrinker.words[SHRINKER_LIVE] === 0) return 0;
  const walk = m.shrinkerWalk;
  if (memcg === 0) {
    if (walk === WALK_RWSEM) return shrinkGlobalRwsem(m, gfp, nid, priority);
    if (walk === WALK_SRCU) return shrinkGlobalSrcu(m, gfp, nid, priority);
    return shrinkGlobalLockless(m, gfp, nid, priority);
  }
  // What a removed group had is its parent's, or about to be.
  // kreclaim-racy: who is removed now may as well be removed during the walk
  if (m.memcg.state[memcg] !== MEMCG_ONLINE) return 0;
  if (walk === WALK_RWSEM) return shrinkMemcgRwsem(m, gfp, nid, memcg, priority);
  if (walk === WALK_SRCU) return shrinkMemcgSrcu(m, gfp, nid, memcg, priority);
  return shrinkMemcgLockless(m, gfp, nid, memcg, priority);
}
