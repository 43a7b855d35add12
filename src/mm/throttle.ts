// SPDX-License-Identifier: GPL-2.0-only
/**
 * Slowing reclaimers down (mm/vmscan.c: too_many_isolated, reclaim_throttle,
 * throttle_direct_reclaim).
 *
 * Every sleep here has a timeout, so a wake-up that never comes costs time, not progress.
 */

import type { I32 } from '../../shared/types.ts';
import {
  WAIT_QUEUE_WORDS,
  WAKE_ALL,
  waitFinish,
  waitPrepare,
  waitSleep,
  wakeUp,
} from '../../shared/wait_queue.ts';
import { CONTENDED_KSHRINKD_FIXED } from './contended.ts';
import { ownWrites } from './folio.ts';
import { kshrinkdPages } from './kshrinkd.ts';
import { MAX_RECLAIM_RETRIES } from './limits.ts';
import { nodeLru } from './lruvec.ts';
import type { Mm } from './mm.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
} from './mm_types.ts';
import { zoneFree, zoneOnline } from './page_alloc.ts';
import type { ScanControl } from './scan_control.ts';
import { EV } from './vmstat_items.ts';

/** A clock tick of the modelled kernel, HZ=250. */
export const JIFFY_MS = 4;
/** HZ/50. */
const THROTTLE_ISOLATED_MS = 20;
/** HZ/10. */
const THROTTLE_WRITEBACK_MS = 100;
/** A direct reclaimer waits for kswapd at most so long before it looks again. */
const PFMEMALLOC_WAIT_MS = 100;

/** Sleeps once on a queue, for at most `timeoutMs`; the caller looks again. */
function sleepOn(m: Mm, words: I32, base: number, timeoutMs: number): void {
  // Others may wait for what we have begun to write.
  ownWrites.finish?.(m);
  const seq = waitPrepare(words, base);
  waitSleep(words, base, seq, timeoutMs);
  waitFinish(words, base);
}

/**
 * Has a type more pages isolated than a direct reclaimer may add to? Those that wait for kshrinkd
 * are not waited for: they are few, and it may be long until the lock of one is free.
 */
export function tooManyIsolated(m: Mm, nid: number, file: boolean, sc: ScanControl): boolean {
  if (sc.role === 'kswapd' || sc.targetMemcg !== 0) return false;
  const inactive = nodeLru(m, nid, file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON);
  let isolated = Atomics.load(file ? m.node.isolatedFile : m.node.isolatedAnon, nid);
  if (m.contended === CONTENDED_KSHRINKD_FIXED) isolated -= kshrinkdPages(m, nid);
  // A caller that may do I/O holds no lock that others need: it waits sooner.
  return isolated > inactive >> 3;
}

/** @context may block up to HZ/50 */
export function reclaimThrottleIsolated(m: Mm, nid: number): void {
  Atomics.add(m.node.nrThrottled, nid, 1);
  sleepOn(m, m.reclaimWait, nid * WAIT_QUEUE_WORDS, THROTTLE_ISOLATED_MS);
  Atomics.sub(m.node.nrThrottled, nid, 1);
}

/**
 * Reclaim met nothing but dirty pages: time for the flusher to clean some (HZ/10 at most).
 * @context may block; the flusher's locks are not held
 */
export function reclaimThrottleWriteback(m: Mm, nid: number): void {
  Atomics.add(m.node.nrThrottled, nid, 1);
  sleepOn(m, m.reclaimWait, nid * WAIT_QUEUE_WORDS, THROTTLE_WRITEBACK_MS);
  Atomics.sub(m.node.nrThrottled, nid, 1);
}

/** Nothing was reclaimed at high priority: a jiffy for others to make progress. */
export function reclaimThrottleNoProgress(m: Mm, nid: number): void {
  if (nodeHopeless(m, nid)) return;
  Atomics.add(m.node.nrThrottled, nid, 1);
  sleepOn(m, m.reclaimWait, nid * WAIT_QUEUE_WORDS, JIFFY_MS);
  Atomics.sub(m.node.nrThrottled, nid, 1);
}

/** Wakes throttled reclaimers of a node: reclaim made progress. */
export function reclaimUnthrottle(m: Mm, nid: number): void {
  if (Atomics.load(m.node.nrThrottled, nid) > 0)
    wakeUp(m.reclaimWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);
}

/** kswapd failed MAX_RECLAIM_RETRIES times in a row: nobody waits for it any more. */
export function nodeHopeless(m: Mm, nid: number): boolean {
  return Atomics.load(m.node.kswapdFailures, nid) >= MAX_RECLAIM_RETRIES;
}

/** May direct reclaimers run, or is the reserve so low that they must wait for kswapd? */
export function allowDirectReclaim(m: Mm, nid: number): boolean {
  if (nodeHopeless(m, nid)) return true;
  let free = 0;
  let reserve = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    if (m.zone.nid[zone] !== nid || !zoneOnline(m, zone)) continue;
    free += zoneFree(m, zone);
    reserve += m.zone.wmarkMin[zone] as number;
  }
  // A node without zones has no reserve to wait for.
  return reserve === 0 || free > Math.floor(reserve / 2);
}

/**
 * Makes a direct reclaimer wait while half the reserve is gone (throttle_direct_reclaim).
 * @param fatal whether the caller's process has been killed
 * @returns true when it must not reclaim because it is dying
 * @context may block until kswapd frees pages, gives the node up, or the process dies
 */
export function throttleDirectReclaim(m: Mm, nid: number, fatal: () => boolean): boolean {
  if (m.task.cpu < 0 || allowDirectReclaim(m, nid)) return false;
  const { events } = m.task;
  events[EV.pgscan_direct_throttle] = (events[EV.pgscan_direct_throttle] as number) + 1;
  while (!allowDirectReclaim(m, nid)) {
    if (fatal()) return true;
    // PAIRS(kswapd-wake): the request, then the wake.
    Atomics.compareExchange(m.node.kswapdZone, nid, 0, m.sizes.nrZones);
    wakeUp(m.kswapdWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);
    sleepOn(m, m.pfmemallocWait, nid * WAIT_QUEUE_WORDS, PFMEMALLOC_WAIT_MS);
  }
  return fatal();
}

/** Reclaimable pages of a node: file pages, and anonymous ones while there is swap. */
export function nodeReclaimable(m: Mm, nid: number, withAnon: boolean): number {
  let pages = nodeLru(m, nid, LRU_INACTIVE_FILE) + nodeLru(m, nid, LRU_ACTIVE_FILE);
  if (withAnon) pages += nodeLru(m, nid, LRU_INACTIVE_ANON) + nodeLru(m, nid, LRU_ACTIVE_ANON);
  return pages;
}
