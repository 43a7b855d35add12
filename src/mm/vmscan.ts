// SPDX-License-Identifier: GPL-2.0-only
/**
 * How much to scan of which list, and in what order (mm/vmscan.c: prepare_scan_control,
 * get_scan_count, shrink_lruvec, shrink_node).
 *
 * Pressure is split between anonymous and file lists by what reclaiming each has cost lately
 * (pageouts, refaults, rotations), times swappiness. A list is scanned by its size >> priority; the
 * priority falls from DEF_PRIORITY until enough is reclaimed.
 */
import { condResched } from '../../shared/sched.ts';
import { DEF_PRIORITY, MAX_SWAPPINESS, SWAP_CLUSTER_MAX } from './limits.ts';
import {
  hierarchyLruSize,
  lruLock,
  lruSize,
  lruUnlock,
  lruvecMemcg,
  lruvecRow,
  nodeLru,
} from './lruvec.ts';
import { memcgOnline } from './memcg_css.ts';
import { memcgEvent } from './memcg_events.ts';
import { FULL_WALK, memcgIter, memcgIterBreak } from './memcg_iter.ts';
import {
  belowLow,
  belowMin,
  calculateProtection,
  lowInForce,
  minInForce,
  protectionInForce,
} from './memcg_protection.ts';
import { memcgSwapPages } from './memcg_swap.ts';
import type { Mm } from './mm.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
} from './mm_types.ts';
import { zoneFree } from './page_alloc.ts';
import {
  cgroupReclaim,
  DEACTIVATE_ANON,
  DEACTIVATE_FILE,
  type ScanControl,
} from './scan_control.ts';
import { shrinkSlab } from './shrink_slab.ts';
import { GFP_KERNEL } from './shrinker_ops.ts';
import { plugSubmit } from './swap_plug.ts';
import { shrinkActiveList, shrinkInactiveList } from './vmscan_lists.ts';
import { intSqrt } from './watermark.ts';

/** Pages of 4 KiB in a GiB, as a shift. */
const GIB_SHIFT = 18;

const SCAN_EQUAL = 0;
const SCAN_FRACT = 1;
const SCAN_ANON = 2;
const SCAN_FILE = 3;

/** Is the inactive list too short to tell used pages from unused ones? */
export function inactiveIsLow(m: Mm, lruvec: number, inactiveLru: number): boolean {
  const inactive = hierarchyLruSize(m, lruvec, inactiveLru);
  const active = hierarchyLruSize(m, lruvec, inactiveLru + 1);
  const gib = (inactive + active) >> GIB_SHIFT;
  const ratio = gib > 0 ? intSqrt(10 * gib) : 1;
  return inactive * ratio < active;
}

function prepareScanControl(m: Mm, nid: number, sc: ScanControl): void {
  const target = lruvecRow(m, sc.targetMemcg, nid);
  lruLock(m, target);
  sc.anonCost = m.lruvec.anonCost[target] as number;
  sc.fileCost = m.lruvec.fileCost[target] as number;
  lruUnlock(m, target);
  if (sc.forceDeactivate) {
    sc.mayDeactivate = DEACTIVATE_ANON | DEACTIVATE_FILE;
  } else {
    const { activateAnon, activateFile, refaultsAnon, refaultsFile } = m.lruvec;
    const anonRefaults = Atomics.load(activateAnon, target) !== Atomics.load(refaultsAnon, target);
    const fileRefaults = Atomics.load(activateFile, target) !== Atomics.load(refaultsFile, target);
    sc.mayDeactivate = 0;
    if (anonRefaults || inactiveIsLow(m, target, LRU_INACTIVE_ANON)) {
      sc.mayDeactivate |= DEACTIVATE_ANON;
    }
    if (fileRefaults || inactiveIsLow(m, target, LRU_INACTIVE_FILE)) {
      sc.mayDeactivate |= DEACTIVATE_FILE;
    }
  }
  const file = hierarchyLruSize(m, target, LRU_INACTIVE_FILE);
  sc.cacheTrimMode = file >> sc.priority > 0 && (sc.mayDeactivate & DEACTIVATE_FILE) === 0;
  sc.fileIsTiny = false;
  if (!cgroupReclaim(sc)) {
    let free = 0;
    let high = 0;
    for (let zone = 0; zone < m.sizes.nrZones; zone++) {
      if (m.zone.nid[zone] !== nid) continue;
      free += zoneFree(m, zone);
      high += m.zone.wmarkHigh[zone] as number;
    }
    const fileAll = nodeLru(m, nid, LRU_ACTIVE_FILE) + nodeLru(m, nid, LRU_INACTIVE_FILE);
    const anon = nodeLru(m, nid, LRU_INACTIVE_ANON);
    sc.fileIsTiny =
      fileAll + free <= high &&
      (sc.mayDeactivate & DEACTIVATE_ANON) === 0 &&
      anon >> sc.priority > 0;
  }
}

