// SPDX-License-Identifier: GPL-2.0-only
/**
 * Walkers over groups: the tree, the references, charges, sizes, and the rows that are free (see
 * check.ts).
 */
import { THREADS_MAX } from '../../shared/limits.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { Checker } from './check.ts';
import { checkObjcgs } from './check_objects.ts';
import { MEMCG_NAME_BYTES } from './limits.ts';
import { lruHead, lruvecRow } from './lruvec.ts';
import { CGROUP_LIVE, CGROUP_RELEASE, memcgRefs } from './memcg_css.ts';
import { nextDescendant } from './memcg_iter.ts';
import { STOCK_TASK } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import {
  LRUVEC_COLUMNS,
  MEMCG_COLUMNS,
  MEMCG_DYING,
  MEMCG_FREE,
  MEMCG_ONLINE,
  NR_LRU_LISTS,
} from './mm_types.ts';
import { objcgMemcg } from './objcg.ts';

const STOCK_MEMCG = 1;
const STOCK_PAGES = 2;

/** Adds `by` to a cell. */
function bump(counts: Int32Array, at: number, by = 1): void {
  counts[at] = (counts[at] as number) + by;
}

/** Every row on the tree, parents first; checks its links on the way. */
function walkTree(m: Mm, check: Checker): number[] {
  const { parent, lastChild, nextSibling, prevSibling } = m.memcg;
  const rows: number[] = [];
  for (let at = 0; at >= 0; at = nextDescendant(m, 0, at)) {
    if (rows.length === m.sizes.nrMemcgs) throw new Error(`the tree of groups loops at ${at}`);
    rows.push(at);
    if (at === 0) continue;
    const next = nextSibling[at] as number;
    const back = next === 0 ? lastChild[parent[at] as number] : prevSibling[next];
    check.equal(back as number, at, `memcg ${at}: link back from its sibling or parent`);
    const state = Atomics.load(m.memcg.state, at);
    check.that(state !== MEMCG_FREE, () => `memcg ${at} is free and on the tree`);
  }
  check.equal(m.cgroup[CGROUP_LIVE] as number, rows.length, 'groups that are not free');
  return rows;
}

/** Rows that wait for cgroup_destroy. */
function waitingRows(m: Mm, check: Checker): Set<number> {
  const waiting = new Set<number>();
  for (let at = Atomics.load(m.cgroup, CGROUP_RELEASE); at !== 0; ) {
    check.that(!waiting.has(at), () => `memcg ${at} waits twice to be released`);
    if (waiting.has(at)) break;
    waiting.add(at);
    at = Atomics.load(m.memcg.releaseNext, at);
  }
  return waiting;
}

/** What each reference is for: see memcg_css.ts. */
function checkRefs(m: Mm, check: Checker, rows: readonly number[]): void {
  const refs = new Int32Array(m.sizes.nrMemcgs);
  const online = new Int32Array(m.sizes.nrMemcgs);
  for (const memcg of rows) {
    const isOnline = Atomics.load(m.memcg.state, memcg) === MEMCG_ONLINE;
    if (isOnline) bump(refs, memcg);
    if (Atomics.load(m.memcg.own, memcg) > 0) bump(refs, memcg);
    if (Atomics.load(m.memcg.swap, memcg) > 0) bump(refs, memcg);
    if (memcg === 0) continue;
    const parent = m.memcg.parent[memcg] as number;
    bump(refs, parent);
    if (isOnline) bump(online, parent);
  }
  for (let id = 0; id < THREADS_MAX; id++) {
    bump(refs, m.stock[id * LINE_WORDS + STOCK_MEMCG] as number);
    bump(refs, m.stock[id * LINE_WORDS + STOCK_TASK] as number);
  }
  for (let node = 1; node < m.sizes.nrShadowNodes; node++) {
    if ((m.shadowNode.shadows[node] as number) > 0) bump(refs, m.shadowNode.group[node] as number);
  }
  for (let objcg = 1; objcg < m.sizes.slabs.nrObjcgs; objcg++) {
    if ((m.objcg.bytes[objcg] as number) > 0) bump(refs, objcgMemcg(m, objcg));
  }
  refs[0] = 1;
  const waiting = waitingRows(m, check);
  for (const memcg of rows) {
    check.equal(memcgRefs(m, memcg), refs[memcg] as number, `memcg ${memcg} references`);
    check.equal(
      m.memcg.onlineChildren[memcg] as number,
      online[memcg] as number,
      `memcg ${memcg} online children`,
    );
    const dying = Atomics.load(m.memcg.state, memcg) === MEMCG_DYING;
    const released = waiting.has(memcg);
    check.that(
      released === (memcgRefs(m, memcg) === 0) && (dying || !released),
      () => `memcg ${memcg}: ${memcgRefs(m, memcg)} references, waits to be released: ${released}`,
    );
  }
  checkProcs(m, check, rows);
}

