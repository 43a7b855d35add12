// SPDX-License-Identifier: GPL-2.0-only
/**
 * The shrinker of shadow nodes (mm/workingset.c, workingset_shadow_shrinker): history must not take
 * more memory than it can be worth. Refault distances beyond the active pages decide nothing, so an
 * eighth of a group's pages in shadows is plenty; nodes above that go, oldest first.
 *
 * The list and the shrinker come from outside, by the interfaces below, whose functions have the
 * names and results of list_lru.ts and shrinker.ts.
 */
import { lruSize, lruvecRow } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { LRU_UNEVICTABLE } from './mm_types.ts';
import { SHADOW_REMOVED, shadowIsolate } from './shadow_nodes.ts';
import { SHRINKER_MEMCG_AWARE, SHRINKER_NUMA_AWARE } from './shrinker_types.ts';

/** A callback found nothing at all. */
const SHRINK_EMPTY = -2;
/** XA_CHUNK_SHIFT - 3: 64 shadows a node, an eighth of the pages. */
const PAGES_PER_NODE_SHIFT = 3;

/** What a callback is asked. */
export interface ShadowControl {
  readonly nid: number;
  /** Group, 0 for the root and for global reclaim. */
  readonly memcg: number;
  readonly nrToScan: number;
}

/** Called with the list locked. @param remove takes the node off the list */
export type IsolateNode = (node: number, remove: (node: number) => void) => boolean;

/** What the shrinker needs of a memcg-aware list. */
export interface ShadowLru {
  /** @returns nodes on a group's list on a NUMA node */
  count(m: Mm, lru: number, nid: number, memcg: number): number;
  /**
   * Visits up to `nr` nodes, oldest first, under the list's lock. `isolate` takes off those for
   * which it returns true, by calling `remove`.
   * @returns nodes taken off
   */
  walk(m: Mm, lru: number, nid: number, memcg: number, isolate: IsolateNode, nr: number): number;
}

/** What makes the list and the shrinker at boot. */
export interface ShadowBoot {
  /** @returns a list, or an errno */
  listLruInit(m: Mm, memcgAware: boolean, shrinker: number): number;
  /** @returns a shrinker, or an errno */
  shrinkerAlloc(m: Mm, flags: number, name: string): number;
  shrinkerRegister(m: Mm, shrinker: number): void;
}

/** Pages whose history a node's list may keep: of the group, or of the NUMA node. */
function pagesOf(m: Mm, nid: number, memcg: number): number {
  if (memcg !== 0) {
    let pages = 0;
    const lruvec = lruvecRow(m, memcg, nid);
    for (let lru = 0; lru <= LRU_UNEVICTABLE; lru++) pages += lruSize(m, lruvec, lru);
    return pages;
  }
  let pages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] === nid) pages += m.zone.managed[zone] as number;
  }
  return pages;
}

/** Callbacks over a list: what `shadowShrinkerType` is when list_lru.ts is the list. */
export function shadowShrinker(lru: ShadowLru) {
  return {
    /**
     * @returns nodes above what is worth keeping, 0 for none of them, SHRINK_EMPTY for no node
     * @context any reclaimer
     */
    countObjects(m: Mm, sc: ShadowControl): number {
      const nodes = lru.count(m, m.shadowLru[0] as number, sc.nid, sc.memcg);
      if (nodes === 0) return SHRINK_EMPTY;
      const most = pagesOf(m, sc.nid, sc.memcg) >> PAGES_PER_NODE_SHIFT;
      return Math.max(nodes - most, 0);
    },

    /** @returns nodes whose shadows were dropped @context any reclaimer; takes list_lru */
    scanObjects(m: Mm, sc: ShadowControl): number {
      const isolate: IsolateNode = (node, remove) =>
        shadowIsolate(m, node, remove) === SHADOW_REMOVED;
      return lru.walk(m, m.shadowLru[0] as number, sc.nid, sc.memcg, isolate, sc.nrToScan);
    },
  };
}

/**
 * Makes the list of shadow nodes and its shrinker (workingset_init).
 * @returns 0, or the errno of what could not be made
 * @context the thread that boots the machine, after the shrinkers' tables are ready
 */
export function workingsetInit(m: Mm, boot: ShadowBoot): number {
  const flags = SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE;
  const shrinker = boot.shrinkerAlloc(m, flags, 'mm-shadow');
  if (shrinker < 0) return shrinker;
  const lru = boot.listLruInit(m, true, shrinker);
  if (lru < 0) return lru;
  m.shadowLru[0] = lru;
  m.shadowLru[1] = shrinker;
  // A seek is a lost page: none, history is cheap to make again.
  m.shrinker.seeks[shrinker] = 0;
  boot.shrinkerRegister(m, shrinker);
  return 0;
}
