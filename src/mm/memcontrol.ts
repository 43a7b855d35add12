// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory groups: usage, limits, charges (mm/memcontrol.c, mm/page_counter.c).
 *
 * A charge goes up the tree; a group over its limit fails it. CPUs take MEMCG_CHARGE_BATCH pages at
 * once into a stock, so that most faults do not touch the shared counters; `usage` includes stocks,
 * `own` does not. An uncharge goes straight to the counters, as in the kernel.
 *
 * A group with pages of its own is referenced once for all of them (memcg_css.ts), taken by whoever
 * finds `own` at 0 and dropped by whoever leaves it there. Between the addition and the taking the
 * group is there, because the charger holds a reference itself; nobody can undo that charge
 * meanwhile, since the page is shown to nobody yet. The subtraction comes last of an uncharge: what
 * is charged pins the group and its ancestors while their counters are touched.
 */
import { assert, bug } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { THREADS_MAX } from '../../shared/limits.ts';
import { spinLock, spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { FAULT_TRYLOCK } from './faults.ts';
import { folioPages } from './folio.ts';
import { MEMCG_CHARGE_BATCH } from './limits.ts';
import { LC_MEMCG_STOCK } from './lock_order.ts';
import { memcgGet, memcgPut } from './memcg_css.ts';
import { propagateProtectedUsage } from './memcg_protection.ts';
import type { Mm } from './mm.ts';

const STOCK_MEMCG = 1;
const STOCK_PAGES = 2;
/** Of the row, the owner's alone: the group that the thread charges to. */
export const STOCK_TASK = 3;

/** No group was over its limit. */
export const CHARGED = -1;

/**
 * Adds `pages` to a group and its ancestors.
 * @returns CHARGED, or the group whose limit forbids it (then nothing is charged)
 */
export function pageCounterTryCharge(m: Mm, memcg: number, pages: number): number {
  const { usage, max, peak, parent } = m.memcg;
  for (let group = memcg; ; group = parent[group] as number) {
    const limit = Atomics.load(max, group);
    const now = Atomics.add(usage, group, pages) + pages;
    if (limit >= 0 && now > limit) {
      Atomics.sub(usage, group, pages);
      for (let undo = memcg; undo !== group; undo = parent[undo] as number) {
        propagateProtectedUsage(m, undo, Atomics.sub(usage, undo, pages) - pages);
      }
      return group;
    }
    if (now > Atomics.load(peak, group)) Atomics.store(peak, group, now);
    if (group === 0) return CHARGED;
    propagateProtectedUsage(m, group, now);
  }
}

/** Takes `pages` off a group and its ancestors. */
export function pageCounterUncharge(m: Mm, memcg: number, pages: number): void {
  for (let group = memcg; ; group = m.memcg.parent[group] as number) {
    const before = Atomics.sub(m.memcg.usage, group, pages);
    if (before < pages) bug(`memcg ${group}: uncharging ${pages} of ${before} pages`);
    if (group === 0) return;
    propagateProtectedUsage(m, group, before - pages);
  }
}

/** Pages that a group may still charge before a limit above it, at most what any i32 holds. */
export function memcgMargin(m: Mm, memcg: number): number {
  const limit = Atomics.load(m.memcg.max, memcg);
  if (limit < 0) return 0x7fffffff;
  return Math.max(limit - Atomics.load(m.memcg.usage, memcg), 0);
}

/**
 * Takes pages from this thread's stock.
 * @returns false when it has too few of this group
 * @context takes memcg_stock
 */
export function consumeStock(m: Mm, memcg: number, pages: number): boolean {
  const row = m.task.id * LINE_WORDS;
  spinLock(m.stock, row, LC_MEMCG_STOCK);
  const have = m.stock[row + STOCK_PAGES] as number;
  const enough = m.stock[row + STOCK_MEMCG] === memcg && have >= pages;
  if (enough) m.stock[row + STOCK_PAGES] = have - pages;
  spinUnlock(m.stock, row, LC_MEMCG_STOCK);
  return enough;
}

/**
 * Puts pages that are charged already into this thread's stock, which takes a reference on the
 * group when it begins to cache it.
 * @context the caller holds a reference on the group; takes memcg_stock
 */
export function refillStock(m: Mm, memcg: number, pages: number): void {
  const row = m.task.id * LINE_WORDS;
  spinLock(m.stock, row, LC_MEMCG_STOCK);
  if (m.stock[row + STOCK_MEMCG] !== memcg) {
    drainStockLocked(m, row);
    memcgGet(m, memcg);
    m.stock[row + STOCK_MEMCG] = memcg;
  }
  m.stock[row + STOCK_PAGES] = (m.stock[row + STOCK_PAGES] as number) + pages;
  if ((m.stock[row + STOCK_PAGES] as number) > MEMCG_CHARGE_BATCH) drainStockLocked(m, row);
  spinUnlock(m.stock, row, LC_MEMCG_STOCK);
}

/** Empties a stock, which then caches no group (the root counts as none). */
function drainStockLocked(m: Mm, row: number): void {
  const pages = m.stock[row + STOCK_PAGES] as number;
  const memcg = m.stock[row + STOCK_MEMCG] as number;
  m.stock[row + STOCK_PAGES] = 0;
  m.stock[row + STOCK_MEMCG] = 0;
  if (pages > 0) pageCounterUncharge(m, memcg, pages);
  memcgPut(m, memcg);
}

/** Returns this thread's stock to the counters. @context takes memcg_stock */
export function drainOwnStock(m: Mm): void {
  const row = m.task.id * LINE_WORDS;
  spinLock(m.stock, row, LC_MEMCG_STOCK);
  drainStockLocked(m, row);
  spinUnlock(m.stock, row, LC_MEMCG_STOCK);
}

/**
 * Returns the stocks that cache a group to the counters. A thread that charges to it just now may
 * cache it again.
 * @context takes memcg_stock of those, one at a time
 */
export function drainStockOf(m: Mm, memcg: number): void {
  for (let id = 1; id < THREADS_MAX; id++) {
    const row = id * LINE_WORDS;
    if (m.stock[row + STOCK_MEMCG] !== memcg) continue; // @racy: looked at again under the lock
    spinLock(m.stock, row, LC_MEMCG_STOCK);
    if (m.stock[row + STOCK_MEMCG] === memcg) drainStockLocked(m, row);
    spinUnlock(m.stock, row, LC_MEMCG_STOCK);
  }
}

/**
 * Returns every thread's stock to the counters; one in use is skipped unless `force`.
 * @context takes every memcg_stock in turn
 */
export function drainAllStock(m: Mm, force: boolean): void {
  for (let id = 1; id < THREADS_MAX; id++) {
    const row = id * LINE_WORDS;
    if (force) spinLock(m.stock, row, LC_MEMCG_STOCK);
    else if (shouldFail(FAULT_TRYLOCK) || !spinTryLock(m.stock, row, LC_MEMCG_STOCK)) continue;
    drainStockLocked(m, row);
    spinUnlock(m.stock, row, LC_MEMCG_STOCK);
  }
}

/**
 * A folio is charged to the group from here on: `page.memcg` of its pages says so.
 * @context the page is shown to nobody yet; the caller holds a reference on the group
 */
export function commitCharge(m: Mm, pfn: number, memcg: number): void {
  const pages = folioPages(m, pfn);
  m.page.memcg[pfn] = memcg;
  if (pages > 1) m.page.memcg.fill(memcg, pfn, pfn + pages);
  if (Atomics.add(m.memcg.own, memcg, pages) === 0) memcgGet(m, memcg);
}

/** Takes back the charge of `pages` freed pages of one group. The group may be gone after it. */
export function uncharge(m: Mm, memcg: number, pages: number): void {
  pageCounterUncharge(m, memcg, pages);
  const before = Atomics.sub(m.memcg.own, memcg, pages);
  assert(before >= pages, 'group has fewer charged pages than are freed');
  if (before === pages) memcgPut(m, memcg);
}
