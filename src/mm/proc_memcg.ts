// SPDX-License-Identifier: GPL-2.0-only
/**
 * The files of a memory group (mm/memcontrol.c, cgroup v2). memory.stat covers the subtree.
 *
 * Events are counted over the machine, not by group: memory.stat has them for groups that hold
 * every process, where the two are the same, and leaves them out elsewhere.
 */
import { memcgPath } from './cgroup_names.ts';
import { PAGE_SIZE } from './limits.ts';
import { hierarchyLruSize, lruvecRow, memcgWithin } from './lruvec.ts';
import { CGROUP_ATTACHED, memcgOnline } from './memcg_css.ts';
import { nextDescendant } from './memcg_iter.ts';
import { folioOfHost } from './file_dirty.ts';
import type { Mm } from './mm.ts';
import { NR_LRU_LISTS, PG_SWAPCACHE } from './mm_types.ts';
import { addObjectBytes } from './objcg.ts';
import { vmEvents } from './vmstat.ts';

const LIST_NAMES = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file', 'unevictable'];

/** Groups that have a directory: online, parents first. @context any; a moment old */
export function listedMemcgs(m: Mm): number[] {
  const rows: number[] = [];
  // A tree that changes meanwhile may lead in circles: no more steps than there are rows.
  for (let at = 0, left = m.sizes.nrMemcgs; at >= 0 && left > 0; left--) {
    if (memcgOnline(m, at)) rows.push(at);
    at = nextDescendant(m, 0, at);
  }
  return rows;
}

function holdsEveryProcess(m: Mm, memcg: number): boolean {
  if (memcg === 0) return true;
  // Once a process has moved, what was counted before it did belongs elsewhere.
  if (memcg >= m.config.memcgs.length || Atomics.load(m.cgroup, CGROUP_ATTACHED) > 0) return false;
  return m.config.processes.every((process) => memcgWithin(m, process.memcg, memcg));
}

/** Mapped pages and pages in the swap cache of each group's subtree, by its number. */
interface PageCounts {
  readonly anon: Int32Array;
  readonly swapCached: Int32Array;
  readonly shmem: Int32Array;
  /** Pages of the host's files. */
  readonly file: Int32Array;
  /** Bytes of kernel objects. */
  readonly objects: Float64Array;
}

function slabBytes(m: Mm): number {
  let pages = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    pages += Atomics.load(m.node.slabReclaimable, nid);
  }
  return pages * PAGE_SIZE;
}

/** One pass over all pages, then one up the tree. @context exact at quiescence */
function countPages(m: Mm): PageCounts {
  const anon = new Int32Array(m.sizes.nrMemcgs);
  const swapCached = new Int32Array(m.sizes.nrMemcgs);
  const shmem = new Int32Array(m.sizes.nrMemcgs);
  const file = new Int32Array(m.sizes.nrMemcgs);
  const objects = new Float64Array(m.sizes.nrMemcgs);
  addObjectBytes(m, objects);
  const bump = (counts: Int32Array | Float64Array, at: number, by: number): void => {
    counts[at] = (counts[at] as number) + by;
  };
  for (let pfn = 1; pfn < m.sizes.nrPages; pfn++) {
    const memcg = m.page.memcg[pfn] as number;
    const ofFile = (m.page.mapping[pfn] as number) < 0;
    if (Atomics.load(m.page.mapcount, pfn) > 0 && !ofFile) bump(anon, memcg, 1);
    if ((Atomics.load(m.page.flags, pfn) & PG_SWAPCACHE) !== 0) bump(swapCached, memcg, 1);
    if (ofFile) bump(folioOfHost(m, pfn) ? file : shmem, memcg, 1);
  }
  const rows: number[] = [];
  for (let at = 0; at >= 0 && rows.length < m.sizes.nrMemcgs; at = nextDescendant(m, 0, at)) {
    rows.push(at);
  }
  for (let i = rows.length - 1; i > 0; i--) {
    const memcg = rows[i] as number;
    const parent = m.memcg.parent[memcg] as number;
    bump(anon, parent, anon[memcg] as number);
    bump(swapCached, parent, swapCached[memcg] as number);
    bump(shmem, parent, shmem[memcg] as number);
    bump(file, parent, file[memcg] as number);
    bump(objects, parent, objects[memcg] as number);
  }
  // The root's objects are charged to nobody: it has what the machine has.
  objects[0] = slabBytes(m);
  return { anon, swapCached, shmem, file, objects };
}

/** memory.stat of any number of groups at one instant: the pages are counted once, when asked. */
export class MemcgStats {
  readonly #m: Mm;
  #counts: PageCounts | null = null;

  constructor(m: Mm) {
    this.#m = m;
  }

  /** Sizes in bytes, events in pages. @context exact at quiescence */
  of(memcg: number): Record<string, number> {
    this.#counts ??= countPages(this.#m);
    const { anon, swapCached, shmem, file, objects } = this.#counts;
    const files = (shmem[memcg] as number) * PAGE_SIZE;
    const slab = objects[memcg] as number;
    return {
      anon: (anon[memcg] as number) * PAGE_SIZE,
      file: files + (file[memcg] as number) * PAGE_SIZE,
      shmem: files,
      swapcached: (swapCached[memcg] as number) * PAGE_SIZE,
      ...listSizes(this.#m, memcg),
      slab_reclaimable: slab,
      slab_unreclaimable: 0,
      slab,
      ...(holdsEveryProcess(this.#m, memcg) ? eventItems(this.#m) : {}),
    };
  }
}

function listSizes(m: Mm, memcg: number): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
    let pages = 0;
    for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
      pages += hierarchyLruSize(m, lruvecRow(m, memcg, nid), lru);
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

/** Texts by path, each made when it is asked for. */
export type LazyFiles = Map<string, () => string>;

/** Adds the files of a group. The root has memory.stat only, as in the kernel. */
export function addMemcgFiles(m: Mm, memcg: number, stats: MemcgStats, files: LazyFiles): void {
  const path = memcgPath(m, memcg);
  const add = (file: string, text: () => string): void => {
    files.set(`${path}/${file}`, text);
  };
  const bytes = (pages: number): string => `${pages * PAGE_SIZE}\n`;
  add('memory.stat', () => keyed(stats.of(memcg)));
  if (memcg === 0) return;
  add('memory.current', () => bytes(Atomics.load(m.memcg.usage, memcg)));
  add('memory.peak', () => bytes(Atomics.load(m.memcg.peak, memcg)));
  add('memory.max', () => {
    const max = Atomics.load(m.memcg.max, memcg);
    return max < 0 ? 'max\n' : bytes(max);
  });
  add('memory.events', () => keyed(memcgEvents(m, memcg)));
  add('memory.swap.current', () => bytes(Atomics.load(m.memcg.swap, memcg)));
  add('memory.swap.max', () => 'max\n');
}
