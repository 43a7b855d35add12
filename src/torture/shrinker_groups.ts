// SPDX-License-Identifier: GPL-2.0-only
/**
 * Groups that come and go under the shrinker torture. One thread of those that make and remove them
 * is cgroup_destroy too. Objects of a removed group are the torture's own, and so is moving them.
 */
import { rcuQuiescent } from '../../shared/rcu.ts';
import { cgroupMkdir, cgroupRmdir } from '../mm/cgroup.ts';
import { cgroupReleasePass } from '../mm/cgroup_release.ts';
import { EBUSY, ENODEV, ENOSPC } from '../mm/errno.ts';
import { CGROUP_LIVE, memcgOnline, memcgPut, memcgRefs, memcgTryGet } from '../mm/memcg_css.ts';
import { MEMCG_FREE } from '../mm/mm_types.ts';
import type { Tally } from './job.ts';
import { turnOf } from './shrinker_barrier.ts';
import { moveObjects, unuseCell, useCell } from './shrinker_cells.ts';
import {
  CELLS,
  DOING_GROUP,
  doing,
  GROUPS,
  NODES,
  napOffline,
  type ShrinkerThread,
} from './shrinker_tables.ts';

/** Makes a group below any other. @returns whether there was room, and the parent still there */
function makeGroup(thread: ShrinkerThread, serial: number): boolean {
  const { m, ctx } = thread;
  const group = cgroupMkdir(m, ctx.prng.below(thread.groups), `g${ctx.id}.${serial}`, -1);
  if (group < 0 && group !== ENODEV && group !== ENOSPC) ctx.fail(`mkdir fails with ${group}`);
  return group > 0;
}

/** Removes any group, if it has no children. */
function removeGroup(thread: ShrinkerThread): boolean {
  const { t, m, ctx } = thread;
  const group = 1 + ctx.prng.below(thread.groups - 1);
  if (!memcgTryGet(m, group)) return false;
  const result = cgroupRmdir(m, group);
  if (result < 0 && result !== EBUSY && result !== ENODEV) ctx.fail(`rmdir fails with ${result}`);
  for (let cell = 0; result === 0 && cell < CELLS; cell++) {
    if (!useCell(t, cell)) continue;
    for (let nid = 0; nid < NODES; nid++) moveObjects(thread, cell, group, nid);
    unuseCell(t, cell);
  }
  memcgPut(m, group);
  return result === 0;
}

/** Makes and removes groups. @param destroys it also frees those whose last reference went */
export function grouperBody(thread: ShrinkerThread, destroys: boolean): Tally {
  const { m, ctx } = thread;
  let [made, removed, released] = [0, 0, 0];
  let many = true;
  for (let serial = 0; turnOf(thread); serial++) {
    doing(thread, DOING_GROUP);
    if (ctx.rarely(64)) many = !many;
    if (ctx.prng.below(8) < (many ? 6 : 3)) made += makeGroup(thread, serial) ? 1 : 0;
    else removed += removeGroup(thread) ? 1 : 0;
    if (destroys && ctx.rarely(4)) released += cgroupReleasePass(m);
    rcuQuiescent();
    if (ctx.rarely(8)) napOffline(ctx, ctx.prng.below(10) / 10);
  }
  return { made, removed, released };
}

/** At rest a group is held by itself, while online, and by its children. */
export function checkGroups({ m, ctx }: ShrinkerThread): void {
  const held = new Array<number>(GROUPS).fill(0);
  let live = 0;
  for (let group = 0; group < GROUPS; group++) {
    if (Atomics.load(m.memcg.state, group) === MEMCG_FREE) continue;
    live++;
    if (memcgOnline(m, group)) held[group] = (held[group] as number) + 1;
    const parent = m.memcg.parent[group] as number;
    held[parent] = (held[parent] as number) + 1;
  }
  for (let group = 1; group < GROUPS; group++) {
    const refs = memcgRefs(m, group);
    if (refs !== held[group]) {
      ctx.fail(`at rest, group ${group} has ${refs} references, of ${held[group]} holders`);
    }
  }
  const counted = m.cgroup[CGROUP_LIVE] as number;
  if (counted !== live) ctx.fail(`${live} groups are there, ${counted} are counted`);
}
