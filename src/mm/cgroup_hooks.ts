// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the rest of the engine does when a group comes, is removed, and goes (css_online,
 * css_offline and css_free of mm/memcontrol.c). One function for each moment.
 */
import { memcgReparentListLrus } from './list_lru.ts';
import { foldMemcgStats } from './memcg_events.ts';
import { dropProtection, memcgSetLow, memcgSetMin } from './memcg_protection.ts';
import { drainStockOf } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { memcgReparentObjcg, objcgAlloc } from './objcg.ts';
import { shadowNodesPrepare, shadowNodesReparent } from './shadow_nodes.ts';
import {
  allocShrinkerInfo,
  freeShrinkerInfo,
  reparentShrinkerDeferred,
} from './shrinker_expand.ts';
import { zswapPrepare } from './zswap_entry.ts';

/**
 * A group is about to be online: everything that it needs is allocated here.
 * @returns 0, or a negative errno: the group is then not made, and nothing of it is left
 * @context cgroup_mutex held; boot, or a thread that may block. The row has its parent and serial,
 *   and no reference yet: nobody can find the group, or hold it
 */
export function cgroupOnline(m: Mm, memcg: number): number {
  if (memcg === 0) return 0;
  const error = allocShrinkerInfo(m, memcg);
  if (error < 0) return error;
  const charged = objcgAlloc(m, memcg);
  if (charged < 0) {
    freeShrinkerInfo(m, memcg);
    return charged;
  }
  // Last, and without an answer: a group can do without.
  shadowNodesPrepare(m, memcg);
  zswapPrepare(m, memcg);
  return 0;
}

/**
 * A group was removed: what it holds for others goes to its parent, what threads keep for it comes
 * back. Pages and swap slots stay charged to it until they are reclaimed or freed.
 * @context cgroup_mutex held, the group dying with its base reference; may block
 */
export function cgroupOffline(m: Mm, memcg: number, parent: number): void {
  // The lists first: from then on objects that are added go to the parent's.
  memcgReparentListLrus(m, memcg, parent);
  memcgReparentObjcg(m, memcg, parent);
  shadowNodesReparent(m, memcg);
  reparentShrinkerDeferred(m, memcg);
  memcgSetMin(m, memcg, 0);
  memcgSetLow(m, memcg, 0);
  drainStockOf(m, memcg);
}

/**
 * A group's row is about to be free.
 * @context cgroup_mutex held; nobody has a reference, and a grace period has passed
 */
export function cgroupFree(m: Mm, memcg: number): void {
  freeShrinkerInfo(m, memcg);
  dropProtection(m, memcg);
  foldMemcgStats(m, memcg);
}
