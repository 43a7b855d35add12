// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shadows and refaults (mm/workingset.c).
 *
 * `nonresidentAge` of an lruvec counts evictions and activations. An evicted page leaves its age in
 * the swap slot; at refault, the difference (the refault distance) is how many pages the inactive
 * list would have had to be longer to keep it. If the active pages that it competes with are at
 * least that many, it is activated, and shakes the list's balance.
 *
 * Ages are 32-bit and wrap; distances are taken modulo 2^32.
 */
import { assert } from '../../shared/assert.ts';
import { folioLruvec, folioNid, folioPages, folioSet } from './folio.ts';
import { MEMCGS_MAX, NODES_MAX } from './limits.ts';
import { hierarchyLruSize, lruNoteCost, lruvecMemcg, lruvecRow, parentLruvec } from './lruvec.ts';
import { memcgSerial } from './memcg_css.ts';
import { countMemcg, MS } from './memcg_events.ts';
import { memcgSwapPages } from './memcg_swap.ts';
import type { Mm } from './mm.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  MEMCG_FREE,
  PG_ACTIVE,
  PG_WORKINGSET,
} from './mm_types.ts';
import { EV } from './vmstat_items.ts';

/**
 * shadowTag: valid bit, workingset bit, the group's serial 10 bits, node 4 bits, memcg 16 bits. 0
 * is no shadow.
 *
 * A shadow keeps no reference, so its row may be another group's by the time it is read. The serial
 * tells; when its 10 bits happen to agree, one page is judged by the age of the wrong group, and at
 * worst activated: what the kernel accepts from an id that is given again.
 */
const SHADOW_VALID = 1;
const SHADOW_WORKINGSET = 2;
const SHADOW_SERIAL_SHIFT = 2;
const SHADOW_SERIAL_MASK = 0x3ff;
const SHADOW_NID_SHIFT = 12;
const SHADOW_NID_MASK = 0xf;
const SHADOW_MEMCG_SHIFT = 16;

assert(NODES_MAX <= SHADOW_NID_MASK + 1, 'a shadow names every node');
assert(MEMCGS_MAX <= 1 << (32 - SHADOW_MEMCG_SHIFT), 'a shadow names every group');

/** @returns the NUMA node that a shadow was left on */
export function shadowNid(tag: number): number {
  return (tag >>> SHADOW_NID_SHIFT) & SHADOW_NID_MASK;
}

/** @returns whether the page was of the working set */
export function shadowWorkingset(tag: number): boolean {
  return (tag & SHADOW_WORKINGSET) !== 0;
}

/** Ages an lruvec and its ancestors by a folio's pages (workingset_age_nonresident). */
export function workingsetAgeNonresident(m: Mm, lruvec: number, pages = 1): void {
  for (let row = lruvec; row >= 0; row = parentLruvec(m, row)) {
    Atomics.add(m.lruvec.nonresidentAge, row, pages);
  }
}

/**
 * The shadow of a page that is being evicted.
 * @param targetMemcg group at whose limit reclaim runs; the root for global reclaim
 * @returns the tag; the age is left in `shadowAgeOut`
 * @context the folio is frozen, so its flags do not change
 */
export function workingsetEviction(m: Mm, pfn: number, targetMemcg: number): number {
  const nid = folioNid(m, pfn);
  const lruvec = lruvecRow(m, targetMemcg, nid);
  shadowAgeOut.age = Atomics.load(m.lruvec.nonresidentAge, lruvec);
  workingsetAgeNonresident(m, lruvec, folioPages(m, pfn));
  const workingset = (Atomics.load(m.page.flags, pfn) & PG_WORKINGSET) !== 0;
  return makeShadowTag(memcgSerial(m, targetMemcg), nid, targetMemcg, workingset);
}

/** @returns a shadow's tag of its parts; pure */
export function makeShadowTag(
  serial: number,
  nid: number,
  memcg: number,
  workingset: boolean,
): number {
  return (
    SHADOW_VALID |
    (workingset ? SHADOW_WORKINGSET : 0) |
    ((serial & SHADOW_SERIAL_MASK) << SHADOW_SERIAL_SHIFT) |
    (nid << SHADOW_NID_SHIFT) |
    (memcg << SHADOW_MEMCG_SHIFT)
  );
}

