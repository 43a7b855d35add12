// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the engine frees after a grace period, by callback id (callRcu of shared/rcu_callback.ts).
 *
 * Functions do not cross threads, so every thread registers all of them; they act on the machine
 * that the thread was bound to last. A thread belongs to one machine: only tests bind another.
 *
 * A callback may take leaf spinlocks (shrinker_pool, file_nodes), and no other lock. Whoever finds
 * its queue full, or waits for all callbacks (rcuBarrier), may run them itself: for an info under
 * shrinker_rwsem, with cgroup_mutex or a mount's s_umount outside.
 */
import { assert } from '../../shared/assert.ts';
import { registerRcuCallback } from '../../shared/rcu_callback.ts';
import type { Mm } from './mm.ts';

/** A chain of shrinker infos. */
export const RCU_SHRINKER_INFO = 0;
/** A shrinker's row. */
export const RCU_SHRINKER = 1;

/** A node of a file's table (mapping.ts). */
export const RCU_FILE_NODE = 2;

let bound: Mm | null = null;

/** Binds this thread's callbacks to a machine. @context once per worker, before its first lock */
export function bindRcuCallbacks(m: Mm): void {
  bound = m;
}

/** Registers what a callback id does. @context at import */
export function onGracePeriod(id: number, free: (m: Mm, arg: number) => void): void {
  registerRcuCallback(id, (arg) => {
    assert(bound !== null, 'thread is bound to no machine');
    free(bound, arg);
  });
}
