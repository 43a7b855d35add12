// SPDX-License-Identifier: GPL-2.0-only
/**
 * What `perf top` showed on a real kernel before and after memcg slab shrink became lockless: 4001
 * groups under a limited parent, a tmpfs mounted for each, 3001 of them written to. Shares of all
 * samples, in percent; what is missing to 100 was not published.
 */
import type { Shares } from './hot_table.ts';

/** shrinker_rwsem, tried for every group. */
export const SEED_BEFORE: Shares = {
  down_read_trylock: 33.15,
  shrink_slab: 25.38,
  up_read: 21.75,
  _find_next_bit: 4.45,
  do_shrink_slab: 2.27,
  intel_idle_irq: 1.8,
  shrink_lruvec: 1.79,
  xas_descend: 0.67,
  mem_cgroup_iter: 0.41,
  shrink_node: 0.4,
  list_lru_count_one: 0.38,
};

/** A reference count, found under RCU. */
export const SEED_AFTER: Shares = {
  shrink_slab: 64.56,
  do_shrink_slab: 12.18,
  __rcu_read_unlock: 3.3,
  shrink_lruvec: 2.61,
  __rcu_read_lock: 2.49,
  intel_idle_irq: 1.93,
  shrink_node: 0.89,
  mem_cgroup_iter: 0.81,
  mem_cgroup_calculate_protection: 0.77,
  list_lru_count_one: 0.66,
};

/** What the lock costs before, and RCU after. */
export const LOCK_SYMBOLS = ['down_read_trylock', 'up_read'];
export const RCU_SYMBOLS = ['__rcu_read_lock', '__rcu_read_unlock'];
