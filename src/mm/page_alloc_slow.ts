// SPDX-License-Identifier: GPL-2.0-only
/**
 * Allocation policy over the buddy allocator: zonelist, watermarks, kswapd, direct reclaim, OOM
 * (mm/page_alloc.c, __alloc_pages and its slow path).
 *
 *   fast   any zone above low                                   -> page
 *   slow   wake kswapd on every node; any zone above min        -> page
 *          memalloc: no watermark, no reclaim                   -> page or nothing
 *          order > 0: compaction; try again
 *          direct reclaim; try again; drain pcp lists; again
 *          progress, or some zone could still pass min: repeat, at most 16 times without progress
 *          OOM: a victim dies; repeat
 */
import { shouldFail } from '../../shared/fault.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { kthreadShouldStop } from '../../shared/sched.ts';
import { tryToCompactPages } from './compaction.ts';
import { deferReset } from './compaction_defer.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { FAULT_PAGE_ALLOC } from './faults.ts';
import { recordLatency } from './latency.ts';
import { MAX_RECLAIM_RETRIES } from './limits.ts';
import { HIST_ALLOC_STALL, type Mm } from './mm.ts';
import { drainBeforeOom, outOfMemory } from './oom_kill.ts';
import { drainAllPages, PFN_NONE, rmqueue, zoneFree, zoneOnline } from './page_alloc.ts';
import { nrSwapPages } from './swapfile.ts';
import { nodeReclaimable } from './throttle.ts';
import { tryToFreePages } from './vmscan_direct.ts';
import { wakeAllKswapds } from './vmscan_kswapd.ts';
import {
  ALLOC_NO_WATERMARKS,
  ALLOC_OOM,
  WMARK_LOW,
  WMARK_MIN,
  wmarkPages,
  zoneWatermarkOk,
} from './watermark.ts';

/** Zones in the order in which an allocation tries them: of its node from the top, then others. */
function zonesFrom(m: Mm, nid: number, nrNodes: number): readonly number[] {
  const zones: number[] = [];
  for (let i = 0; i < m.sizes.nrNodes; i++) {
    const from = (nid + i) % m.sizes.nrNodes;
    for (let zone = m.sizes.nrZones - 1; zone >= 0; zone--) {
      if (from < nrNodes && m.zone.nid[zone] === from) zones.push(zone);
    }
  }
  return zones;
}

/** @param nid preferred node, or the number of nodes for what cannot move (`movableNode`) */
export function nodeZones(m: Mm, nid: number): readonly number[] {
  let list = zonelists.get(m)?.[nid];
  if (list === undefined) {
    const { nrNodes } = m.sizes;
    const all = Array.from({ length: nrNodes }, (_, node) => zonesFrom(m, node, nrNodes));
    all.push(zonesFrom(m, 0, 1));
    zonelists.set(m, all);
    list = all[nid] as readonly number[];
  }
  return list;
}

const zonelists = new WeakMap<Mm, (readonly number[])[]>();

function getPageFromFreelist(
  m: Mm,
  zones: readonly number[],
  order: number,
  wmark: number,
  allocFlags: number,
): number {
  if (shouldFail(FAULT_PAGE_ALLOC)) return PFN_NONE;
  for (let i = 0; i < zones.length; i++) {
    const zone = zones[i] as number;
    if (!zoneWatermarkOk(m, zone, order, wmarkPages(m, zone, wmark), allocFlags)) continue;
    const pfn = rmqueue(m, zone, order);
    if (pfn !== PFN_NONE) return pfn;
  }
  return PFN_NONE;
}

/** Could any zone pass min if all that is reclaimable were reclaimed? */
function reclaimCouldHelp(m: Mm, zones: readonly number[]): boolean {
  const withAnon = nrSwapPages(m) > 0;
  for (const zone of zones) {
    if (!zoneOnline(m, zone)) continue;
    const nid = m.zone.nid[zone] as number;
    const could = zoneFree(m, zone) + nodeReclaimable(m, nid, withAnon);
    if (could > (m.zone.wmarkMin[zone] as number)) return true;
  }
  return false;
}

