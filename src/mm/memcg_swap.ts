// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap slots of groups: charges and memory.swap.max (mm/memcontrol.c, mem_cgroup_try_charge_swap).
 *
 * A slot is charged to the group of its folio. `swap` counts the group's own slots, and pins it
 * while there is one; `swapUsage` counts the subtree's, against the limit.
 */
import { assert } from '../../shared/assert.ts';
import { memcgGet, memcgPut } from './memcg_css.ts';
import { memcgEvent } from './memcg_events.ts';
import type { Mm } from './mm.ts';

/**
 * Charges a slot to a group and those above it.
 * @returns false when one of them has no room: nothing is charged then
 * @context the folio is locked, and its own charge keeps the group
 */
export function tryChargeSwap(m: Mm, memcg: number): boolean {
  const { swapUsage, swapMax, parent } = m.memcg;
  for (let group = memcg; group !== 0; group = parent[group] as number) {
    const limit = Atomics.load(swapMax, group);
    const now = Atomics.add(swapUsage, group, 1) + 1;
    if (limit < 0 || now <= limit) continue;
    Atomics.sub(swapUsage, group, 1);
    for (let undo = memcg; undo !== group; undo = parent[undo] as number) {
      Atomics.sub(swapUsage, undo, 1);
    }
    memcgEvent(m, group, 'eventsSwapMax');
    memcgEvent(m, memcg, 'eventsSwapFail');
    return false;
  }
  Atomics.add(swapUsage, 0, 1);
  if (Atomics.add(m.memcg.swap, memcg, 1) === 0) memcgGet(m, memcg);
  return true;
}

/** Takes back the charge of a freed slot. The group may be gone after it. @context any */
export function unchargeSwap(m: Mm, memcg: number): void {
  for (let group = memcg; ; group = m.memcg.parent[group] as number) {
    const before = Atomics.sub(m.memcg.swapUsage, group, 1);
    assert(before > 0, 'group has fewer swap slots than are freed');
    if (group === 0) break;
  }
  // Last: what is charged pins the group and its ancestors while their counters are touched.
  const own = Atomics.sub(m.memcg.swap, memcg, 1);
  assert(own > 0, 'group has fewer swap slots of its own than are freed');
  if (own === 1) memcgPut(m, memcg);
}

/** Free swap slots that a group may use (mem_cgroup_get_nr_swap_pages). @context a hint */
export function memcgSwapPages(m: Mm, memcg: number): number {
  let pages = Atomics.load(m.swapInfo, 0);
  for (let group = memcg; group !== 0; group = m.memcg.parent[group] as number) {
    const limit = Atomics.load(m.memcg.swapMax, group);
    if (limit < 0) continue;
    pages = Math.min(pages, Math.max(limit - Atomics.load(m.memcg.swapUsage, group), 0));
  }
  return pages;
}
