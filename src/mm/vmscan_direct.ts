// SPDX-License-Identifier: GPL-2.0-only
/**
 * Direct reclaim: by an allocation that found no page (try_to_free_pages) and by a charge that
 * found its group full (try_to_free_mem_cgroup_pages).
 */
import { faultStall } from '../../shared/fault.ts';
import { CONTENDED_HEAD, CONTENDED_KSHRINKD, CONTENDED_KSHRINKD_FIXED } from './contended.ts';
import { FAULT_STALL } from './faults.ts';
import { DEF_PRIORITY, SWAP_CLUSTER_MAX } from './limits.ts';
import type { Mm } from './mm.ts';
import { zoneEvent } from './page_alloc.ts';
import { psiMemstallEnter, psiMemstallLeave } from './psi.ts';
import { cgroupReclaim, type ScanControl, scanControl } from './scan_control.ts';
import { plugFinish } from './swap_plug.ts';
import { reclaimThrottleNoProgress, reclaimUnthrottle, throttleDirectReclaim } from './throttle.ts';
import { shrinkNode } from './vmscan.ts';
import { EV } from './vmstat_items.ts';
import { snapshotRefaults } from './workingset.ts';

/** Nodes in the order in which a reclaimer tries them, its own first. */
function forEachNode(m: Mm, nid: number, visit: (nid: number) => void): void {
  for (let i = 0; i < m.sizes.nrNodes; i++) visit((nid + i) % m.sizes.nrNodes);
}

function considerReclaimThrottle(m: Mm, nid: number, sc: ScanControl): void {
  if (sc.nrReclaimed > sc.nrScanned >> 3) {
    reclaimUnthrottle(m, nid);
    return;
  }
  if (sc.role === 'kswapd' || cgroupReclaim(sc)) return;
  if (sc.priority === 1 && sc.nrReclaimed === 0) reclaimThrottleNoProgress(m, nid);
}

/** Priorities from 12 to 0 until enough is reclaimed. @returns pages reclaimed */
function doTryToFreePages(m: Mm, nid: number, sc: ScanControl, fatal: () => boolean): number {
  for (;;) {
    for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority--) {
      sc.nrScanned = 0;
      forEachNode(m, nid, (node) => shrinkNode(m, node, sc));
      considerReclaimThrottle(m, nid, sc);
      if (sc.nrReclaimed >= sc.nrToReclaim || fatal()) break;
    }
    forEachNode(m, nid, (node) => snapshotRefaults(m, sc.targetMemcg, node));
    if (sc.nrReclaimed > 0 || fatal()) return sc.nrReclaimed;
    if (!sc.memcgFullWalk) {
      sc.memcgFullWalk = true;
    } else if (sc.skippedDeactivate && !sc.forceDeactivate) {
      sc.forceDeactivate = true;
      sc.skippedDeactivate = false;
    } else if (sc.memcgLowSkipped && !sc.memcgLowReclaim) {
      sc.forceDeactivate = false;
      sc.memcgLowReclaim = true;
      sc.memcgLowSkipped = false;
    } else {
      return 0;
    }
  }
}

/** What reclaim at a group's limit does with contended folios: kshrinkd does not have them. */
function groupContended(m: Mm): number {
  const queues = m.contended === CONTENDED_KSHRINKD || m.contended === CONTENDED_KSHRINKD_FIXED;
  return queues ? CONTENDED_HEAD : m.contended;
}

/** Runs `reclaim` with the thread marked as a reclaimer: its allocations do not recurse. */
function asReclaimer(m: Mm, reclaim: () => number): number {
  m.task.memalloc = true;
  m.task.reclaimedSlab = 0;
  psiMemstallEnter(m);
  try {
    return reclaim();
  } finally {
    plugFinish(m);
    psiMemstallLeave(m);
    m.task.memalloc = false;
  }
}

/**
 * Reclaims for an allocation.
 * @param nid node that it wanted @param zone its highest zone: names the allocstall counter
 * @param fatal whether the caller's process has been killed
 * @returns pages reclaimed; 1 at least when the process is dying, so that it gets on with it
 * @context may block; no spinlock held; mmap_lock may be held
 */
export function tryToFreePages(m: Mm, nid: number, zone: number, fatal: () => boolean): number {
  psiMemstallEnter(m);
  const dying = throttleDirectReclaim(m, nid, fatal);
  psiMemstallLeave(m);
  if (dying) return 1;
  faultStall(FAULT_STALL);
  const { events } = m.task;
  const cell = zoneEvent(m, zone, EV.allocstall_normal);
  events[cell] = (events[cell] as number) + 1;
  const sc = scanControl('direct', 0, m.config.swappiness);
  sc.contended = m.contended;
  return asReclaimer(m, () => doTryToFreePages(m, nid, sc, fatal));
}

/**
 * Reclaims from a group that is over its limit.
 * @param pages wanted, at least SWAP_CLUSTER_MAX are tried for
 * @returns pages reclaimed
 * @context as tryToFreePages
 */
export function tryToFreeMemcgPages(
  m: Mm,
  memcg: number,
  pages: number,
  fatal: () => boolean,
): number {
  const sc = scanControl('direct', memcg, m.config.swappiness, Math.max(pages, SWAP_CLUSTER_MAX));
  sc.contended = groupContended(m);
  return asReclaimer(m, () => doTryToFreePages(m, 0, sc, fatal));
}

/**
 * Reclaims from a group, or from the machine, because somebody asked for it.
 * @param pages wanted @param swappiness 0 .. 200
 * @returns pages reclaimed
 * @context as tryToFreePages
 */
export function proactiveReclaim(
  m: Mm,
  memcg: number,
  pages: number,
  swappiness: number,
  fatal: () => boolean,
): number {
  const sc = scanControl('direct', memcg, swappiness, Math.max(pages, SWAP_CLUSTER_MAX));
  sc.proactive = true;
  return asReclaimer(m, () => doTryToFreePages(m, 0, sc, fatal));
}