function canReclaimAnon(m: Mm, memcg: number): boolean {
  return memcgSwapPages(m, memcg) > 0;
}

function scanBalance(m: Mm, memcg: number, sc: ScanControl): number {
  if (!sc.maySwap || !canReclaimAnon(m, memcg)) return SCAN_FILE;
  if (cgroupReclaim(sc) && sc.swappiness === 0) return SCAN_FILE;
  if (sc.priority === 0 && sc.swappiness > 0) return SCAN_EQUAL;
  if (sc.fileIsTiny) return SCAN_ANON;
  if (sc.cacheTrimMode) return SCAN_FILE;
  return SCAN_FRACT;
}

/** Pages to scan of each evictable list. Private to the thread. */
const nr = [0, 0, 0, 0];
const targets = [0, 0, 0, 0];

/** What of a list may be scanned: all but the share that is protected, and then some at least. */
function unprotected(m: Mm, memcg: number, size: number, sc: ScanControl): number {
  const min = minInForce(m, sc.targetMemcg, memcg);
  const low = lowInForce(m, sc.targetMemcg, memcg);
  if (min === 0 && low === 0) return size;
  let protection = min;
  if (!sc.memcgLowReclaim && low > min) {
    protection = low;
    sc.memcgLowSkipped = true;
  }
  const usage = Math.max(Atomics.load(m.memcg.usage, memcg), protection);
  const open = size - Math.floor((size * protection) / (usage + 1));
  return Math.max(open, SWAP_CLUSTER_MAX);
}

function getScanCount(m: Mm, lruvec: number, sc: ScanControl): void {
  const memcg = lruvecMemcg(m, lruvec);
  const balance = scanBalance(m, memcg, sc);
  const protects = protectionInForce(m);
  const online = memcgOnline(m, memcg);
  let fractionAnon = 1;
  let fractionFile = 1;
  if (balance === SCAN_FRACT) {
    const total = sc.anonCost + sc.fileCost;
    const anonCost = total + sc.anonCost;
    const fileCost = total + sc.fileCost;
    const sum = anonCost + fileCost;
    fractionAnon = Math.floor((sc.swappiness * (sum + 1)) / (anonCost + 1));
    fractionFile = Math.floor(((MAX_SWAPPINESS - sc.swappiness) * (sum + 1)) / (fileCost + 1));
  }
  const denominator = fractionAnon + fractionFile;
  for (let lru = LRU_INACTIVE_ANON; lru <= LRU_ACTIVE_FILE; lru++) {
    const file = lru >= LRU_INACTIVE_FILE;
    const size = lruSize(m, lruvec, lru);
    let scan = (protects ? unprotected(m, memcg, size, sc) : size) >> sc.priority;
    // What is left of a removed group is scraped out.
    if (scan === 0 && !online) scan = Math.min(size, SWAP_CLUSTER_MAX);
    if (balance === SCAN_FRACT) {
      scan = Math.floor((scan * (file ? fractionFile : fractionAnon)) / denominator);
    } else if (balance === SCAN_FILE ? !file : balance === SCAN_ANON && file) {
      scan = 0;
    }
    nr[lru] = scan;
    targets[lru] = scan;
  }
}

function shrinkList(m: Mm, lru: number, nrToScan: number, lruvec: number, sc: ScanControl): number {
  if (lru === LRU_ACTIVE_ANON || lru === LRU_ACTIVE_FILE) {
    const may = lru === LRU_ACTIVE_FILE ? DEACTIVATE_FILE : DEACTIVATE_ANON;
    if ((sc.mayDeactivate & may) !== 0) shrinkActiveList(m, nrToScan, lruvec, sc, lru);
    else sc.skippedDeactivate = true;
    return 0;
  }
  return shrinkInactiveList(m, nrToScan, lruvec, sc, lru);
}

function scanTargets(base: number): number {
  return (targets[base] as number) + (targets[base + 1] as number);
}

/** Stops the smaller type and scales the other to the share of its target that was scanned. */
function nudgeProportions(nrFile: number, nrAnon: number): void {
  let stop = LRU_INACTIVE_FILE;
  let keep = LRU_INACTIVE_ANON;
  let left = nrFile;
  if (nrFile > nrAnon) {
    stop = LRU_INACTIVE_ANON;
    keep = LRU_INACTIVE_FILE;
    left = nrAnon;
  }
  const percentage = Math.floor((left * 100) / (scanTargets(stop) + 1));
  nr[stop] = 0;
  nr[stop + 1] = 0;
  for (let lru = keep; lru <= keep + 1; lru++) {
    const target = targets[lru] as number;
    const scanned = target - (nr[lru] as number);
    const rest = Math.floor((target * (100 - percentage)) / 100);
    nr[lru] = rest - Math.min(rest, scanned);
  }
}

