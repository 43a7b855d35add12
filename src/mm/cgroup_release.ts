// SPDX-License-Identifier: GPL-2.0-only
/**
 * The end of removed groups: their rows are given back (css_release_work_fn, css_free_rwork_fn).
 * The thread is kthreads/cgroup_destroy.ts; the references that brought a row here, memcg_css.ts.
 */
import { assert } from '../../shared/assert.ts';
import { synchronizeRcu } from '../../shared/rcu.ts';
import { cgroupLock, cgroupUnlock } from './cgroup.ts';
import { cgroupFree } from './cgroup_hooks.ts';
import { freeMemcgRow, unlinkMemcg } from './cgroup_rows.ts';
import { CGROUP_RELEASE, memcgPut, memcgRefs } from './memcg_css.ts';
import { invalidateIterators } from './memcg_iter.ts';
import type { Mm } from './mm.ts';
import { MEMCG_DYING } from './mm_types.ts';
import { zswapForgetGroup } from './zswap_writeback.ts';

/** @returns whether a row waits to be released @context any; one load */
export function cgroupReleasePending(m: Mm): boolean {
  return Atomics.load(m.cgroup, CGROUP_RELEASE) !== 0;
}

/**
 * Releases every group whose last reference has gone: off the tree, one grace period for all of
 * them, rows free. A parent that only its children kept comes with the next pass.
 * @returns groups released
 * @context cgroup_destroy, holding no lock; waits for a grace period, takes cgroup_mutex twice
 */
export function cgroupReleasePass(m: Mm): number {
  const rows: number[] = [];
  for (let at = Atomics.exchange(m.cgroup, CGROUP_RELEASE, 0); at !== 0; ) {
    rows.push(at);
    at = Atomics.load(m.memcg.releaseNext, at);
  }
  if (rows.length === 0) return 0;
  cgroupLock(m);
  for (const memcg of rows) {
    const dead = Atomics.load(m.memcg.state, memcg) === MEMCG_DYING && memcgRefs(m, memcg) === 0;
    assert(dead, 'a group is released that somebody holds');
    unlinkMemcg(m, memcg);
    invalidateIterators(m, memcg);
    zswapForgetGroup(m, memcg);
  }
  cgroupUnlock(m);
  synchronizeRcu();
  const parents: number[] = [];
  cgroupLock(m);
  for (const memcg of rows) {
    parents.push(m.memcg.parent[memcg] as number);
    cgroupFree(m, memcg);
    freeMemcgRow(m, memcg);
  }
  cgroupUnlock(m);
  for (const parent of parents) memcgPut(m, parent);
  return rows.length;
}
