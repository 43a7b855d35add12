// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which function of the kernel a function of ours is, as `perf top` would name it.
 *
 * The compiler of a kernel inlines small static functions, and perf then shows their callers. So a
 * function here either has a kernel's name, or is folded into whoever calls it, or stands for
 * itself. Folded are helpers that the kernel has as static inlines (reference counts, bit
 * operations, the look at an info), WebAssembly, which is part of who calls it, and our record of
 * held locks, which a kernel without lockdep does not keep: what it costs is charged to the lock
 * operation that it belongs to.
 *
 * The search for a bit, the shrinker of its id and the reference on it are one call of a
 * WebAssembly kernel here, so there is no _find_next_bit: it is in shrink_slab.
 */

/** Modules of which every function is part of one of the kernel's. */
const MODULES: Readonly<Record<string, string>> = {
  shrink_slab: 'shrink_slab',
  shrinker_rwsem: 'shrink_slab',
  shrinker_srcu: 'shrink_slab',
  shrinker_lockless: 'shrink_slab',
  shrinker_one: 'shrink_slab',
  shrink_kernel: 'shrink_slab',
  shrinker_scan: 'do_shrink_slab',
  memcg_iter: 'mem_cgroup_iter',
};

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
  srcu: {
    readLock: '__srcu_read_lock',
    readUnlock: '__srcu_read_unlock',
    synchronize: 'synchronize_srcu',
  },
  bitmap: { findNextBit: '_find_next_bit', search: '_find_next_bit' },
  spinlock: { spinLock: '_raw_spin_lock', spinUnlock: '_raw_spin_unlock' },
  sched: { condResched: '__cond_resched' },
  shrinker: { shrinkerTryGet: 'shrink_slab', shrinkerPut: 'shrink_slab' },
  shrinker_info: { setShrinkerBit: 'set_shrinker_bit' },
  list_lru: {
    listLruAdd: 'list_lru_add',
    listLruDel: 'list_lru_del',
    listLruCount: 'list_lru_count_one',
    listLruWalk: 'list_lru_walk_one',
  },
  super_shrinker: { countObjects: 'super_cache_count', scanObjects: 'super_cache_scan' },
  vmscan: { shrinkNode: 'shrink_node', shrinkLruvec: 'shrink_lruvec' },
};

/** Modules whose other functions are folded into their callers. */
const FOLDED_MODULES: ReadonlySet<string> = new Set([
  'held_locks',
  'lock_stat',
  'lock_trace',
  'memcg_css',
  'refcount',
  'shrinker_info',
  'shrinker_map',
]);

/** Functions that are folded into their callers, by module. */
const FOLDED: Readonly<Record<string, readonly string[]>> = {
  bitmap: ['setBit', 'clearBit', 'testBit', 'testAndSetBitAtomic', 'testAndClearBitAtomic', 'ffs'],
  rcu: ['rcuDereference', 'rcuDomain'],
  rcu_state: ['rcuQuiescent'],
  rwsem: ['wakeWriter', 'ownedBySelf', 'rwsemContended'],
  sched: ['pendingRequests'],
  shrinker_ops: ['shrinkerType'],
  lruvec: ['lruSize', 'lruvecRow'],
  scan_control: ['cgroupReclaim'],
  swapfile: ['nrSwapPages'],
  vmscan: [
    'getScanCount',
    'scanBalance',
    'canReclaimAnon',
    'prepareScanControl',
    'flushReclaimState',
  ],
};

function moduleOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1).replace(/\.[jt]s$/, '');
}

/** @returns the kernel's name, null where a function has none */
export function kernelName(name: string, url: string): string | null {
  const module = moduleOf(url);
  const names = NAMES[module];
  if (names !== undefined && Object.hasOwn(names, name)) return names[name] as string;
  return MODULES[module] ?? null;
}

/** WebAssembly, and what V8 puts between it and its caller. */
function isWasm(name: string, url: string): boolean {
  return url.startsWith('wasm:') || /^(js-to-wasm|wasm-to-js|GenericJSToWasm)/.test(name);
}

/** True for a function whose samples belong to its caller. */
export function isFolded(name: string, url: string): boolean {
  if (isWasm(name, url)) return true;
  const module = moduleOf(url);
  if (FOLDED[module]?.includes(name) === true) return true;
  return FOLDED_MODULES.has(module) && kernelName(name, url) === null;
}