function checkProcs(m: Mm, check: Checker, rows: readonly number[]): void {
  const procs = new Int32Array(m.sizes.nrMemcgs);
  for (let mm = 1; mm < m.sizes.nrMms; mm++) {
    const memcg = Atomics.load(m.mm.memcg, mm);
    if (Atomics.load(m.mm.users, mm) > 0) bump(procs, memcg);
    else check.equal(memcg, 0, `group of the ended process ${mm}`);
  }
  for (const memcg of rows) {
    const found = Atomics.load(m.memcg.procs, memcg);
    check.equal(found, procs[memcg] as number, `memcg ${memcg} processes`);
    const online = Atomics.load(m.memcg.state, memcg) === MEMCG_ONLINE;
    check.that(online || found === 0, () => `removed memcg ${memcg} has ${found} processes`);
  }
}

/** Charged pages, stocks included, up the tree. @param own pages charged to each group itself */
function checkCharges(m: Mm, check: Checker, rows: readonly number[], own: Int32Array): void {
  const usage = Int32Array.from(own);
  checkObjcgs(m, check).forEach((pages, memcg) => {
    bump(usage, memcg, pages);
  });
  for (let id = 0; id < THREADS_MAX; id++) {
    const row = id * LINE_WORDS;
    bump(usage, m.stock[row + STOCK_MEMCG] as number, m.stock[row + STOCK_PAGES] as number);
  }
  for (let i = rows.length - 1; i > 0; i--) {
    const memcg = rows[i] as number;
    bump(usage, m.memcg.parent[memcg] as number, usage[memcg] as number);
  }
  for (const memcg of rows) {
    const pages = usage[memcg] as number;
    check.equal(
      Atomics.load(m.memcg.own, memcg),
      own[memcg] as number,
      `memcg ${memcg} charged pages`,
    );
    check.equal(Atomics.load(m.memcg.usage, memcg), pages, `memcg ${memcg} usage`);
    const max = Atomics.load(m.memcg.max, memcg);
    check.that(max < 0 || pages <= max, () => `memcg ${memcg} is over its limit ${max}`);
  }
}

/** Swap slots up the tree, and what the parents are told of protected usage. */
function checkCounters(m: Mm, check: Checker, rows: readonly number[]): void {
  const swap = new Int32Array(m.sizes.nrMemcgs);
  const min = new Int32Array(m.sizes.nrMemcgs);
  const low = new Int32Array(m.sizes.nrMemcgs);
  for (let i = rows.length - 1; i >= 0; i--) {
    const memcg = rows[i] as number;
    bump(swap, memcg, Atomics.load(m.memcg.swap, memcg));
    check.equal(
      Atomics.load(m.memcg.swapUsage, memcg),
      swap[memcg] as number,
      `memcg ${memcg} swap of the subtree`,
    );
    check.equal(
      Atomics.load(m.memcg.childrenMin, memcg),
      min[memcg] as number,
      `memcg ${memcg}: protected by its children's memory.min`,
    );
    check.equal(
      Atomics.load(m.memcg.childrenLow, memcg),
      low[memcg] as number,
      `memcg ${memcg}: protected by its children's memory.low`,
    );
    check.equal(m.psi.stalled[memcg] as number, 0, `memcg ${memcg}: stalled threads at rest`);
    if (memcg === 0) continue;
    const parent = m.memcg.parent[memcg] as number;
    bump(swap, parent, swap[memcg] as number);
    bump(min, parent, Atomics.load(m.memcg.minUsage, memcg));
    bump(low, parent, Atomics.load(m.memcg.lowUsage, memcg));
  }
}

