// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walking over the groups below one, parents before children (mm/memcontrol.c, mem_cgroup_iter).
 *
 *   full walk      the caller's own position: the group it holds a reference on
 *   shared walk    one position per (root, node) in shared memory: whoever reclaims there takes the
 *                  next group, so that concurrent reclaimers share the tree instead of all hitting
 *                  its first group. A round ends when one of them reaches the end; the generation
 *                  counts rounds, and the others stop when it has moved on.
 *
 * Links are read under RCU. A row that is unlinked keeps its own links until its grace period has
 * passed, so a reader that stands on it still gets on. A shared position holds no reference: it is
 * cleared when its group is unlinked, before the grace period, so what a reader loads from it is a
 * row for the rest of its section.
 *
 * Progress: a full walk is lock-free; a shared one restarts when another reclaimer was faster.
 */
import { rcuDereference, rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { lruvecRow } from './lruvec.ts';
import { memcgPut, memcgTryGet } from './memcg_css.ts';
import type { Mm } from './mm.ts';

/** Cookie of a full walk. */
export const FULL_WALK = -1;

/**
 * The group after `at` in the tree below `root` (css_next_descendant_pre).
 * @param at -1 for the start @returns a row, -1 at the end
 * @context an RCU reader, or cgroup_mutex, or a machine at rest
 */
export function nextDescendant(m: Mm, root: number, at: number): number {
  if (at < 0) return root;
  const { firstChild, nextSibling, parent } = m.memcg;
  const child = rcuDereference(firstChild, at);
  if (child !== 0) return child;
  for (let row = at; row !== root; row = parent[row] as number) {
    const sibling = rcuDereference(nextSibling, row);
    if (sibling !== 0) return sibling;
  }
  return -1;
}

/** The next group that is not being released, with a reference. The root is the caller's. */
function nextAlive(m: Mm, root: number, from: number): number {
  let at = nextDescendant(m, root, from);
  while (at >= 0 && at !== root && !memcgTryGet(m, at)) at = nextDescendant(m, root, at);
  return at;
}

/** Takes the next group of a shared walk. @returns -1 at the end of the round that was joined */
function nextShared(m: Mm, root: number, lruvec: number, join: boolean): number {
  const { iterPosition, iterGeneration } = m.lruvec;
  for (;;) {
    if (join) m.task.iterGeneration = Atomics.load(iterGeneration, lruvec);
    else if (m.task.iterGeneration !== Atomics.load(iterGeneration, lruvec)) return -1;
    const position = Atomics.load(iterPosition, lruvec);
    const next = nextAlive(m, root, position - 1);
    if (Atomics.compareExchange(iterPosition, lruvec, position, next + 1) !== position) {
      // Somebody else has this one.
      if (next >= 0 && next !== root) memcgPut(m, next);
      continue;
    }
    if (next >= 0) return next;
    Atomics.add(iterGeneration, lruvec, 1);
    // Who joins just as the round ends begins the next: it must see one group at least.
    if (!join) return -1;
  }
}

/**
 * The next group of a walk. Takes a reference on it and drops that on `prev`; the root's is the
 * caller's own, and is neither taken nor dropped.
 * @param root group that the caller holds a reference on; 0 for all
 * @param prev what the last call returned, -1 to begin
 * @param cookie FULL_WALK, or the node whose shared position is used. A thread is in one shared
 *   walk at a time
 * @returns a group, online or dying; -1 at the end, with no reference left
 * @context not under a lock that the walk's body may not hold; between calls anything may happen
 */
export function memcgIter(m: Mm, root: number, prev: number, cookie: number): number {
  rcuReadLock();
  const next =
    cookie === FULL_WALK
      ? nextAlive(m, root, prev)
      : nextShared(m, root, lruvecRow(m, root, cookie), prev < 0);
  rcuReadUnlock();
  if (prev >= 0) memcgIterBreak(m, root, prev);
  return next;
}

/** Ends a walk early. @param memcg what the last memcgIter returned */
export function memcgIterBreak(m: Mm, root: number, memcg: number): void {
  if (memcg !== root) memcgPut(m, memcg);
}

/**
 * Shared walks must not begin at a row that goes away: positions that name it are cleared, on every
 * node of every ancestor (invalidate_reclaim_iterators).
 * @context cgroup_mutex held; the group has no reference left, so that no walk can store it anew
 */
export function invalidateIterators(m: Mm, memcg: number): void {
  for (let root = memcg; ; root = m.memcg.parent[root] as number) {
    for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
      Atomics.compareExchange(m.lruvec.iterPosition, lruvecRow(m, root, nid), memcg + 1, 0);
    }
    if (root === 0) return;
  }
}
