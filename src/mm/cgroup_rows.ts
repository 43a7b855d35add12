// SPDX-License-Identifier: GPL-2.0-only
/**
 * Rows of groups and the tree that links them: what mkdir takes and cgroup_destroy gives back.
 * Children are linked in the order in which they were made.
 */
import { assert, bug } from '../../shared/assert.ts';
import { rcuAssignPointer } from '../../shared/rcu.ts';
import { MEMCG_NAME_BYTES } from './limits.ts';
import { lruHead, lruvecRow } from './lruvec.ts';
import { CGROUP_FREE_ROW, CGROUP_LIVE, CGROUP_ROWS } from './memcg_css.ts';
import type { Mm } from './mm.ts';
import { LRUVEC_COLUMNS, MEMCG_COLUMNS, MEMCG_FREE, NR_LRU_LISTS } from './mm_types.ts';
import { PSI_COLUMNS } from './psi.ts';

/** Columns that outlive a group: shadows compare the serial, late readers may follow the parent. */
const KEPT: ReadonlySet<string> = new Set(['serial', 'parent', 'releaseNext']);

/**
 * Takes a row: without limits, all zero but for KEPT.
 * @returns 0 when there is none @context cgroup_mutex held
 */
export function takeMemcgRow(m: Mm): number {
  let memcg = m.cgroup[CGROUP_FREE_ROW] as number;
  if (memcg !== 0) {
    m.cgroup[CGROUP_FREE_ROW] = m.memcg.releaseNext[memcg] as number;
    m.memcg.releaseNext[memcg] = 0;
  } else {
    // Row 0 is the root's.
    memcg = Math.max(m.cgroup[CGROUP_ROWS] as number, 1);
    if (memcg >= m.sizes.nrMemcgs) return 0;
    m.cgroup[CGROUP_ROWS] = memcg + 1;
  }
  assert(m.memcg.state[memcg] === MEMCG_FREE, 'a row in use is handed out');
  m.cgroup[CGROUP_LIVE] = (m.cgroup[CGROUP_LIVE] as number) + 1;
  m.memcg.high[memcg] = -1;
  m.memcg.swapMax[memcg] = -1;
  return memcg;
}

/**
 * Gives a row back, empty. Row, lists and names must hold nothing of the old group's, whose readers
 * are gone.
 * @context cgroup_mutex held; a grace period has passed since the row was unlinked, or the row was
 *   never linked
 */
export function freeMemcgRow(m: Mm, memcg: number): void {
  const { usage, own, swap, swapUsage, procs, firstChild } = m.memcg;
  for (const column of [usage, own, swap, swapUsage, procs, firstChild]) {
    if (column[memcg] !== 0) bug(`memcg ${memcg} is released and still holds something`);
  }
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) resetLruvec(m, lruvecRow(m, memcg, nid));
  for (const name of Object.keys(MEMCG_COLUMNS) as (keyof typeof MEMCG_COLUMNS)[]) {
    if (!KEPT.has(name)) m.memcg[name][memcg] = 0;
  }
  for (const name of Object.keys(PSI_COLUMNS) as (keyof typeof PSI_COLUMNS)[]) {
    m.psi[name][memcg] = 0;
  }
  m.memcgName.fill(0, memcg * MEMCG_NAME_BYTES, (memcg + 1) * MEMCG_NAME_BYTES);
  m.memcg.releaseNext[memcg] = m.cgroup[CGROUP_FREE_ROW] as number;
  m.cgroup[CGROUP_FREE_ROW] = memcg;
  m.cgroup[CGROUP_LIVE] = (m.cgroup[CGROUP_LIVE] as number) - 1;
}

function resetLruvec(m: Mm, lruvec: number): void {
  for (let lru = 0; lru < NR_LRU_LISTS; lru++) {
    const head = lruHead(m, lruvec, lru);
    assert(m.link.next[head] === head, 'a group is released with pages on its lists');
    assert(m.lruSize[lruvec * NR_LRU_LISTS + lru] === 0, 'an empty list has a size');
    assert(m.lruBelow[lruvec * NR_LRU_LISTS + lru] === 0, 'a released group counts pages below');
  }
  assert(m.lruvec.shrinkerInfo[lruvec] === 0, 'a group is released with a shrinker info');
  for (const name of Object.keys(LRUVEC_COLUMNS) as (keyof typeof LRUVEC_COLUMNS)[]) {
    m.lruvec[name][lruvec] = 0;
  }
}

/** Puts a group behind its siblings: walks find it from here on. @context cgroup_mutex held */
export function linkMemcg(m: Mm, memcg: number, parent: number): void {
  const { firstChild, lastChild, nextSibling, prevSibling } = m.memcg;
  const last = lastChild[parent] as number;
  m.memcg.parent[memcg] = parent;
  prevSibling[memcg] = last;
  nextSibling[memcg] = 0;
  lastChild[parent] = memcg;
  // All of the row is written before a walk can find it.
  if (last === 0) rcuAssignPointer(firstChild, parent, memcg);
  else rcuAssignPointer(nextSibling, last, memcg);
}

/**
 * Takes a group off the tree. Its own links stay as they are: a walk may stand on it until the
 * grace period has passed.
 * @context cgroup_mutex held; the group has no children
 */
export function unlinkMemcg(m: Mm, memcg: number): void {
  const { firstChild, lastChild, nextSibling, prevSibling } = m.memcg;
  const parent = m.memcg.parent[memcg] as number;
  const next = nextSibling[memcg] as number;
  const prev = prevSibling[memcg] as number;
  if (prev === 0) rcuAssignPointer(firstChild, parent, next);
  else rcuAssignPointer(nextSibling, prev, next);
  if (next === 0) lastChild[parent] = prev;
  else prevSibling[next] = prev;
}
