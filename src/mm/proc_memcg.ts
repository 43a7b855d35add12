// SPDX-License-Identifier: GPL-2.0-only
/**
 * The files of a memory group (mm/memcontrol.c, cgroup v2). memory.stat covers the subtree.
 *
 * Events are counted over the machine, not by group: memory.stat has them for groups that hold
 * every process, where the two are the same, and leaves them out elsewhere.
 */
import { PAGE_SIZE } from './limits.ts';
import { lruSize, lruvecRow, memcgWithin } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { NR_LRU_LISTS, PG_SWAPCACHE } from './mm_types.ts';
import { vmEvents } from './vmstat.ts';

const LIST_NAMES = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file', 'unevictable'];

/** /sys/fs/cgroup/... of a group. */
export function memcgPath(m: Mm, memcg: number): string {
  if (memcg === 0) return '/sys/fs/cgroup';
  const { parent = 0, name = String(memcg) } = m.config.memcgs[memcg] ?? {};
  return `${memcgPath(m, parent)}/${name}`;
}

function holdsEveryProcess(m: Mm, memcg: number): boolean {
  return m.config.processes.every((process) => memcgWithin(m, process.memcg, memcg));
}

/** Mapped pages, pages of files and of the swap cache, of the subtree. @context as memcgStat */
function countPages(m: Mm, memcg: number) {
  let anon = 0;
  let shmem = 0;
  let swapCached = 0;
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const mapped = Atomics.load(m.page.mapcount, pfn) > 0;
    const cached = (Atomics.load(m.page.flags, pfn) & PG_SWAPCACHE) !== 0;
    const ofFile = (m.page.mapping[pfn] as number) < 0;
    if (!mapped && !cached && !ofFile) continue;
    if (!memcgWithin(m, m.page.memcg[pfn] as number, memcg)) continue;
    if (mapped) anon++;
    if (ofFile) shmem++;
    if (cached) swapCached++;
  }
  return { anon, shmem, swapCached };
}

function listSizes(m: Mm, memcg: number): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
    let pages = 0;
    for (let group = 0; group < m.sizes.nrMemcgs; group++) {
      if (!memcgWithin(m, group, memcg)) continue;
      for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
        pages += lruSize(m, lruvecRow(m, group, nid), lru);
      }
    }
    sizes[LIST_NAMES[lru] as string] = pages * PAGE_SIZE;
  }
  return sizes;
}

function eventItems(m: Mm): Record<string, number> {
  const e = vmEvents(m);
  const scan = { kswapd: e.pgscan_kswapd + e.memcg_pgscan_kswapd, direct: 0 };
  scan.direct = e.pgscan_direct + e.memcg_pgscan_direct;
  const steal = { kswapd: e.pgsteal_kswapd + e.memcg_pgsteal_kswapd, direct: 0 };
  steal.direct = e.pgsteal_direct + e.memcg_pgsteal_direct;
  return {
    workingset_refault_anon: e.workingset_refault_anon,
    workingset_refault_file: e.workingset_refault_file,
    workingset_activate_anon: e.workingset_activate_anon,
    workingset_activate_file: e.workingset_activate_file,
    workingset_restore_anon: e.workingset_restore_anon,
    workingset_restore_file: e.workingset_restore_file,
    pgscan: scan.kswapd + scan.direct,
    pgsteal: steal.kswapd + steal.direct,
    pgscan_kswapd: scan.kswapd,
    pgscan_direct: scan.direct,
    pgsteal_kswapd: steal.kswapd,
    pgsteal_direct: steal.direct,
    pgfault: e.pgfault,
    pgmajfault: e.pgmajfault,
    pgrefill: e.pgrefill,
    pgactivate: e.pgactivate,
    pgdeactivate: e.pgdeactivate,
    pswpin: e.pswpin,
    pswpout: e.pswpout,
  };
}

/** memory.stat as numbers: sizes in bytes, events in pages. @context exact at quiescence */
export function memcgStat(m: Mm, memcg: number): Record<string, number> {
  const { anon, shmem, swapCached } = countPages(m, memcg);
  return {
    anon: anon * PAGE_SIZE,
    file: shmem * PAGE_SIZE,
    shmem: shmem * PAGE_SIZE,
    swapcached: swapCached * PAGE_SIZE,
    ...listSizes(m, memcg),
    ...(holdsEveryProcess(m, memcg) ? eventItems(m) : {}),
  };
}

/** memory.events as numbers. */
export function memcgEvents(m: Mm, memcg: number): Record<string, number> {
  return {
    low: 0,
    high: 0,
    max: Atomics.load(m.memcg.eventsMax, memcg),
    oom: Atomics.load(m.memcg.eventsOom, memcg),
    oom_kill: Atomics.load(m.memcg.eventsOomKill, memcg),
    oom_group_kill: 0,
  };
}

function keyed(items: Record<string, number>): string {
  return Object.entries(items)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');
}

/** The files of a group, by path. The root has memory.stat only, as in the kernel. */
export function memcgFiles(m: Mm, memcg: number): Record<string, string> {
  const at = (file: string): string => `${memcgPath(m, memcg)}/${file}`;
  const files: Record<string, string> = { [at('memory.stat')]: keyed(memcgStat(m, memcg)) };
  if (memcg === 0) return files;
  const bytes = (pages: number): string => `${pages * PAGE_SIZE}\n`;
  const max = Atomics.load(m.memcg.max, memcg);
  files[at('memory.current')] = bytes(Atomics.load(m.memcg.usage, memcg));
  files[at('memory.peak')] = bytes(Atomics.load(m.memcg.peak, memcg));
  files[at('memory.max')] = max < 0 ? 'max\n' : bytes(max);
  files[at('memory.events')] = keyed(memcgEvents(m, memcg));
  files[at('memory.swap.current')] = bytes(Atomics.load(m.memcg.swap, memcg));
  files[at('memory.swap.max')] = 'max\n';
  return files;
}
