// SPDX-License-Identifier: GPL-2.0-only
/**
 * Groups that come and go under the shrinker torture, with references of the torture's own, in the
 * order that the engine keeps: infos, then online; dying, then objects and put-off work to the
 * parent; when the last reference has gone a grace period, then the infos.
 */
import { mutexLock, mutexUnlock } from '../../shared/atomics_mutex.ts';
import { rcuQuiescent, synchronizeRcu } from '../../shared/rcu.ts';
import { refcountDecAndTest, refcountIncNotZero } from '../../shared/refcount.ts';
import { LC_CGROUP } from '../mm/lock_order.ts';
import { MEMCG_DYING, MEMCG_FREE, MEMCG_ONLINE } from '../mm/mm_types.ts';
import {
  allocShrinkerInfo,
  freeShrinkerInfo,
  reparentShrinkerDeferred,
} from '../mm/shrinker_expand.ts';
import type { Tally } from './job.ts';
import { turnOf } from './shrinker_barrier.ts';
import { moveObjects, unuseCell, useCell } from './shrinker_cells.ts';
import {
  CELLS,
  DOING_GROUP,
  doing,
  GROUP_LOCK,
  GROUPS,
  NODES,
  napOffline,
  type ShrinkerThread,
} from './shrinker_tables.ts';

/** Takes a reference on a group, if there is one in the row. The root is always there. */
export function tryGetGroup({ m }: ShrinkerThread, group: number): boolean {
  return group === 0 || refcountIncNotZero(m.memcg.refs, group);
}

/** Drops a reference; who drops the last one leaves the rest to a thread that may sleep. */
export function putGroup({ t, m }: ShrinkerThread, group: number): void {
  if (group === 0) return;
  if (refcountDecAndTest(m.memcg.refs, group)) Atomics.store(t.group.release, group, 1);
}

function makeGroup(thread: ShrinkerThread): number {
  const { t, m, ctx } = thread;
  const { state, parent, refs } = m.memcg;
  const { groups } = thread;
  const first = ctx.prng.below(groups);
  for (let i = 0; i < groups; i++) {
    const group = (first + i) % groups;
    if (group === 0 || Atomics.load(state, group) !== MEMCG_FREE) continue;
    const above = onlineGroup(thread);
    if (above !== 0 && !tryGetGroup(thread, above)) return 0;
    parent[group] = above;
    t.group.children[above] = (t.group.children[above] as number) + 1;
    t.group.children[group] = 0;
    const result = allocShrinkerInfo(m, group);
    if (result < 0) ctx.fail(`no info for a new group: ${result}`);
    Atomics.store(state, group, MEMCG_ONLINE);
    Atomics.store(refs, group, 1);
    return group;
  }
  return 0;
}

/** Any online group, the root among them. @context GROUP_LOCK held */
function onlineGroup({ m, ctx }: ShrinkerThread): number {
  const group = ctx.prng.below(GROUPS);
  return Atomics.load(m.memcg.state, group) === MEMCG_ONLINE ? group : 0;
}

function removeGroup(thread: ShrinkerThread): boolean {
  const { t, m } = thread;
  const group = onlineGroup(thread);
  if (group === 0 || (t.group.children[group] as number) > 0) return false;
  const above = m.memcg.parent[group] as number;
  t.group.children[above] = (t.group.children[above] as number) - 1;
  Atomics.store(m.memcg.state, group, MEMCG_DYING);
  for (let cell = 0; cell < CELLS; cell++) {
    if (!useCell(t, cell)) continue;
    for (let nid = 0; nid < NODES; nid++) moveObjects(thread, cell, group, nid);
    unuseCell(t, cell);
  }
  reparentShrinkerDeferred(m, group);
  putGroup(thread, group);
  return true;
}

/** Frees the groups whose last reference went. @returns how many */
function releaseGroups(thread: ShrinkerThread): number {
  const { t, m } = thread;
  let released = 0;
  for (let group = 1; group < GROUPS; group++) {
    if (Atomics.compareExchange(t.group.release, group, 1, 0) !== 1) continue;
    synchronizeRcu();
    freeShrinkerInfo(m, group);
    const above = m.memcg.parent[group] as number;
    Atomics.store(m.memcg.state, group, MEMCG_FREE);
    putGroup(thread, above);
    released++;
  }
  return released;
}

/** Makes and removes groups. */
export function grouperBody(thread: ShrinkerThread): Tally {
  const { t, ctx } = thread;
  const { prng } = ctx;
  let [made, removed, released] = [0, 0, 0];
  let many = true;
  while (turnOf(thread)) {
    doing(thread, DOING_GROUP);
    if (ctx.rarely(64)) many = !many;
    mutexLock(t.words, GROUP_LOCK, LC_CGROUP);
    try {
      if (prng.below(8) < (many ? 6 : 3)) made += makeGroup(thread) === 0 ? 0 : 1;
      else removed += removeGroup(thread) ? 1 : 0;
    } finally {
      mutexUnlock(t.words, GROUP_LOCK, LC_CGROUP);
    }
    if (ctx.rarely(4)) released += releaseGroups(thread);
    rcuQuiescent();
    if (ctx.rarely(8)) napOffline(ctx, prng.below(10) / 10);
  }
  return { made, removed, released };
}