/** Scans the lists of one lruvec in turns of SWAP_CLUSTER_MAX. */
function shrinkLruvec(m: Mm, lruvec: number, sc: ScanControl): void {
  getScanCount(m, lruvec, sc);
  let reclaimed = 0;
  const finishTargets = !cgroupReclaim(sc) && sc.role !== 'kswapd' && sc.priority === DEF_PRIORITY;
  while (
    (nr[LRU_INACTIVE_ANON] as number) > 0 ||
    (nr[LRU_ACTIVE_FILE] as number) > 0 ||
    (nr[LRU_INACTIVE_FILE] as number) > 0
  ) {
    for (let lru = LRU_INACTIVE_ANON; lru <= LRU_ACTIVE_FILE; lru++) {
      const left = nr[lru] as number;
      if (left === 0) continue;
      const turn = Math.min(left, SWAP_CLUSTER_MAX);
      nr[lru] = left - turn;
      reclaimed += shrinkList(m, lru, turn, lruvec, sc);
    }
    condResched();
    if (reclaimed < sc.nrToReclaim || finishTargets) continue;
    const nrFile = (nr[LRU_INACTIVE_FILE] as number) + (nr[LRU_ACTIVE_FILE] as number);
    const nrAnon = (nr[LRU_INACTIVE_ANON] as number) + (nr[LRU_ACTIVE_ANON] as number);
    if (nrFile === 0 || nrAnon === 0) break;
    nudgeProportions(nrFile, nrAnon);
  }
  plugSubmit();
  sc.nrReclaimed += reclaimed;
  if (canReclaimAnon(m, lruvecMemcg(m, lruvec)) && inactiveIsLow(m, lruvec, LRU_INACTIVE_ANON)) {
    shrinkActiveList(m, SWAP_CLUSTER_MAX, lruvec, sc, LRU_ACTIVE_ANON);
  }
}

/**
 * Credits the reclaim with the slab pages that its thread has given back. Not at a group's limit:
 * the objects of a slab may be of several groups.
 */
function flushReclaimState(m: Mm, sc: ScanControl): void {
  if (!cgroupReclaim(sc)) sc.nrReclaimed += m.task.reclaimedSlab;
  m.task.reclaimedSlab = 0;
}

/** Is a group left alone by this reclaim, for its memory.min or memory.low? */
function isProtected(m: Mm, memcg: number, sc: ScanControl): boolean {
  const target = sc.targetMemcg;
  calculateProtection(m, target, memcg);
  if (belowMin(m, target, memcg)) return true;
  if (!belowLow(m, target, memcg)) return false;
  if (!sc.memcgLowReclaim) {
    sc.memcgLowSkipped = true;
    return true;
  }
  memcgEvent(m, memcg, 'eventsLow');
  return false;
}

/** One group of a walk. */
function shrinkMemcg(m: Mm, nid: number, memcg: number, sc: ScanControl): void {
  if (protectionInForce(m) && isProtected(m, memcg, sc)) return;
  shrinkLruvec(m, lruvecRow(m, memcg, nid), sc);
  shrinkSlab(m, GFP_KERNEL, nid, memcg, sc.priority);
  flushReclaimState(m, sc);
}

/**
 * One pass over a node's groups below the target (shrink_node). Direct reclaimers share the walk
 * and leave it when they have enough; kswapd and a second try see every group.
 * @context the caller holds a reference on the target group
 */
export function shrinkNode(m: Mm, nid: number, sc: ScanControl): void {
  const before = sc.nrReclaimed;
  const target = sc.targetMemcg;
  const cookie = sc.role === 'kswapd' || sc.memcgFullWalk ? FULL_WALK : nid;
  prepareScanControl(m, nid, sc);
  let memcg = memcgIter(m, target, -1, cookie);
  while (memcg >= 0) {
    condResched();
    shrinkMemcg(m, nid, memcg, sc);
    if (cookie !== FULL_WALK && sc.nrReclaimed >= sc.nrToReclaim) {
      memcgIterBreak(m, target, memcg);
      break;
    }
    memcg = memcgIter(m, target, memcg, cookie);
  }
  if (sc.nrReclaimed > before) Atomics.store(m.node.kswapdFailures, nid, 0);
}
