// SPDX-License-Identifier: GPL-2.0-only
/**
 * What happens to a group: memory.events, and the events of memory.stat (mm/memcontrol.c).
 *
 * memory.events of a group counts its subtree, as does the kernel's: each event goes up the tree.
 * Events of memory.stat are counted where they happen, once, and summed over the subtree by whoever
 * reads; those of a group that is released fall to its parent.
 */
import type { Mm } from './mm.ts';
import type { MEMCG_COLUMNS } from './mm_types.ts';

/** Names in memory.stat, in its order. A cell each, 32 bits that wrap. */
export const MEMCG_STATS = [
  'workingset_refault_anon',
  'workingset_refault_file',
  'workingset_activate_anon',
  'workingset_activate_file',
  'workingset_restore_anon',
  'workingset_restore_file',
  'pgscan_kswapd',
  'pgscan_direct',
  'pgscan_proactive',
  'pgscan_kshrinkd',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'pgsteal_proactive',
  'pgsteal_kshrinkd',
  'pgfault',
  'pgmajfault',
  'pgrefill',
  'pgactivate',
  'pgdeactivate',
  'pswpin',
  'pswpout',
] as const;

export type MemcgStat = (typeof MEMCG_STATS)[number];

/** Words of a group's row: two lines. */
export const MEMCG_STAT_WORDS = 32;

/** Cell of each by name. */
export const MS: Readonly<Record<MemcgStat, number>> = Object.freeze(
  Object.fromEntries(MEMCG_STATS.map((name, index) => [name, index])) as Record<MemcgStat, number>,
);

/** Counts an event of memory.stat. @param cell one of MS @context any; the group is pinned */
export function countMemcg(m: Mm, memcg: number, cell: number, by = 1): void {
  Atomics.add(m.memcgStat, memcg * MEMCG_STAT_WORDS + cell, by);
}

/** @returns a cell of the group alone */
export function memcgStatCell(m: Mm, memcg: number, cell: number): number {
  return Atomics.load(m.memcgStat, memcg * MEMCG_STAT_WORDS + cell) >>> 0;
}

/**
 * Gives what a released group has counted to its parent.
 * @context cgroup_mutex held; nobody counts for the group any more
 */
export function foldMemcgStats(m: Mm, memcg: number): void {
  const parent = m.memcg.parent[memcg] as number;
  for (let cell = 0; cell < MEMCG_STATS.length; cell++) {
    const at = memcg * MEMCG_STAT_WORDS + cell;
    const count = Atomics.load(m.memcgStat, at);
    if (count === 0) continue;
    Atomics.store(m.memcgStat, at, 0);
    countMemcg(m, parent, cell, count);
  }
}

/** Columns of memory.events. */
export type MemcgEvent = Extract<keyof typeof MEMCG_COLUMNS, `events${string}`>;

/** Counts an event of memory.events, up the tree. @context any; the group is pinned */
export function memcgEvent(m: Mm, memcg: number, event: MemcgEvent): void {
  const column = m.memcg[event];
  for (let group = memcg; group !== 0; group = m.memcg.parent[group] as number) {
    Atomics.add(column, group, 1);
  }
}
