// SPDX-License-Identifier: GPL-2.0-only
/**
 * The text of /proc/zoneinfo (mm/vmstat.c). A zone here has no holes: it spans what it has.
 * Counters are exact, so the threshold at which a CPU's own counts are folded is 0.
 */

import { nodeLru } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { LRU_UNEVICTABLE, NR_LRU_LISTS } from './mm_types.ts';
import { pcpRow } from './page_alloc.ts';
import { ZONE_STAT_NAMES } from './proc_vmstat.ts';
import { nodeHopeless } from './throttle.ts';
import { ZONE_NAMES } from './vmstat_items.ts';

/**
 * A zone's name: the last zone of a node is Normal. @param zone index of the zone in the machine
 */
export function zoneName(m: Mm, zone: number): string {
  const nid = m.zone.nid[zone] as number;
  let above = 0;
  while (m.zone.nid[zone + above + 1] === nid) above++;
  return ZONE_NAMES[2 - above] ?? 'Normal';
}

/** Pages of each LRU list of a node, by the kernel's name. */
export function nodeLists(m: Mm, nid: number): Record<string, number> {
  const names = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file', 'unevictable'];
  const sizes: Record<string, number> = {};
  for (let lru = 0; lru <= LRU_UNEVICTABLE; lru++) {
    sizes[`nr_${names[lru]}`] = nodeLru(m, nid, lru);
  }
  return sizes;
}

function stat(name: string, value: number): string {
  return `      ${name.padEnd(12)} ${value}`;
}

function nodeStats(m: Mm, nid: number): string[] {
  const { node } = m;
  const items: Record<string, number> = {
    ...nodeLists(m, nid),
    nr_slab_reclaimable: Atomics.load(node.slabReclaimable, nid),
    nr_isolated_anon: Atomics.load(node.isolatedAnon, nid),
    nr_isolated_file: Atomics.load(node.isolatedFile, nid),
    nr_anon_pages: Atomics.load(node.anonMapped, nid),
    nr_mapped: Atomics.load(node.fileMapped, nid),
    nr_file_pages:
      Atomics.load(node.swapCache, nid) +
      Atomics.load(node.filePages, nid) +
      Atomics.load(node.shmem, nid),
    nr_dirty: Atomics.load(node.dirty, nid),
    nr_writeback: Atomics.load(node.writeback, nid),
    nr_swapcached: Atomics.load(node.swapCache, nid),
  };
  return Object.entries(items).map(([name, value]) => stat(name, value));
}

function zoneStats(m: Mm, zone: number): string[] {
  const lists = m.zoneLru.subarray(zone * NR_LRU_LISTS, (zone + 1) * NR_LRU_LISTS);
  const values = [Atomics.load(m.zone.nrFree, zone), ...lists];
  return ZONE_STAT_NAMES.map((name, i) => stat(name, values[i] as number));
}

function pageset(m: Mm, zone: number, cpu: number): string[] {
  const field = (name: string, value: number) => `              ${`${name}:`.padEnd(9)} ${value}`;
  const high = m.zone.pcpHigh[zone] as number;
  return [
    `    cpu: ${cpu}`,
    field('count', m.pcp[pcpRow(m, zone, cpu) + 1] as number),
    field('high', high),
    field('batch', m.zone.pcpBatch[zone] as number),
    field('high_min', high),
    field('high_max', high),
    '  vm stats threshold: 0',
  ];
}

function zoneText(m: Mm, zone: number): string[] {
  const nid = m.zone.nid[zone] as number;
  const first = zone === 0 || m.zone.nid[zone - 1] !== nid;
  const managed = m.zone.managed[zone] as number;
  const [min, low, high] = [m.zone.wmarkMin, m.zone.wmarkLow, m.zone.wmarkHigh].map(
    (column) => column[zone] as number,
  ) as [number, number, number];
  const pages = (name: string, value: number): string => `        ${name.padEnd(8)} ${value}`;
  const cpus = Array.from({ length: m.config.cpus }, (_, cpu) => cpu);
  return [
    `Node ${nid}, zone ${zoneName(m, zone).padStart(8)}`,
    ...(first ? ['  per-node stats', ...nodeStats(m, nid)] : []),
    `  pages free     ${Atomics.load(m.zone.nrFree, zone)}`,
    pages('boost', 0),
    pages('min', min),
    pages('low', low),
    pages('high', high),
    pages('promo', high + (high - low)),
    pages('spanned', managed),
    pages('present', managed),
    pages('managed', managed),
    pages('cma', 0),
    '        protection: (0, 0, 0, 0)',
    ...zoneStats(m, zone),
    '  pagesets',
    ...cpus.flatMap((cpu) => pageset(m, zone, cpu)),
    `  node_unreclaimable:  ${nodeHopeless(m, nid) ? 1 : 0}`,
    `  start_pfn:           ${m.zone.startPfn[zone]}`,
    '  reserved_highatomic: 0',
    '  free_highatomic:     0',
  ];
}

/** @context any; exact at quiescence */
export function procZoneinfo(m: Mm): string {
  const lines: string[] = [];
  for (let zone = 0; zone < m.sizes.nrZones; zone++) lines.push(...zoneText(m, zone));
  return `${lines.join('\n')}\n`;
}
