// SPDX-License-Identifier: GPL-2.0-only
/**
 * memory.high: a group above it is not denied anything, it is slowed down (mm/memcontrol.c,
 * mem_cgroup_handle_over_high). Whoever charged pages beyond it reclaims that many at the end of
 * its fault, and if that does not help, sleeps for longer the further the group is above.
 */
import { kthreadShouldStop, scheduleTimeout } from '../../shared/sched.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { MAX_RECLAIM_RETRIES, MEMCG_CHARGE_BATCH, SWAP_CLUSTER_MAX } from './limits.ts';
import { memcgEvent } from './memcg_events.ts';
import { drainAllStock } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { psiMemstallEnter, psiMemstallLeave } from './psi.ts';
import { tryToFreeMemcgPages } from './vmscan_direct.ts';
import { EV } from './vmstat_items.ts';

/** Longest sleep for one fault, in ms. */
const DELAY_MS_MAX = 2000;
/** Shorter ones are not worth it. */
const DELAY_MS_MIN = 10;
/** Sleep at twice the limit, for a full batch of pages: 64 s before it is cut. */
const DELAY_MS_AT_DOUBLE = 64_000;

/** Is the group or one above it over memory.high? @context the group is pinned */
export function overHigh(m: Mm, memcg: number): boolean {
  const { high, usage, parent } = m.memcg;
  for (let group = memcg; group !== 0; group = parent[group] as number) {
    const limit = Atomics.load(high, group);
    if (limit >= 0 && Atomics.load(usage, group) > limit) return true;
  }
  return false;
}

/** Reclaims from each group on the way up that is over. @returns pages reclaimed */
function reclaimHigh(m: Mm, memcg: number, pages: number, fatal: () => boolean): number {
  let reclaimed = 0;
  for (let group = memcg; group !== 0; group = m.memcg.parent[group] as number) {
    const limit = Atomics.load(m.memcg.high, group);
    if (limit < 0 || Atomics.load(m.memcg.usage, group) <= limit) continue;
    memcgEvent(m, group, 'eventsHigh');
    reclaimed += tryToFreeMemcgPages(m, group, pages, fatal);
  }
  return reclaimed;
}

/** How long to sleep, in ms: the square of how far the worst group is above, for these pages. */
export function highDelayMs(m: Mm, memcg: number, pages: number): number {
  let worst = 0;
  for (let group = memcg; group !== 0; group = m.memcg.parent[group] as number) {
    const limit = Atomics.load(m.memcg.high, group);
    const usage = Atomics.load(m.memcg.usage, group);
    if (limit < 0 || usage <= limit) continue;
    worst = Math.max(worst, (usage - limit) / Math.max(limit, 1));
  }
  const full = worst * worst * DELAY_MS_AT_DOUBLE;
  return Math.min((full * pages) / MEMCG_CHARGE_BATCH, DELAY_MS_MAX);
}

/**
 * Pays for the pages that this thread has charged above memory.high since it last did.
 * @context the end of a fault, no lock held; may reclaim and sleep
 */
export function memcgHandleOverHigh(m: Mm): void {
  const pages = m.task.overHigh;
  m.task.overHigh = 0;
  const { memcg } = m.task;
  const fatal = (): boolean => fatalSignalPending(m) || kthreadShouldStop();
  let wanted = pages;
  for (let retries = MAX_RECLAIM_RETRIES; !fatal(); wanted = SWAP_CLUSTER_MAX) {
    const reclaimed = reclaimHigh(m, memcg, wanted, fatal);
    const delay = highDelayMs(m, memcg, pages);
    if (delay <= DELAY_MS_MIN) return;
    if (reclaimed > 0 || retries-- > 0) continue;
    const { events } = m.task;
    events[EV.kr_memcg_high_sleep] = (events[EV.kr_memcg_high_sleep] as number) + 1;
    psiMemstallEnter(m);
    scheduleTimeout(delay);
    psiMemstallLeave(m);
    return;
  }
}

/** As memcgHandleOverHigh, for calls that are no faults. @context their end, no lock held */
export function payForHigh(m: Mm): void {
  if (m.task.overHigh > 0) memcgHandleOverHigh(m);
}

/**
 * Sets memory.high and reclaims down to it, as far as that goes.
 * @param pages -1 for none @context as memcgSetMax
 */
export function memcgSetHigh(m: Mm, memcg: number, pages: number): void {
  Atomics.store(m.memcg.high, memcg, pages);
  if (pages < 0) return;
  const fatal = (): boolean => fatalSignalPending(m) || kthreadShouldStop();
  let retries = MAX_RECLAIM_RETRIES;
  for (let drained = false; !fatal(); ) {
    const over = Atomics.load(m.memcg.usage, memcg) - pages;
    if (over <= 0) return;
    if (!drained) {
      drainAllStock(m, false);
      drained = true;
    } else if (tryToFreeMemcgPages(m, memcg, over, fatal) === 0 && retries-- === 0) return;
  }
}
