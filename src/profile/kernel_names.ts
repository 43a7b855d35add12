// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which function of the kernel a function of ours is, as `perf top` would name it.
 *
 * The compiler of a kernel inlines small static functions, and perf then shows their callers. So a
 * function here either has a kernel's name, or is folded into whoever calls it, or stands for
 * itself. Folded are helpers that the kernel has as static inlines (reference counts, bit
 * operations, the walk's own parts), and our record of held locks, which a kernel without lockdep
 * does not keep: what it costs is charged to the lock operation that it belongs to.
 */

/** By module, without folder and ending; then by function. */
const NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  rwsem: {
    rwsemTryRead: 'down_read_trylock',
    rwsemUpRead: 'up_read',
    rwsemDownRead: 'down_read',
    rwsemDownWrite: 'down_write',
    rwsemUpWrite: 'up_write',
  },
  rcu_state: { rcuReadLock: '__rcu_read_lock', rcuReadUnlock: '__rcu_read_unlock' },
  rcu: { synchronizeRcu: 'synchronize_rcu' },
  bitmap: { findNextBit: '_find_next_bit', search: '_find_next_bit' },
  xarray: { xaLoad: 'xas_descend' },
  spinlock: { spinLock: '_raw_spin_lock', spinUnlock: '_raw_spin_unlock' },
  completion: { complete: 'complete', completionWait: 'wait_for_completion' },
  sched: { condResched: '__cond_resched' },
  memcg_iter: { memcgIter: 'mem_cgroup_iter', memcgIterBreak: 'mem_cgroup_iter_break' },
  list_lru: { listLruCount: 'list_lru_count_one', listLruWalk: 'list_lru_walk_one' },
  vmscan: { shrinkNode: 'shrink_node', shrinkLruvec: 'shrink_lruvec' },
};

/** Modules whose functions are all folded into their callers. */
const FOLDED_FILES: ReadonlySet<string> = new Set([
  'held_locks',
  'lock_stat',
  'lock_trace',
  'refcount',
]);

/** Functions that are folded into their callers, by module. */
const FOLDED: Readonly<Record<string, readonly string[]>> = {
  bitmap: ['setBit', 'clearBit', 'testBit', 'testAndSetBitAtomic', 'testAndClearBitAtomic', 'ffs'],
  rcu: ['rcuDereference', 'rcuDomain'],
  rwsem: ['wakeWriter', 'ownedBySelf'],
};

function moduleOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1).replace(/\.[jt]s$/, '');
}

/** @returns the kernel's name, null where a function has none */
export function kernelName(name: string, url: string): string | null {
  const names = NAMES[moduleOf(url)];
  return names !== undefined && Object.hasOwn(names, name) ? (names[name] as string) : null;
}

/** True for a function whose samples belong to its caller. */
export function isFolded(name: string, url: string): boolean {
  const module = moduleOf(url);
  return FOLDED_FILES.has(module) || FOLDED[module]?.includes(name) === true;
}
