// SPDX-License-Identifier: GPL-2.0-only
/**
 * The keeper of the mount torture: rcu_gp and cgroup_destroy in one, and the engine's own walkers
 * at rest. At the end everything is unmounted and removed, and must have been given back.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import { rcuBarrier, rcuGpPass, rcuGpWait } from '../../shared/rcu_callback.ts';
import { cgroupRmdir } from '../mm/cgroup.ts';
import { cgroupReleasePass } from '../mm/cgroup_release.ts';
import { type CheckResult, checkEmpty, checkQuiescent } from '../mm/check.ts';
import { drainEverything } from '../mm/drain.ts';
import { SHRINKER_INFOS_USED, SHRINKER_LIVE } from '../mm/shrinker_types.ts';
import { umountAll } from '../mm/super.ts';
import type { Tally } from './job.ts';
import { MOUNT_GROUPS, type MountThread } from './mounts_tables.ts';
import { rcuTurn } from './rcu_tables.ts';
import { awaitEnd, quiesce, release } from './shrinker_barrier.ts';

/** Time between two looks, in milliseconds. */
const LOOK_MS = 150;
const LOOK_BUSTED_MS = 20;

interface KeeperTally {
  barriers: number;
  checked: number;
  released: number;
  lostBits: number;
}

export function mountKeeperBody(thread: MountThread): Tally {
  const { m, ctx } = thread;
  const tally = { barriers: 0, checked: 0, released: 0, lostBits: 0 };
  const waitMs = ctx.busted ? LOOK_BUSTED_MS : LOOK_MS;
  let nextNs = ktimeNs() + waitMs * 1e6;
  while (rcuTurn(ctx)) {
    rcuGpWait(m.rcu, () => ctx.stopped, 2);
    rcuGpPass(m.rcu);
    if (ctx.rarely(4)) tally.released += cgroupReleasePass(m);
    if (ktimeNs() < nextNs) continue;
    if (!quiesce(thread)) return { ...tally };
    tally.barriers++;
    rcuBarrier();
    report(thread, checkQuiescent(m), tally);
    checkShrinkers(thread);
    release(thread);
    nextNs = ktimeNs() + ctx.prng.below(2 * waitMs) * 1e6;
  }
  if (!ctx.failed && awaitEnd(thread)) endOfAll(thread, tally);
  return { ...tally };
}

/** Fails for what the walkers have found; bits that the policy's flaws lose are counted. */
function report({ m, ctx }: MountThread, result: CheckResult, tally: KeeperTally): void {
  tally.checked += result.checked;
  const flaws = m.shrinkerFlaws;
  const lossy = !ctx.busted && (flaws.has('early-clear') || flaws.has('stale-clear'));
  for (const violation of result.violations) {
    if (lossy && violation.startsWith('bit of group ')) tally.lostBits++;
    else ctx.fail(violation);
  }
}

/** At rest nobody runs callbacks: one reference each. */
function checkShrinkers({ m, ctx }: MountThread): void {
  const { next, refcount, words } = m.shrinker;
  let listed = 0;
  for (let s = next[0] as number; s !== 0; s = next[s] as number) {
    if (++listed > m.sizes.shrinkers.nrShrinkers) break;
    const refs = Atomics.load(refcount, s);
    if (refs !== 1) ctx.fail(`row ${s} is registered, at rest, with ${refs} references`);
  }
  const live = Atomics.load(words, SHRINKER_LIVE);
  if (listed !== live) ctx.fail(`${listed} shrinkers are listed, ${live} are there`);
}

/** Unmounts, removes, and looks whether all came back. @context every other thread is done */
function endOfAll(thread: MountThread, tally: KeeperTally): void {
  const { m, ctx } = thread;
  report(thread, checkQuiescent(m), tally);
  const left = umountAll(m);
  if (left !== 0) ctx.fail(`${left} mounts cannot be unmounted at the end`);
  for (let depth = 0; depth < MOUNT_GROUPS; depth++) {
    for (let group = 1; group < MOUNT_GROUPS; group++) cgroupRmdir(m, group);
  }
  drainEverything(m);
  while (cgroupReleasePass(m) > 0);
  rcuBarrier();
  report(thread, checkEmpty(m), tally);
  const { words } = m.shrinker;
  const live = Atomics.load(words, SHRINKER_LIVE);
  const infos = words[SHRINKER_INFOS_USED] as number;
  if (live !== 0 || infos !== 0)
    ctx.fail(`at the end ${live} shrinkers and ${infos} infos are left`);
}
