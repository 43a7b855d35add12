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
import { CONTENDED_KSHRINKD_FIXED, CONTENDED_ORIGIN, CONTENDED_TAIL } from './contended.ts';
import {
  folioClear,
  folioLruvec,
  folioPages,
  folioPutTestZero,
  folioSet,
  folioTestClear,
  folioTryGet,
  isFileLru,
} from './folio.ts';
import { KCOMPRESSD_FIXED } from './kcompressd_types.ts';
import { kshrinkdQueue } from './kshrinkd.ts';
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
import { cullFlags } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import { PG_ACTIVE, PG_LRU, PG_REFERENCED, PG_WORKINGSET } from './mm_types.ts';
import { wakeFlusher } from './page_writeback.ts';
import { folioReferenced } from './rmap.ts';
import { contendedFolios, observeContended } from './rmap_contended.ts';
import { cgroupReclaim, type ScanControl } from './scan_control.ts';
import { lruAddDrain, releaseFolio } from './swap.ts';
import { plugPoll, plugTick } from './swap_plug.ts';
import { reclaimThrottleIsolated, reclaimThrottleWriteback, tooManyIsolated } from './throttle.ts';
import { countScan, modIsolated } from './vmscan_count.ts';
import { keepActive } from './vmscan_file.ts';
import { reclaimStat, shrinkFolioList } from './vmscan_folio.ts';
import { EV } from './vmstat_items.ts';
import { workingsetAgeNonresident } from './workingset.ts';

/** Isolated folios of one turn. One reclaim at a time per thread, so one array per thread. */
const isolated: number[] = [];
/** Pages that `isolateLruFolios` looked at. */
let scannedLast = 0;

/**
 * Takes folios of about `nrToScan` pages off the tail of a list into `isolated`, oldest first; the
 * last may be large and have more.
 * @returns pages taken; pages looked at in `scannedLast`
 * @context lru_lock held
 */
function isolateLruFoliosLocked(m: Mm, lruvec: number, lru: number, nrToScan: number): number {
  assert(nrToScan <= SWAP_CLUSTER_MAX, 'one turn isolates at most SWAP_CLUSTER_MAX');
  const { next, prev } = m.link;
  const head = lruHead(m, lruvec, lru);
  isolated.length = 0;
  let scanned = 0;
  let pages = 0;
  while (scanned < nrToScan) {
    const pfn = prev[head] as number;
    if (pfn === head) break;
    const nr = folioPages(m, pfn);
    scanned += nr;
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
    updateLruSize(m, lruvec, m.page.zone[pfn] as number, lru, -nr);
    isolated.push(pfn);
    pages += nr;
  }
  scannedLast = scanned;
  return pages;
}

/**
 * Puts folios back at the head of the lists that their flags name, oldest first; or at the tail,
 * where the oldest ends up behind all others.
 * @param released pfns whose last reference was ours: the caller frees them outside the lock
 * @returns pages put on a list
 * @context lru_lock held
 */
function moveFoliosToLruLocked(
  m: Mm,
  lruvec: number,
  folios: readonly number[],
  released: number[],
  tail = false,
): number {
  let moved = 0;
  for (let i = 0; i < folios.length; i++) {
    const pfn = folios[tail ? folios.length - 1 - i : i] as number;
    // PG_LRU before our reference goes: whoever drops the last one finds the folio on its list.
    const flags = cullFlags(m, pfn, Atomics.or(m.page.flags, pfn, PG_LRU) | PG_LRU);
    if (folioPutTestZero(m, pfn)) {
      Atomics.and(m.page.flags, pfn, ~(PG_LRU | PG_ACTIVE | PG_REFERENCED | PG_WORKINGSET));
      released.push(pfn);
      continue;
    }
    const pages = folioPages(m, pfn);
    lruvecAddFolioLocked(m, lruvec, pfn, flags, tail);
    moved += pages;
    if ((flags & PG_ACTIVE) !== 0) workingsetAgeNonresident(m, lruvec, pages);
  }
  return moved;
}

const released: number[] = [];

function freeReleased(m: Mm): void {
  for (let i = 0; i < released.length; i++) releaseFolio(m, released[i] as number);
  released.length = 0;
}

/**
 * Puts one isolated folio back, or nothing when it is gone (folio_putback_lru).
 * @param folios what shrinkFolioList left @param tail where it is looked at again first
 * @context takes lru_lock
 */
