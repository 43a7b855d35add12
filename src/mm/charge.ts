// SPDX-License-Identifier: GPL-2.0-only
/**
 * Charging a page to a group, reclaiming from the group when it is full (mm/memcontrol.c,
 * try_charge_memcg).
 */
import { shouldFail } from '../../shared/fault.ts';
import { kthreadShouldStop } from '../../shared/sched.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { FAULT_CHARGE } from './faults.ts';
import { folioPages } from './folio.ts';
import { kshrinkdPutbackAll } from './kshrinkd_step.ts';
import { MAX_RECLAIM_RETRIES, MEMCG_CHARGE_BATCH } from './limits.ts';
import { memcgEvent } from './memcg_events.ts';
import { overHigh } from './memcg_high.ts';
import {
  CHARGED,
  commitCharge,
  consumeStock,
  memcgMargin,
  pageCounterTryCharge,
  refillStock,
} from './memcontrol.ts';
import type { Mm } from './mm.ts';
import { drainCaches, memcgOutOfMemory } from './oom_kill.ts';
import { tryToFreeMemcgPages } from './vmscan_direct.ts';
import { EV } from './vmstat_items.ts';

/** One pass at the limit. @returns CHARGED, or the group that is full */
function tryCharge(m: Mm, memcg: number, batch: { pages: number }): number {
  if (consumeStock(m, memcg, 1)) return CHARGED;
  let over = pageCounterTryCharge(m, memcg, batch.pages);
  if (over !== CHARGED && batch.pages > 1) {
    batch.pages = 1;
    if (consumeStock(m, memcg, 1)) return CHARGED;
    over = pageCounterTryCharge(m, memcg, 1);
  }
  if (over !== CHARGED) return over;
  if (batch.pages > 1) refillStock(m, memcg, batch.pages - 1);
  // Paid for at the end of the fault, where no lock is held.
  if (overHigh(m, memcg)) m.task.overHigh += batch.pages;
  return CHARGED;
}

/**
 * Tries a charge until it succeeds, reclaiming from whichever group is full.
 * @param attempt charges, and returns CHARGED or the group that is full
 * @returns false when the group is full and nothing can be reclaimed: the OOM killer has been
 *   asked, or the caller's own process is its victim; or a fault was injected
 * @context may block and reclaim; no spinlock held
 */
export function chargeOrReclaim(m: Mm, attempt: () => number): boolean {
  if (shouldFail(FAULT_CHARGE)) return false;
  const fatal = (): boolean => fatalSignalPending(m);
  const { events } = m.task;
  let retries = MAX_RECLAIM_RETRIES;
  let drained = false;
  let returned = false;
  for (;;) {
    const over = attempt();
    if (over === CHARGED) return true;
    if (fatal()) return false;
    events[EV.kr_memcg_max] = (events[EV.kr_memcg_max] as number) + 1;
    memcgEvent(m, over, 'eventsMax');
    const reclaimed = tryToFreeMemcgPages(m, over, 1, fatal);
    if (memcgMargin(m, over) >= 1) continue;
    if (!drained) {
      drainCaches(m);
      drained = true;
      continue;
    }
    if (reclaimed > 0) continue;
    if (!returned) {
      returned = true;
      if (kshrinkdPutbackAll(m, over) > 0) continue;
    }
    if (retries-- > 0) continue;
    if (!memcgOutOfMemory(m, over) || kthreadShouldStop()) return false;
    retries = MAX_RECLAIM_RETRIES;
    drained = false;
    returned = false;
  }
}

/**
 * Charges a large folio, if there is room for it as things are: nobody reclaims for it.
 * @param pfn the head, shown to nobody yet @param memcg referenced by the caller
 * @returns false when a group is full, or a fault was injected
 * @context takes memcg_stock
 */
export function memcgChargeLarge(m: Mm, pfn: number, memcg: number): boolean {
  const pages = folioPages(m, pfn);
  if (shouldFail(FAULT_CHARGE)) return false;
  const stocked = consumeStock(m, memcg, pages);
  if (!stocked && pageCounterTryCharge(m, memcg, pages) !== CHARGED) return false;
  if (!stocked && overHigh(m, memcg)) m.task.overHigh += pages;
  commitCharge(m, pfn, memcg);
  return true;
}

/**
 * Charges one new page to a group.
 * @param memcg group on which the caller holds a reference
 * @returns as chargeOrReclaim
 * @context as chargeOrReclaim; no folio lock held but the new folio's
 */
export function memcgCharge(m: Mm, pfn: number, memcg: number): boolean {
  const batch = { pages: MEMCG_CHARGE_BATCH };
  if (!chargeOrReclaim(m, () => tryCharge(m, memcg, batch))) return false;
  commitCharge(m, pfn, memcg);
  return true;
}
