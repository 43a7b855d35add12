// SPDX-License-Identifier: GPL-2.0-only
/**
 * The files of a memory group that can be read (mm/memcontrol.c, cgroup v2). memory.stat and
 * memory.events cover the subtree. Writes are memcg_files.ts's.
 */
import type { I32 } from '../../shared/types.ts';
import { memcgPath } from './cgroup_names.ts';
import { folioOfHost } from './file_dirty.ts';
import { PAGE_SIZE } from './limits.ts';
import { hierarchyLruSize, lruvecRow } from './lruvec.ts';
import { memcgOnline } from './memcg_css.ts';
import { MEMCG_STATS, memcgStatCell } from './memcg_events.ts';
import { nextDescendant } from './memcg_iter.ts';
import type { Mm } from './mm.ts';
import { NR_LRU_LISTS, PG_SWAPCACHE } from './mm_types.ts';
import { addObjectBytes } from './objcg.ts';
import { memoryPressure } from './psi.ts';
import { hasZswap } from './zswap_entry.ts';
import { ZSWAP_UNIT } from './zswap_types.ts';

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

/** Mapped pages and pages in the swap cache of each group's subtree, by its number. */
interface PageCounts {
  readonly anon: Int32Array;
  readonly swapCached: Int32Array;
  readonly shmem: Int32Array;
  /** Pages of the host's files. */
  readonly file: Int32Array;
  /** Bytes of kernel objects. */
  readonly objects: Float64Array;
  /** Events, MEMCG_STATS.length for each group. */
  readonly events: Float64Array;
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
  const nr = MEMCG_STATS.length;
  const events = new Float64Array(m.sizes.nrMemcgs * nr);
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
    for (let cell = 0; cell < nr; cell++) events[at * nr + cell] = memcgStatCell(m, at, cell);
  }
  for (let i = rows.length - 1; i > 0; i--) {
    const memcg = rows[i] as number;
    const parent = m.memcg.parent[memcg] as number;
    bump(anon, parent, anon[memcg] as number);
    bump(swapCached, parent, swapCached[memcg] as number);
    bump(shmem, parent, shmem[memcg] as number);
    bump(file, parent, file[memcg] as number);
    bump(objects, parent, objects[memcg] as number);
    for (let cell = 0; cell < nr; cell++) {
      bump(events, parent * nr + cell, events[memcg * nr + cell] as number);
    }
  }
  // The root's objects are charged to nobody: it has what the machine has.
  objects[0] = slabBytes(m);
  return { anon, swapCached, shmem, file, objects, events };
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
    const { anon, swapCached, shmem, file, objects, events } = this.#counts;
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
      ...eventItems(events, memcg),
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

/** Events of a subtree by name, the sums over all reclaimers before their parts. */
function eventItems(events: Float64Array, memcg: number): Record<string, number> {
  const nr = MEMCG_STATS.length;
  const of = (cell: number): number => events[memcg * nr + cell] as number;
  const items: Record<string, number> = {};
  MEMCG_STATS.forEach((name, cell) => {
    const sum = (): number => of(cell) + of(cell + 1) + of(cell + 2) + of(cell + 3);
    if (name === 'pgscan_kswapd') items.pgscan = sum();
    if (name === 'pgsteal_kswapd') items.pgsteal = sum();
    items[name] = of(cell);
  });
  return items;
}

/** memory.events as numbers. */
export function memcgEvents(m: Mm, memcg: number): Record<string, number> {
  return {
    low: Atomics.load(m.memcg.eventsLow, memcg),
    high: Atomics.load(m.memcg.eventsHigh, memcg),
    max: Atomics.load(m.memcg.eventsMax, memcg),
    oom: Atomics.load(m.memcg.eventsOom, memcg),
    oom_kill: Atomics.load(m.memcg.eventsOomKill, memcg),
    oom_group_kill: Atomics.load(m.memcg.eventsOomGroupKill, memcg),
  };
}

function keyed(items: Record<string, number>): string {
  return Object.entries(items)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');
}

/** Texts by path, each made when it is asked for. */
export type LazyFiles = Map<string, () => string>;

function limitText(pages: number): string {
  return pages < 0 ? 'max\n' : `${pages * PAGE_SIZE}\n`;
}

/** Adds the files of a group. The root has memory.stat only, as in the kernel. */
export function addMemcgFiles(m: Mm, memcg: number, stats: MemcgStats, files: LazyFiles): void {
  const path = memcgPath(m, memcg);
  const add = (file: string, text: () => string): void => {
    files.set(`${path}/${file}`, text);
  };
  const bytes = (column: I32) => (): string => `${Atomics.load(column, memcg) * PAGE_SIZE}\n`;
  const limit = (column: I32) => (): string => limitText(Atomics.load(column, memcg));
  add('memory.stat', () => keyed(stats.of(memcg)));
  if (memcg === 0) return;
  const { usage, peak, min, low, high, max, swapUsage, swapMax } = m.memcg;
  add('memory.current', bytes(usage));
  add('memory.peak', bytes(peak));
  add('memory.min', bytes(min));
  add('memory.low', bytes(low));
  add('memory.high', limit(high));
  add('memory.max', limit(max));
  add('memory.events', () => keyed(memcgEvents(m, memcg)));
  add('memory.pressure', () => memoryPressure(m, memcg));
  add('memory.oom.group', () => `${Atomics.load(m.memcg.oomGroup, memcg)}\n`);
  add('memory.swap.current', bytes(swapUsage));
  add('memory.swap.max', limit(swapMax));
  add('memory.swap.events', () =>
    keyed({
      max: Atomics.load(m.memcg.eventsSwapMax, memcg),
      fail: Atomics.load(m.memcg.eventsSwapFail, memcg),
    }),
  );
  if (!hasZswap(m)) return;
  add('memory.zswap.current', () => `${Atomics.load(m.memcg.zswapUnits, memcg) * ZSWAP_UNIT}\n`);
  add('memory.zswap.max', () => limitText(Atomics.load(m.memcg.zswapLimit, memcg) - 1));
  add('memory.zswap.writeback', () => `${1 - Atomics.load(m.memcg.zswapNoWriteback, memcg)}\n`);
}