export function putbackLru(m: Mm, folios: readonly number[], tail = false): void {
  if (folios.length === 0) return;
  const lruvec = folioLruvec(m, folios[0] as number);
  lruLock(m, lruvec);
  moveFoliosToLruLocked(m, lruvec, folios, released, tail);
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
  plugPoll(m);
  lruLock(m, lruvec);
  const taken = isolateLruFoliosLocked(m, lruvec, lru, nrToScan);
  modIsolated(m, nid, file, taken);
  lruUnlock(m, lruvec);
  const scanned = scannedLast;
  plugTick(scanned);
  const group = lruvecMemcg(m, lruvec);
  if (taken === 0) {
    countScan(m, sc, group, file, scanned, 0);
    return 0;
  }
  const stat = reclaimStat();
  const reclaimed = shrinkFolioList(m, isolated, sc, stat);
  if (m.kcompressdPolicy === KCOMPRESSD_FIXED) sc.nrDeferred += stat.nrQueued;
  const queued = contendedFolios.length === 0 ? 0 : queueContended(m, nid, file, sc);
  lruLock(m, lruvec);
  moveFoliosToLruLocked(m, lruvec, isolated, released);
  if (contendedFolios.length > 0) {
    moveFoliosToLruLocked(m, lruvec, contendedFolios, released, placedAtTail(sc));
    contendedFolios.length = 0;
  }
  observeContended(m, lruvec);
  modIsolated(m, nid, file, -taken);
  lruUnlock(m, lruvec);
  freeReleased(m);
  countScan(m, sc, group, file, scanned, reclaimed);
  if (file) noteDirtyTail(m, nid, sc, stat.nrUnqueuedDirty === taken);
  lruNoteCost(m, lruvec, file, stat.nrPageout, scanned - reclaimed - queued);
  return reclaimed;
}

function placedAtTail(sc: ScanControl): boolean {
  return sc.contended === CONTENDED_TAIL || sc.contended === CONTENDED_ORIGIN;
}

/**
 * Hands contended folios to the node's kshrinkd, where the policy has one. Those that it does not
 * take stay in `contendedFolios`.
 * @returns pages that it took, and that are not to be counted as looked at in vain; none as posted
 */
function queueContended(m: Mm, nid: number, file: boolean, sc: ScanControl): number {
  const { events } = m.task;
  const all = contendedFolios.length;
  if (placedAtTail(sc)) {
    events[EV.kr_contended_tail] = (events[EV.kr_contended_tail] as number) + all;
    return 0;
  }
  const fixed = sc.contended === CONTENDED_KSHRINKD_FIXED;
  const queued = kshrinkdQueue(m, nid, contendedFolios, file);
  const kept = contendedFolios.length;
  events[EV.kr_contended_queued] = (events[EV.kr_contended_queued] as number) + all - kept;
  if (kept > 0) {
    Atomics.add(m.kshrinkd.full, nid, kept);
    events[EV.kr_contended_head] = (events[EV.kr_contended_head] as number) + kept;
    events[EV.kr_kshrinkd_full] = (events[EV.kr_kshrinkd_full] as number) + kept;
  }
  if (!fixed) return 0;
  sc.nrDeferred += queued;
  return queued;
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
  folioReferenced(m, pfn, sc.targetMemcg, m.config.rmapTryLock);
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
  plugTick(scannedLast);
  let rotated = 0;
  for (let i = 0; i < isolated.length; i++) {
    const pfn = isolated[i] as number;
    // Clears the young bits; referenced or not, an anonymous folio leaves the active list.
    if (file ? keepActive(m, pfn, sc) : referencedAnon(m, pfn, sc)) {
      rotated += folioPages(m, pfn);
      continue;
    }
    folioClear(m, pfn, PG_ACTIVE);
    folioSet(m, pfn, PG_WORKINGSET);
  }
  lruLock(m, lruvec);
  const moved = moveFoliosToLruLocked(m, lruvec, isolated, released);
  observeContended(m, lruvec);
  modIsolated(m, nid, file, -taken);
  lruUnlock(m, lruvec);
  events[EV.pgdeactivate] = (events[EV.pgdeactivate] as number) + moved - rotated;
  countMemcg(m, group, MS.pgdeactivate, moved - rotated);
  freeReleased(m);
  if (rotated > 0) lruNoteCost(m, lruvec, file, 0, rotated);
}