/** Sizes of lists below each group but the root. */
function checkBelow(m: Mm, check: Checker, rows: readonly number[]): void {
  const below = new Int32Array(m.sizes.nrLruvecs * NR_LRU_LISTS);
  for (let i = rows.length - 1; i > 0; i--) {
    const memcg = rows[i] as number;
    const parent = m.memcg.parent[memcg] as number;
    for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
      for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
        const cell = lruvecRow(m, memcg, nid) * NR_LRU_LISTS + lru;
        const found = Atomics.load(m.lruBelow, cell);
        check.equal(found, below[cell] as number, `memcg ${memcg} node ${nid} list ${lru} below`);
        const up = lruvecRow(m, parent, nid) * NR_LRU_LISTS + lru;
        bump(below, up, (below[cell] as number) + Atomics.load(m.lruSize, cell));
      }
    }
  }
}

/** What a free row holds that it should not; '' for nothing. */
function leftInRow(m: Mm, memcg: number): string {
  for (const name of Object.keys(MEMCG_COLUMNS) as (keyof typeof MEMCG_COLUMNS)[]) {
    const kept = name === 'serial' || name === 'parent' || name === 'releaseNext';
    if (!kept && m.memcg[name][memcg] !== 0) return name;
  }
  if (m.memcgName[memcg * MEMCG_NAME_BYTES] !== 0) return 'name';
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    const lruvec = lruvecRow(m, memcg, nid);
    for (const name of Object.keys(LRUVEC_COLUMNS) as (keyof typeof LRUVEC_COLUMNS)[]) {
      if (m.lruvec[name][lruvec] !== 0) return name;
    }
    for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
      const head = lruHead(m, lruvec, lru);
      const cell = lruvec * NR_LRU_LISTS + lru;
      if (m.link.next[head] !== head || m.lruSize[cell] !== 0 || m.lruBelow[cell] !== 0) {
        return 'lists';
      }
    }
  }
  return '';
}

/**
 * Checks every row of groups.
 * @param own pages charged to each group itself
 * @context quiescence; the lists have been checked
 */
export function checkMemcgs(m: Mm, check: Checker, own: Int32Array): void {
  const rows = walkTree(m, check);
  checkRefs(m, check, rows);
  checkCharges(m, check, rows, own);
  checkCounters(m, check, rows);
  checkBelow(m, check, rows);
  const live = new Uint8Array(m.sizes.nrMemcgs);
  for (const memcg of rows) live[memcg] = 1;
  for (let memcg = 0; memcg < m.sizes.nrMemcgs; memcg++) {
    if (live[memcg] === 1) continue;
    const left = leftInRow(m, memcg);
    check.that(left === '', () => `free memcg ${memcg}: ${left} is not zero`);
    check.equal(own[memcg] as number, 0, `pages of free memcg ${memcg}`);
  }
}

/** Groups when all programs have ended: nothing is charged, and no removed one is left. */
export function checkMemcgsEmpty(m: Mm, check: Checker): void {
  for (let memcg = 0; memcg < m.sizes.nrMemcgs; memcg++) {
    check.equal(Atomics.load(m.memcg.own, memcg), 0, `memcg ${memcg} pages at the end`);
    check.equal(Atomics.load(m.memcg.swap, memcg), 0, `memcg ${memcg} swap at the end`);
    const dying = Atomics.load(m.memcg.state, memcg) === MEMCG_DYING;
    check.that(!dying, () => `removed memcg ${memcg} is not released at the end`);
  }
}
