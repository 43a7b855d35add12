// SPDX-License-Identifier: GPL-2.0-only
/** What the threads of the mount torture do: mount, use files, walk, make and remove groups. */
import { rcuQuiescent } from '../../shared/rcu.ts';
import { cgroupMkdir, cgroupRmdir } from '../mm/cgroup.ts';
import { EBUSY, ENODEV, ENOENT, ENOMEM, ENOSPC, EPERM } from '../mm/errno.ts';
import { DISKFS, TMPFS } from '../mm/fs_types.ts';
import { memcgPut, memcgTryGet } from '../mm/memcg_css.ts';
import { FULL_WALK, memcgIter, memcgIterBreak } from '../mm/memcg_iter.ts';
import { closeFile, lookup, openFile, unlink } from '../mm/namei.ts';
import { shrinkSlab } from '../mm/shrink_slab.ts';
import { clearShrinkerBit, homeOfUnit } from '../mm/shrinker_info.ts';
import { GFP_KERNEL, GFP_NOFS } from '../mm/shrinker_ops.ts';
import { mount, umount } from '../mm/super.ts';
import type { Tally } from './job.ts';
import { joinGroup, MOUNT_GROUPS, MOUNTS, type MountThread, NAMES } from './mounts_tables.ts';
import { restsNow, turnOf } from './shrinker_barrier.ts';
import { DOING_GROUP, DOING_MOUNT, DOING_WALK, doing, napOffline } from './shrinker_tables.ts';

/** Open files of one thread. */
const OPEN_MOST = 8;

/** @throws nothing: a result that the call does not promise is a failure */
function expected({ ctx }: MountThread, call: string, result: number, errors: number[]): void {
  if (result < 0 && !errors.includes(result)) ctx.fail(`${call} fails with ${result}`);
}

export function mounterBody(thread: MountThread): Tally {
  const { m, ctx } = thread;
  const { prng } = ctx;
  const tally = { mounts: 0, umounts: 0, busy: 0, noMemory: 0 };
  let many = true;
  while (turnOf(thread)) {
    doing(thread, DOING_MOUNT);
    if (ctx.rarely(32)) many = !many;
    joinGroup(thread, prng.below(MOUNT_GROUPS));
    if (prng.below(8) < (many ? 6 : 2)) {
      const sb = mount(m, ctx.rarely(2) ? TMPFS : DISKFS, `mount${ctx.id}`);
      expected(thread, 'mount', sb, [ENOSPC, ENOMEM]);
      if (sb > 0) tally.mounts++;
      else if (sb === ENOMEM) tally.noMemory++;
    } else {
      const result = umount(m, 1 + prng.below(MOUNTS));
      expected(thread, 'umount', result, [EBUSY, ENODEV]);
      if (result === 0) tally.umounts++;
      else if (result === EBUSY) tally.busy++;
    }
    rcuQuiescent();
    if (ctx.rarely(8)) napOffline(ctx, prng.below(10) / 10);
  }
  joinGroup(thread, 0);
  return tally;
}

export function userBody(thread: MountThread): Tally {
  const { m, ctx } = thread;
  const { prng } = ctx;
  const open: number[] = [];
  const tally = { lookups: 0, opens: 0, unlinks: 0, noMemory: 0 };
  while (turnOf(thread)) {
    if (ctx.rarely(64)) joinGroup(thread, prng.below(MOUNT_GROUPS));
    for (let i = 0; i < 8; i++) {
      const result = use(thread, open, 1 + prng.below(MOUNTS), 1 + prng.below(NAMES), tally);
      if (result === ENOMEM) tally.noMemory++;
    }
    rcuQuiescent();
    if (ctx.rarely(64)) napOffline(ctx, prng.below(10) / 10);
  }
  for (const inode of open) closeFile(m, inode);
  joinGroup(thread, 0);
  return tally;
}

type UserTally = { lookups: number; opens: number; unlinks: number };