/** The group that a shadow's age is of, or -1 when it is gone. */
function shadowMemcg(m: Mm, tag: number): number {
  const memcg = tag >>> SHADOW_MEMCG_SHIFT;
  const serial = (tag >>> SHADOW_SERIAL_SHIFT) & SHADOW_SERIAL_MASK;
  const same = (memcgSerial(m, memcg) & SHADOW_SERIAL_MASK) === serial;
  return same && Atomics.load(m.memcg.state, memcg) !== MEMCG_FREE ? memcg : -1;
}

/** Second result of `workingsetEviction`: private to the thread. */
export const shadowAgeOut = { age: 0 };

/**
 * Decides whether a folio that comes back belongs to the working set (workingset_refault). All of
 * its pages count.
 * @param tag shadow tag found in the slot; 0 for none @param age shadow age
 * @context the folio is locked by the faulting thread and not on a list yet
 */
export function workingsetRefault(
  m: Mm,
  pfn: number,
  tag: number,
  age: number,
  file: boolean,
): void {
  if ((tag & SHADOW_VALID) === 0) return;
  const { events } = m.task;
  const lruvec = folioLruvec(m, pfn);
  const fileCell = file ? 1 : 0;
  const pages = folioPages(m, pfn);
  const refault = EV.workingset_refault_anon + fileCell;
  events[refault] = (events[refault] as number) + pages;
  const memcg = lruvecMemcg(m, lruvec);
  countMemcg(m, memcg, MS.workingset_refault_anon + fileCell, pages);

  const evictionMemcg = shadowMemcg(m, tag);
  if (evictionMemcg < 0) return;
  const evictionLruvec = lruvecRow(m, evictionMemcg, shadowNid(tag));
  const distance = (Atomics.load(m.lruvec.nonresidentAge, evictionLruvec) - age) >>> 0;
  if (distance > workingsetSize(m, evictionLruvec, file)) return;

  folioSet(m, pfn, PG_ACTIVE);
  workingsetAgeNonresident(m, lruvec, pages);
  const activated = file ? m.lruvec.activateFile : m.lruvec.activateAnon;
  for (let row = lruvec; row >= 0; row = parentLruvec(m, row)) Atomics.add(activated, row, pages);
  const activate = EV.workingset_activate_anon + fileCell;
  events[activate] = (events[activate] as number) + pages;
  countMemcg(m, memcg, MS.workingset_activate_anon + fileCell, pages);
  if ((tag & SHADOW_WORKINGSET) !== 0) {
    folioSet(m, pfn, PG_WORKINGSET);
    lruNoteCost(m, lruvec, file, pages, 0);
    const restore = EV.workingset_restore_anon + fileCell;
    events[restore] = (events[restore] as number) + pages;
    countMemcg(m, memcg, MS.workingset_restore_anon + fileCell, pages);
  }
}

/** Pages that a refaulting page competes with. */
function workingsetSize(m: Mm, lruvec: number, file: boolean): number {
  let pages = hierarchyLruSize(m, lruvec, LRU_ACTIVE_FILE);
  if (!file) pages += hierarchyLruSize(m, lruvec, LRU_INACTIVE_FILE);
  if (memcgSwapPages(m, lruvecMemcg(m, lruvec)) > 0) {
    pages += hierarchyLruSize(m, lruvec, LRU_ACTIVE_ANON);
    if (file) pages += hierarchyLruSize(m, lruvec, LRU_INACTIVE_ANON);
  }
  return pages;
}

/** Remembers the activation counts at the end of a reclaim (snapshot_refaults). */
export function snapshotRefaults(m: Mm, memcg: number, nid: number): void {
  const lruvec = lruvecRow(m, memcg, nid);
  Atomics.store(m.lruvec.refaultsAnon, lruvec, Atomics.load(m.lruvec.activateAnon, lruvec));
  Atomics.store(m.lruvec.refaultsFile, lruvec, Atomics.load(m.lruvec.activateFile, lruvec));
}
