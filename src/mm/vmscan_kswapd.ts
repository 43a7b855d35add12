// SPDX-License-Identifier: GPL-2.0-only
/**
 * kswapd's work: bringing a node back to its high watermarks (mm/vmscan.c, balance_pgdat), waking
 * it, and when it may sleep. The thread itself is kthreads/kswapd.ts.
 */
import { condResched } from '../../shared/sched.ts';
import { WAIT_QUEUE_WORDS, WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { compactGap } from './compaction.ts';
import { wakeupKcompactd } from './compaction_daemon.ts';
import { kcompressdThrottle } from './kcompressd.ts';
import { KCOMPRESSD_OFF } from './kcompressd_types.ts';
import { DEF_PRIORITY, PAGE_ALLOC_COSTLY_ORDER, SWAP_CLUSTER_MAX } from './limits.ts';
import { lruSize, lruvecRow } from './lruvec.ts';
import { FULL_WALK, memcgIter } from './memcg_iter.ts';
import type { Mm } from './mm.ts';
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON } from './mm_types.ts';
import { zoneOnline } from './page_alloc.ts';
import { psiMemstallEnter, psiMemstallLeave } from './psi.ts';
import { scanControl } from './scan_control.ts';
import { plugFinish } from './swap_plug.ts';
import { nrSwapPages } from './swapfile.ts';
import { allowDirectReclaim, nodeHopeless } from './throttle.ts';
import { inactiveIsLow, shrinkNode } from './vmscan.ts';
import { deferredDone, deferredHope } from './vmscan_deferred.ts';
import { shrinkActiveList } from './vmscan_lists.ts';
import { EV } from './vmstat_items.ts';
import { WMARK_HIGH, wmarkPages, zoneWatermarkOk } from './watermark.ts';
import { snapshotRefaults } from './workingset.ts';

/** Does some zone of the node pass its high watermark? One without zones has nothing to balance. */
export function pgdatBalanced(m: Mm, nid: number, order: number): boolean {
  let any = false;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] !== nid || !zoneOnline(m, zone)) continue;
    any = true;
    if (zoneWatermarkOk(m, zone, order, wmarkPages(m, zone, WMARK_HIGH), 0)) return true;
  }
  return !any;
}

/** Lets direct reclaimers go that wait for the reserve to fill up. */
export function wakePfmemallocWaiters(m: Mm, nid: number): void {
  wakeUp(m.pfmemallocWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);
}

/**
 * Asks kswapd of every node of a zonelist to run.
 * @context any thread; may be under mmap_lock; takes no lock
 */
export function wakeAllKswapds(m: Mm, zones: readonly number[], order: number): void {
  let last = -1;
  for (let i = 0; i < zones.length; i++) {
    const zone = zones[i] as number;
    const nid = m.zone.nid[zone] as number;
    if (nid === last) continue;
    last = nid;
    wakeupKswapd(m, nid, zone, order);
  }
}

/**
 * Asks a node's kswapd for free blocks of `order`, unless the node is balanced or hopeless.
 * @context any thread; takes no lock
 */
export function wakeupKswapd(m: Mm, nid: number, zone: number, order: number): void {
  if (nodeHopeless(m, nid) || pgdatBalanced(m, nid, order)) {
    // kswapd has nothing to do, or no hope: a large block may be had by moving pages.
    if (order > PAGE_ALLOC_COSTLY_ORDER) wakeupKcompactd(m, nid, order);
    return;
  }
  // PAIRS(kswapd-wake): the request is stored before the queue is looked at.
  if (Atomics.load(m.node.kswapdOrder, nid) < order) Atomics.store(m.node.kswapdOrder, nid, order);
  if (Atomics.load(m.node.kswapdZone, nid) < zone + 1)
    Atomics.store(m.node.kswapdZone, nid, zone + 1);
  wakeUp(m.kswapdWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);
}

/**
 * Keeps the anonymous lists' balance although nothing was evicted (kswapd_age_node). A node that is
 * in balance as a whole is left alone, whatever its groups are.
 */
function ageNode(m: Mm, nid: number): void {
  if (nrSwapPages(m) === 0 || !inactiveIsLow(m, lruvecRow(m, 0, nid), LRU_INACTIVE_ANON)) return;
  const sc = scanControl('kswapd', 0, m.config.swappiness);
  let memcg = memcgIter(m, 0, -1, FULL_WALK);
  while (memcg >= 0) {
    const lruvec = lruvecRow(m, memcg, nid);
    if (lruSize(m, lruvec, LRU_ACTIVE_ANON) > 0) {
      shrinkActiveList(m, SWAP_CLUSTER_MAX, lruvec, sc, LRU_ACTIVE_ANON);
    }
    condResched();
    memcg = memcgIter(m, 0, memcg, FULL_WALK);
  }
}

/** Pages that one pass of kswapd aims for: the sum of the zones' high watermarks. */
function passTarget(m: Mm, nid: number): number {
  let target = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] !== nid) continue;
    target += Math.max(wmarkPages(m, zone, WMARK_HIGH), SWAP_CLUSTER_MAX);
  }
  return target;
}

/** Order that the last `balancePgdat` still wanted: 0 when the rest is compaction's. */
export const balanceOut = { order: 0 };

/**
 * Reclaims until the node is balanced, or nothing helps. When as much was reclaimed as compaction
 * needs for a block, single pages are all that it wants.
 * @param shouldStop asked between passes: stop, freeze
 * @returns pages reclaimed
 * @context kswapd of the node
 */
export function balancePgdat(m: Mm, nid: number, order: number, shouldStop: () => boolean): number {
  const { events } = m.task;
  events[EV.pageoutrun] = (events[EV.pageoutrun] as number) + 1;
  psiMemstallEnter(m);
  const sc = scanControl('kswapd', 0, m.config.swappiness);
  sc.order = order;
  sc.contended = m.contended;
  let total = 0;
  sc.priority = DEF_PRIORITY;
  while (sc.priority >= 1) {
    if (pgdatBalanced(m, nid, sc.order)) break;
    const before = deferredDone(m, nid);
    ageNode(m, nid);
    sc.nrReclaimed = 0;
    sc.nrScanned = 0;
    sc.nrToReclaim = passTarget(m, nid);
    shrinkNode(m, nid, sc);
    total += sc.nrReclaimed;
    if (sc.order > 0 && sc.nrReclaimed >= compactGap(sc.order)) sc.order = 0;
    const enough = Math.max(sc.nrScanned, sc.nrReclaimed) >= sc.nrToReclaim;
    if (allowDirectReclaim(m, nid)) wakePfmemallocWaiters(m, nid);
    if (shouldStop()) break;
    const waited = m.kcompressdPolicy !== KCOMPRESSD_OFF && kcompressdThrottle(m, nid);
    // What it waited for was stored: there is something to be had at this priority.
    if (waited && deferredDone(m, nid) !== before) continue;
    if (!enough || sc.nrReclaimed === 0) sc.priority--;
  }
  plugFinish(m);
  psiMemstallLeave(m);
  snapshotRefaults(m, 0, nid);
  balanceOut.order = sc.order;
  const hope = deferredHope(m, nid, sc);
  const progress = total > 0 || hope;
  if (!progress && !pgdatBalanced(m, nid, sc.order)) Atomics.add(m.node.kswapdFailures, nid, 1);
  return total;
}
