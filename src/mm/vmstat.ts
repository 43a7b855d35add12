// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading the counters (mm/vmstat.c): events summed over threads, gauges read where they are kept.
 */
import { THREADS_MAX } from '../../shared/limits.ts';
import type { Mm } from './mm.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  LRU_UNEVICTABLE,
} from './mm_types.ts';
import { totalFree, totalLru } from './show_mem.ts';
import { NR_VM_EVENTS, VM_EVENTS, type VmEvent } from './vmstat_items.ts';

/** Sum of one event over all threads. @context any; exact when its writers rest */
export function vmEvent(m: Mm, cell: number): number {
  let sum = 0;
  for (let id = 0; id < THREADS_MAX; id++) sum += m.events[id * NR_VM_EVENTS + cell] as number;
  return sum;
}

/** Every event by name, the engine's own (`kr_*`, `memcg_*`) included. */
export function vmEvents(m: Mm): Record<VmEvent, number> {
  const all = {} as Record<VmEvent, number>;
  VM_EVENTS.forEach((name, cell) => {
    all[name] = vmEvent(m, cell);
  });
  return all;
}

function sumNodes(m: Mm, column: Int32Array): number {
  let sum = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) sum += Atomics.load(column, nid);
  return sum;
}

/** Gauges as /proc/vmstat names them, in its order. */
export function vmGauges(m: Mm): Record<string, number> {
  const anonMapped = sumNodes(m, m.node.anonMapped);
  const shmem = sumNodes(m, m.node.shmem);
  let tables = 0;
  for (let mm = 1; mm < m.sizes.nrMms; mm++) tables += Atomics.load(m.mm.nrTables, mm);
  const lists = {
    inactive_anon: totalLru(m, LRU_INACTIVE_ANON),
    active_anon: totalLru(m, LRU_ACTIVE_ANON),
    inactive_file: totalLru(m, LRU_INACTIVE_FILE),
    active_file: totalLru(m, LRU_ACTIVE_FILE),
    unevictable: totalLru(m, LRU_UNEVICTABLE),
  };
  return {
    nr_free_pages: totalFree(m),
    nr_zone_inactive_anon: lists.inactive_anon,
    nr_zone_active_anon: lists.active_anon,
    nr_zone_inactive_file: lists.inactive_file,
    nr_zone_active_file: lists.active_file,
    nr_zone_unevictable: lists.unevictable,
    nr_mlock: sumNodes(m, m.node.mlocked),
    nr_inactive_anon: lists.inactive_anon,
    nr_active_anon: lists.active_anon,
    nr_inactive_file: lists.inactive_file,
    nr_active_file: lists.active_file,
    nr_unevictable: lists.unevictable,
    nr_isolated_anon: sumNodes(m, m.node.isolatedAnon),
    nr_isolated_file: sumNodes(m, m.node.isolatedFile),
    nr_anon_pages: anonMapped,
    nr_mapped: sumNodes(m, m.node.fileMapped),
    nr_file_pages: sumNodes(m, m.node.swapCache) + sumNodes(m, m.node.filePages) + shmem,
    nr_dirty: sumNodes(m, m.node.dirty),
    nr_writeback: sumNodes(m, m.node.writeback),
    nr_shmem: shmem,
    workingset_nodes: sumNodes(m, m.node.workingsetNodes),
    nr_page_table_pages: tables,
    nr_slab_reclaimable: sumNodes(m, m.node.slabReclaimable),
    nr_swapcached: sumNodes(m, m.node.swapCache),
  };
}
