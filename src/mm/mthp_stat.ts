// SPDX-License-Identifier: GPL-2.0-only
/** Counters of large folios, per order (mm/huge_memory.c, mthp_stats). */
import { folioOrder } from './folio.ts';
import type { Mm } from './mm.ts';
import { MTHP_STATS, THP_ORDER_MAX } from './thp_types.ts';
import type { VmEvent } from './vmstat_items.ts';
import { EV } from './vmstat_items.ts';

function cellOf(order: number, cell: number): number {
  return order * MTHP_STATS.length + cell;
}

/** Adds to a counter of an order. @param cell MTHP.name */
export function countMthp(m: Mm, order: number, cell: number, by = 1): void {
  Atomics.add(m.mthpStat, cellOf(order, cell), by);
}

/** @returns a counter of an order @context any; a gauge is a moment old */
export function mthpStat(m: Mm, order: number, cell: number): number {
  return Atomics.load(m.mthpStat, cellOf(order, cell));
}

/** Counts what happened to a folio, and in /proc/vmstat when it is as large as a leaf table. */
export function countMthpEvent(m: Mm, pfn: number, cell: number, event: VmEvent | null): void {
  const order = folioOrder(m, pfn);
  countMthp(m, order, cell);
  if (event === null || order !== THP_ORDER_MAX) return;
  m.task.events[EV[event]] = (m.task.events[EV[event]] as number) + 1;
}
