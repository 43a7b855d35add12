// SPDX-License-Identifier: GPL-2.0-only
/**
 * Between the LRU lists and shrinkFolioList: isolation, putback, and one turn at the inactive and
 * at the active list (mm/vmscan.c).
 *
 * Isolation: under lru_lock, from the tail. The reference comes first (a folio at count 0 is being
 * freed), then PG_LRU is tested and cleared: one winner, who owns the folio's list membership.
 */
import { assert } from '../../shared/assert.ts';
import { listDel, listMove } from '../../shared/list.ts';
import {
  folioClear,
  folioLruvec,
  folioPutTestZero,
  folioSet,
  folioTestClear,
  folioTryGet,
  isFileLru,
} from './folio.ts';
import { SWAP_CLUSTER_MAX } from './limits.ts';
import {
  lruHead,
  lruLock,
  lruNoteCost,
  lruUnlock,
  lruvecAddFolioLocked,
  lruvecMemcg,
  updateLruSize,
} from './lruvec.ts';
import { countMemcg, MS } from './memcg_events.ts';
import { uncharge } from './memcontrol.ts';
import { clearMlocked, cullFlags } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import { PG_ACTIVE, PG_LRU, PG_REFERENCED, PG_WORKINGSET } from './mm_types.ts';
import { freePage } from './page_alloc.ts';
import { wakeFlusher } from './page_writeback.ts';
import { folioReferenced } from './rmap.ts';
import { cgroupReclaim, type ScanControl } from './scan_control.ts';
import { lruAddDrain } from './swap.ts';
import { reclaimThrottleIsolated, reclaimThrottleWriteback, tooManyIsolated } from './throttle.ts';
import { keepActive } from './vmscan_file.ts';
import { countScan, modIsolated, reclaimStat, shrinkFolioList } from './vmscan_folio.ts';
import { EV } from './vmstat_items.ts';
import { workingsetAgeNonresident } from './workingset.ts';

/** Isolated folios of one turn. One reclaim at a time per thread, so one array per thread. */
const isolated: number[] = [];
/** Pages that `isolateLruFolios` looked at. */
let scannedLast = 0;

/**
 * Takes up to `nrToScan` folios off the tail of a list into `isolated`, oldest first.
 * @returns pages taken; pages looked at in `scannedLast`
 * @context lru_lock held
 */
function isolateLruFoliosLocked(m: Mm, lruvec: number, lru: number, nrToScan: number): number {
  assert(nrToScan <= SWAP_CLUSTER_MAX, 'one turn isolates at most SWAP_CLUSTER_MAX');
  const { next, prev } = m.link;
  const head = lruHead(m, lruvec, lru);
  isolated.length = 0;
  let scanned = 0;
  while (scanned < nrToScan) {
    const pfn = prev[head] as number;
    if (pfn === head) break;
    scanned++;
    // Being freed, or isolated by somebody else: out of our way, to the head.
    if (!folioTryGet(m, pfn)) {
      listMove(next, prev, pfn, head);
      continue;
    }
    if (!folioTestClear(m, pfn, PG_LRU)) {
      if (folioPutTestZero(m, pfn)) assert(false, 'folio without PG_LRU is on a list, and free');
      listMove(next, prev, pfn, head);
      continue;
    }
    listDel(next, prev, pfn);
    updateLruSize(m, lruvec, m.page.zone[pfn] as number, lru, -1);
    isolated.push(pfn);
  }
  scannedLast = scanned;
  return isolated.length;
}

/**
 * Puts folios back at the head of the lists that their flags name, oldest first.
 * @param released pfns whose last reference was ours: the caller frees them outside the lock
 * @returns pages put on a list
 * @context lru_lock held
 */
function moveFoliosToLruLocked(
  m: Mm,
  lruvec: number,
  folios: readonly number[],
  released: number[],
): number {
  let moved = 0;
  for (let i = 0; i < folios.length; i++) {
    const pfn = folios[i] as number;
    // PG_LRU before our reference goes: whoever drops the last one finds the folio on its list.
    const flags = cullFlags(m, pfn, Atomics.or(m.page.flags, pfn, PG_LRU) | PG_LRU);
    if (folioPutTestZero(m, pfn)) {
      Atomics.and(m.page.flags, pfn, ~(PG_LRU | PG_ACTIVE | PG_REFERENCED | PG_WORKINGSET));
      released.push(pfn);
      continue;
    }
    lruvecAddFolioLocked(m, lruvec, pfn, flags);
    moved++;
    if ((flags & PG_ACTIVE) !== 0) workingsetAgeNonresident(m, lruvec);
  }
  return moved;
}

const released: number[] = [];

function freeReleased(m: Mm): void {
  for (let i = 0; i < released.length; i++) {
    const pfn = released[i] as number;
    clearMlocked(m, pfn);
    uncharge(m, m.page.memcg[pfn] as number, 1);
    freePage(m, pfn);
  }
  released.length = 0;
}