function allocPagesSlow(
  m: Mm,
  zones: readonly number[],
  order: number,
  nid: number,
  mayFail: boolean,
): number {
  const dying = fatalSignalPending(m);
  const fatal = (): boolean => fatalSignalPending(m);
  let noProgress = 0;
  let drained = false;
  for (;;) {
    wakeAllKswapds(m, zones, order);
    const flags = m.task.memalloc ? ALLOC_NO_WATERMARKS : dying ? ALLOC_OOM : 0;
    let pfn = getPageFromFreelist(m, zones, order, WMARK_MIN, flags);
    if (pfn !== PFN_NONE || m.task.memalloc) return pfn;
    if (fatal()) return PFN_NONE;
    if (order > 0 && tryToCompactPages(m, zones, order)) {
      pfn = getPageFromFreelist(m, zones, order, WMARK_MIN, flags);
      if (pfn !== PFN_NONE) {
        deferReset(m, m.page.zone[pfn] as number, order, true);
        return pfn;
      }
    }
    const before = ktimeNs();
    const progress = tryToFreePages(m, nid, zones[0] as number, fatal);
    recordLatency(m, HIST_ALLOC_STALL, ktimeNs() - before);
    pfn = getPageFromFreelist(m, zones, order, WMARK_MIN, flags);
    if (pfn === PFN_NONE && progress > 0) {
      // What was reclaimed may sit on other CPUs' lists.
      drainAllPages(m, false);
      pfn = getPageFromFreelist(m, zones, order, WMARK_MIN, flags);
    }
    if (pfn !== PFN_NONE) return pfn;
    noProgress = progress > 0 ? 0 : noProgress + 1;
    if (noProgress <= MAX_RECLAIM_RETRIES && reclaimCouldHelp(m, zones)) continue;
    if (mayFail) return PFN_NONE;
    if (!drained) {
      drainBeforeOom(m);
      drained = true;
    } else if (!outOfMemory(m, 0) || kthreadShouldStop()) {
      // A program that was told to stop does not wait for a victim's memory.
      return PFN_NONE;
    }
    noProgress = 0;
  }
}

/**
 * Allocates 2^order pages.
 * @param nid preferred node @param order 0 .. MAX_PAGE_ORDER
 * @param mayFail nobody is killed for it (__GFP_RETRY_MAYFAIL)
 * @returns the first pfn, refcount 1, contents undefined; PFN_NONE when the caller's process is
 *   being killed, or nothing can be done, or a fault was injected
 * @context may block and reclaim unless the thread is memalloc; no spinlock held
 */
export function allocPages(m: Mm, nid: number, order: number, mayFail = false): number {
  if (shouldFail(FAULT_PAGE_ALLOC)) return PFN_NONE;
  const zones = nodeZones(m, nid);
  const pfn = getPageFromFreelist(m, zones, order, WMARK_LOW, 0);
  return pfn !== PFN_NONE ? pfn : allocPagesSlow(m, zones, order, nid, mayFail);
}

/**
 * Allocates a page for what can never be moved.
 * @param nid preferred node, unless `movableNode` says that it is node 0 alone
 * @returns as allocPages @context as allocPages
 */
export function allocUnmovablePage(m: Mm, nid: number): number {
  if (m.config.movableNode !== true) return allocPages(m, nid, 0);
  if (shouldFail(FAULT_PAGE_ALLOC)) return PFN_NONE;
  const zones = nodeZones(m, m.sizes.nrNodes);
  const pfn = getPageFromFreelist(m, zones, 0, WMARK_LOW, 0);
  return pfn !== PFN_NONE ? pfn : allocPagesSlow(m, zones, 0, 0, false);
}

/**
 * Allocates 2^order pages if they can be had at once: nobody reclaims or wakes for them
 * (GFP_TRANSHUGE_LIGHT).
 * @returns as allocPages @context any
 */
export function allocPagesLight(m: Mm, nid: number, order: number): number {
  return getPageFromFreelist(m, nodeZones(m, nid), order, WMARK_LOW, 0);
}
