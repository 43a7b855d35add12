// SPDX-License-Identifier: GPL-2.0-only
/**
 * Mounts under the shrinker torture: real objects on real lists, mounted, used, unlinked, shrunk
 * and unmounted at once, while groups come, are full, and go; and the engine's own walkers at rest.
 */

import type { ShrinkerPolicy } from '../mm/config.ts';
import { bindMmTables } from '../mm/mm.ts';
import { mmInit } from '../mm/mm_init.ts';
import { EV } from '../mm/vmstat_items.ts';
import { type RoleTally, sumOf, type Tally, type TortureContext, type TortureType } from './job.ts';
import { mountKeeperBody } from './mounts_checks.ts';
import { cgrouperBody, mounterBody, reclaimerBody, userBody } from './mounts_roles.ts';
import {
  declareMountTorture,
  enterMountTorture,
  type MountTables,
  type MountThread,
  mountConfig,
} from './mounts_tables.ts';
import { REST_HANG_MS } from './shrinker_barrier.ts';
import { leaveTorture } from './shrinker_tables.ts';

const FIRST_ROLES = ['keeper', 'user', 'mounter', 'reclaimer', 'user', 'cgrouper'];
const MORE_ROLES = ['reclaimer', 'user', 'mounter', 'user'];

function rolesOf(threads: number): string[] {
  return Array.from({ length: threads }, (_, at) => {
    const more = (at - FIRST_ROLES.length) % MORE_ROLES.length;
    return FIRST_ROLES[at] ?? (MORE_ROLES[more] as string);
  });
}

function roleBody(thread: MountThread): Tally {
  const { role } = thread.ctx;
  if (role === 'keeper') return mountKeeperBody(thread);
  if (role === 'user') return userBody(thread);
  if (role === 'mounter') return mounterBody(thread);
  return role === 'cgrouper' ? cgrouperBody(thread) : reclaimerBody(thread);
}

function body(t: MountTables, ctx: TortureContext, policy: ShrinkerPolicy): Tally {
  const thread = enterMountTorture(t, ctx, policy);
  let thrown = true;
  try {
    const tally = roleBody(thread);
    thrown = false;
    const { events } = thread.m.task;
    const at = (item: number): number => events[item] as number;
    const calls = { counts: at(EV.kr_shrink_count), scans: at(EV.kr_shrink_scan) };
    const gaps = { skipped: at(EV.kr_shrink_skipped), early: at(EV.kr_shrink_early) };
    return { ...tally, ...calls, ...gaps, full: at(EV.kr_memcg_max) };
  } finally {
    leaveTorture(thread, thrown);
  }
}

function judge(tallies: readonly RoleTally[]) {
  const names = ['mounts', 'umounts', 'lookups', 'opens', 'unlinks', 'walks', 'counts', 'scans'];
  const more = ['objectsFreed', 'skipped', 'early', 'groupsMade', 'removed', 'released', 'full'];
  const rest = ['noMemory', 'busy', 'barriers', 'checked', 'lostBits'];
  const counts: Record<string, number> = {};
  for (const name of [...names, ...more, ...rest]) counts[name] = sumOf(tallies, name);
  const c = counts;
  const lost = c.lostBits === 0 ? [] : [`excused by the policy's flaws: ${c.lostBits} lost bits`];
  const lines = [
    `mounts: ${c.mounts} umounts: ${c.umounts} busy: ${c.busy} lookups: ${c.lookups}` +
      ` opens: ${c.opens} unlinks: ${c.unlinks} without memory: ${c.noMemory}`,
    `walks: ${c.walks} count: ${c.counts} scan: ${c.scans} objects freed: ${c.objectsFreed}` +
      ` skipped: ${c.skipped} early: ${c.early}`,
    `groups: made ${c.groupsMade} removed ${c.removed} released ${c.released} full: ${c.full}` +
      ` at rest: ${c.barriers} checks: ${c.checked}`,
    ...lost,
  ];
  return { lines, failures: [], counts };
}

function mountType(name: string, policy: ShrinkerPolicy) {
  return {
    name,
    busted: 'bits are cleared though there are objects',
    threadsMin: 6,
    hangMs: REST_HANG_MS,
    roles: rolesOf,
    declare: (builder) => declareMountTorture(builder, mountConfig(policy)),
    init: (t) => mmInit(bindMmTables(t.mm, { buffer: t.words.buffer }, mountConfig(policy), 0, -1)),
    body: (t, ctx) => body(t, ctx, policy),
    judge: (_, tallies) => judge(tallies),
  } satisfies TortureType<MountTables>;
}

/** Types of the group that mount. */
export const MOUNT_TYPES = [
  mountType('mounts_rwsem', 'rwsem'),
  mountType('mounts_srcu', 'srcu'),
  mountType('mounts_lockless', 'lockless'),
  mountType('mounts_fixed', 'lockless-fixed'),
];