/** One call. @returns what it returned */
function use(
  thread: MountThread,
  open: number[],
  sb: number,
  name: number,
  tally: UserTally,
): number {
  const { m, ctx } = thread;
  const how = ctx.prng.below(8);
  if (how < 3) {
    const found = lookup(m, sb, name);
    expected(thread, 'lookup', found, [ENOMEM, ENODEV]);
    if (found >= 0) tally.lookups++;
    return found;
  }
  if (how < 5) {
    const result = unlink(m, sb, name);
    expected(thread, 'unlink', result, [ENOENT, EPERM, ENOMEM, ENODEV]);
    if (result === 0) tally.unlinks++;
    return result;
  }
  if (open.length === OPEN_MOST || (how === 5 && open.length > 0)) {
    closeFile(m, open.splice(ctx.prng.below(open.length), 1)[0] as number);
    return 0;
  }
  const inode = openFile(m, sb, name, how > 5);
  expected(thread, 'open', inode, [ENOENT, ENOMEM, ENODEV]);
  if (inode > 0) {
    open.push(inode);
    tally.opens++;
  }
  return inode;
}

const PRIORITIES = [0, 0, 1, 4, 12];

export function reclaimerBody(thread: MountThread): Tally {
  const { m, ctx } = thread;
  const { prng } = ctx;
  const tally = { walks: 0, objectsFreed: 0 };
  while (turnOf(thread)) {
    doing(thread, DOING_WALK);
    const nid = prng.below(m.sizes.nrNodes);
    const priority = PRIORITIES[prng.below(PRIORITIES.length)] as number;
    const gfp = ctx.rarely(4) ? GFP_NOFS : GFP_KERNEL;
    const cookie = ctx.rarely(2) ? nid : FULL_WALK;
    let group = memcgIter(m, 0, -1, cookie);
    for (; group >= 0; group = memcgIter(m, 0, group, cookie)) {
      tally.objectsFreed += shrinkSlab(m, gfp, nid, group, priority);
      tally.walks++;
      if (ctx.busted && ctx.rarely(4)) loseBit(thread, group, nid);
      rcuQuiescent();
      if (!ctx.stopped && !restsNow(thread)) continue;
      memcgIterBreak(m, 0, group);
      break;
    }
    if (ctx.rarely(16)) napOffline(ctx, prng.below(10) / 10);
  }
  return tally;
}

/** The broken variant: a bit goes, though there may be objects. @context the group is referenced */
function loseBit({ m, ctx }: MountThread, group: number, nid: number): void {
  const id = ctx.prng.below(MOUNTS);
  const lruvec = group * m.sizes.nrNodes + nid;
  if (group !== 0) clearShrinkerBit(m, homeOfUnit(m, lruvec, id), id);
}

/** Groups, some with a limit that a few files reach: then charges reclaim. */
export function cgrouperBody(thread: MountThread): Tally {
  const { m, ctx } = thread;
  const { prng } = ctx;
  let [groupsMade, removed] = [0, 0];
  let many = true;
  for (let serial = 0; turnOf(thread); serial++) {
    doing(thread, DOING_GROUP);
    if (ctx.rarely(64)) many = !many;
    const row = prng.below(MOUNT_GROUPS);
    if (prng.below(8) < (many ? 6 : 3)) {
      const limit = ctx.rarely(3) ? 2 + prng.below(20) : -1;
      const group = cgroupMkdir(m, row, `g${ctx.id}.${serial}`, limit);
      expected(thread, 'mkdir', group, [ENODEV, ENOSPC, ENOMEM]);
      if (group > 0) groupsMade++;
    } else if (row !== 0 && memcgTryGet(m, row)) {
      const result = cgroupRmdir(m, row);
      expected(thread, 'rmdir', result, [EBUSY, ENODEV]);
      if (result === 0) removed++;
      memcgPut(m, row);
    }
    rcuQuiescent();
    if (ctx.rarely(4)) napOffline(ctx, prng.below(20) / 10);
  }
  return { groupsMade, removed };
}