/**
 * Puts one isolated folio back, or nothing when it is gone (folio_putback_lru).
 * @param folios what shrinkFolioList left @context takes lru_lock
 */
export function putbackLru(m: Mm, folios: readonly number[]): void {
  if (folios.length === 0) return;
  const lruvec = folioLruvec(m, folios[0] as number);
  lruLock(m, lruvec);
  moveFoliosToLruLocked(m, lruvec, folios, released);
  lruUnlock(m, lruvec);
  freeReleased(m);
}

/**
 * One turn at an inactive list.
 * @returns pages reclaimed
 * @context no lock held; may throttle a direct reclaimer once
 */
export function shrinkInactiveList(
  m: Mm,
  nrToScan: number,
  lruvec: number,
  sc: ScanControl,
  lru: number,
): number {
  const file = isFileLru(lru);
  const nid = lruvec % m.sizes.nrNodes;
  if (tooManyIsolated(m, nid, file, sc)) {
    reclaimThrottleIsolated(m, nid);
    if (tooManyIsolated(m, nid, file, sc)) return 0;
  }
  lruAddDrain(m);
  lruLock(m, lruvec);
  const taken = isolateLruFoliosLocked(m, lruvec, lru, nrToScan);
  modIsolated(m, nid, file, taken);
  lruUnlock(m, lruvec);
  const scanned = scannedLast;
  const group = lruvecMemcg(m, lruvec);
  if (taken === 0) {
    countScan(m, sc, group, file, scanned, 0);
    return 0;
  }
  const stat = reclaimStat();
  const reclaimed = shrinkFolioList(m, isolated, sc, stat);
  lruLock(m, lruvec);
  moveFoliosToLruLocked(m, lruvec, isolated, released);
  modIsolated(m, nid, file, -taken);
  lruUnlock(m, lruvec);
  freeReleased(m);
  countScan(m, sc, group, file, scanned, reclaimed);
  if (file) noteDirtyTail(m, nid, sc, stat.nrUnqueuedDirty === taken);
  lruNoteCost(m, lruvec, file, stat.nrPageout, scanned - reclaimed);
  return reclaimed;
}

/**
 * Reclaim met nothing but dirty pages: the flusher is asked, kswapd may write itself from then on,
 * and others wait a moment.
 */
function noteDirtyTail(m: Mm, nid: number, sc: ScanControl, all: boolean): void {
  if (all) wakeFlusher(m);
  if (sc.role === 'kswapd') Atomics.store(m.node.dirtyTail, nid, all ? 1 : 0);
  else if (all) reclaimThrottleWriteback(m, nid);
}

/** Clears the young bits of an anonymous folio. @returns false: it leaves the active list */
function referencedAnon(m: Mm, pfn: number, sc: ScanControl): boolean {
  folioReferenced(m, pfn, sc.targetMemcg, true);
  return false;
}

/**
 * One turn at an active list: everything goes to the inactive list, marked as working set.
 * @context takes lru_lock; walks the rmap outside it
 */
export function shrinkActiveList(
  m: Mm,
  nrToScan: number,
  lruvec: number,
  sc: ScanControl,
  lru: number,
): void {
  const { events } = m.task;
  const file = isFileLru(lru);
  const nid = lruvec % m.sizes.nrNodes;
  lruAddDrain(m);
  lruLock(m, lruvec);
  const taken = isolateLruFoliosLocked(m, lruvec, lru, nrToScan);
  modIsolated(m, nid, file, taken);
  lruUnlock(m, lruvec);
  if (!cgroupReclaim(sc)) events[EV.pgrefill] = (events[EV.pgrefill] as number) + scannedLast;
  const group = lruvecMemcg(m, lruvec);
  countMemcg(m, group, MS.pgrefill, scannedLast);
  let rotated = 0;
  for (let i = 0; i < isolated.length; i++) {
    const pfn = isolated[i] as number;
    // Clears the young bits; referenced or not, an anonymous folio leaves the active list.
    if (file ? keepActive(m, pfn, sc) : referencedAnon(m, pfn, sc)) {
      rotated++;
      continue;
    }
    folioClear(m, pfn, PG_ACTIVE);
    folioSet(m, pfn, PG_WORKINGSET);
  }
  lruLock(m, lruvec);
  const moved = moveFoliosToLruLocked(m, lruvec, isolated, released);
  modIsolated(m, nid, file, -taken);
  lruUnlock(m, lruvec);
  events[EV.pgdeactivate] = (events[EV.pgdeactivate] as number) + moved - rotated;
  countMemcg(m, group, MS.pgdeactivate, moved - rotated);
  freeReleased(m);
  if (rotated > 0) lruNoteCost(m, lruvec, file, 0, rotated);
}
