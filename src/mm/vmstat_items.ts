// SPDX-License-Identifier: GPL-2.0-only
/**
 * Names of the counters, verbatim from /proc/vmstat, in the kernel's order. Events are monotone and
 * kept per thread; the index of a name is its cell.
 */

export const VM_EVENTS = [
  'pgpgin',
  'pgpgout',
  'pswpin',
  'pswpout',
  'pgalloc_dma',
  'pgalloc_dma32',
  'pgalloc_normal',
  'pgalloc_movable',
  'allocstall_dma',
  'allocstall_dma32',
  'allocstall_normal',
  'allocstall_movable',
  'pgfree',
  'pgactivate',
  'pgdeactivate',
  'pglazyfree',
  'pgfault',
  'pgmajfault',
  'pglazyfreed',
  'pgrefill',
  'pgreuse',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'pgscan_kswapd',
  'pgscan_direct',
  'pgscan_direct_throttle',
  'pgscan_anon',
  'pgscan_file',
  'pgsteal_anon',
  'pgsteal_file',
  'slabs_scanned',
  'kswapd_inodesteal',
  'kswapd_low_wmark_hit_quickly',
  'kswapd_high_wmark_hit_quickly',
  'pageoutrun',
  'pgrotated',
  'drop_pagecache',
  'drop_slab',
  'oom_kill',
  'pgmigrate_success',
  'pgmigrate_fail',
  'swap_ra',
  'swap_ra_hit',
  'swpin_zero',
  'swpout_zero',
  // Counted per lruvec by the kernel, summed over the machine here.
  'workingset_refault_anon',
  'workingset_refault_file',
  'workingset_activate_anon',
  'workingset_activate_file',
  'workingset_restore_anon',
  'workingset_restore_file',
  'workingset_nodereclaim',
  'nr_vmscan_write',
  'nr_vmscan_immediate_reclaim',
  'nr_dirtied',
  'nr_written',
  // Reclaim at a group's limit: memory.stat has these, /proc/vmstat does not.
  'memcg_pgscan_direct',
  'memcg_pgsteal_direct',
  'memcg_pgscan_kswapd',
  'memcg_pgsteal_kswapd',
  // Not the kernel's: the identities of check.ts need them.
  'kr_file_written',
  'kr_file_write_error',
  'kr_file_lost',
  'kr_file_throttled',
  'kr_swap_slot_freed',
  'kr_swap_zero_freed',
  'kr_swap_overwrite',
  'kr_swapin_stale',
  'kr_zram_store',
  'kr_zram_same',
  'kr_zram_huge',
  'kr_zram_full',
  'kr_shootdown',
  'kr_shootdown_wait',
  'kr_memcg_max',
  'kr_memcg_oom',
  'kr_shrink_walk',
  'kr_shrink_skipped',
  'kr_shrink_early',
  'kr_shrink_count',
  'kr_shrink_scan',
] as const;

export type VmEvent = (typeof VM_EVENTS)[number];
export const NR_VM_EVENTS = VM_EVENTS.length;

/** Cell of each event by name. */
export const EV: Readonly<Record<VmEvent, number>> = Object.freeze(
  Object.fromEntries(VM_EVENTS.map((name, index) => [name, index])) as Record<VmEvent, number>,
);

/** Zone names by position from the top of a node's zone list: the last is always Normal. */
export const ZONE_NAMES = ['DMA', 'DMA32', 'Normal', 'Movable'] as const;
