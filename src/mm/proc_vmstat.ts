// SPDX-License-Identifier: GPL-2.0-only
/**
 * The text of /proc/vmstat (mm/vmstat.c): gauges of zones, gauges and events of nodes, then events,
 * a name and a number a line, in the kernel's order. Names that the engine does not keep are left
 * out.
 */
import type { Mm } from './mm.ts';
import { vmEvents, vmGauges } from './vmstat.ts';
import { VM_EVENTS } from './vmstat_items.ts';

/** What the kernel counts per zone, in its order. */
export const ZONE_STAT_NAMES = [
  'nr_free_pages',
  'nr_zone_inactive_anon',
  'nr_zone_active_anon',
  'nr_zone_inactive_file',
  'nr_zone_active_file',
  'nr_zone_unevictable',
] as const;

/** What the kernel counts per node, in its order. */
export const NODE_STAT_NAMES = [
  'nr_inactive_anon',
  'nr_active_anon',
  'nr_inactive_file',
  'nr_active_file',
  'nr_unevictable',
  'nr_slab_reclaimable',
  'nr_isolated_anon',
  'nr_isolated_file',
  'workingset_refault_anon',
  'workingset_refault_file',
  'workingset_activate_anon',
  'workingset_activate_file',
  'workingset_restore_anon',
  'workingset_restore_file',
  'nr_anon_pages',
  'nr_mapped',
  'nr_file_pages',
  'nr_dirty',
  'nr_writeback',
  'nr_vmscan_write',
  'nr_vmscan_immediate_reclaim',
  'nr_dirtied',
  'nr_written',
  'nr_page_table_pages',
  'nr_swapcached',
] as const;

const OF_NODES = new Set<string>(NODE_STAT_NAMES);

/** Not the kernel's, or of memory groups: kept apart. */
function isOwn(name: string): boolean {
  return name.startsWith('kr_') || name.startsWith('memcg_');
}

/** Everything in /proc/vmstat, by name, in its order. @context any; exact at quiescence */
export function vmstatItems(m: Mm): Record<string, number> {
  const all: Record<string, number> = { ...vmGauges(m), ...vmEvents(m) };
  const events = VM_EVENTS.filter((name) => !OF_NODES.has(name) && !isOwn(name));
  const names = [...ZONE_STAT_NAMES, ...NODE_STAT_NAMES, ...events];
  return Object.fromEntries(names.map((name) => [name, all[name] as number]));
}

/** The engine's own counters (`kr_*`) and those of reclaim at a group's limit (`memcg_*`). */
export function ownItems(m: Mm): Record<string, number> {
  return Object.fromEntries(Object.entries(vmEvents(m)).filter(([name]) => isOwn(name)));
}

/** @returns the text of /proc/vmstat */
export function procVmstat(m: Mm): string {
  const lines = Object.entries(vmstatItems(m)).map(([name, value]) => `${name} ${value}\n`);
  return lines.join('');
}
