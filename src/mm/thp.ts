// SPDX-License-Identifier: GPL-2.0-only
/** Which orders of large folios a VMA may have (mm/huge_memory.c, thp_vma_allowable_orders). */
import type { Mm } from './mm.ts';
import { VM_HUGEPAGE, VM_NOHUGEPAGE } from './mm_types.ts';
import {
  NR_THP_ORDERS,
  THP_ALWAYS,
  THP_GLOBAL,
  THP_INHERIT,
  THP_MADVISE,
  THP_MODE_ALWAYS,
  THP_MODE_MADVISE,
  THP_MODE_NEVER,
  THP_MODES,
  THP_ORDER_MAX,
  THP_ORDER_MIN,
  type ThpMode,
} from './thp_types.ts';

/** Columns of `thpWords` that a mode puts an order into. */
const MASKS: Readonly<Partial<Record<ThpMode, number>>> = {
  always: THP_ALWAYS,
  madvise: THP_MADVISE,
  inherit: THP_INHERIT,
};

/**
 * @returns a bit for each order that is allowed in a VMA
 * @context mmap_lock held; the switches may change at any time
 */
export function thpOrders(m: Mm, vma: number): number {
  const flags = m.vma.flags[vma] as number;
  if ((flags & VM_NOHUGEPAGE) !== 0) return 0;
  const advised = (flags & VM_HUGEPAGE) !== 0;
  let orders = Atomics.load(m.thpWords, THP_ALWAYS);
  if (advised) orders |= Atomics.load(m.thpWords, THP_MADVISE);
  const global = Atomics.load(m.thpWords, THP_GLOBAL);
  if (global === THP_MODE_ALWAYS || (advised && global === THP_MODE_MADVISE)) {
    orders |= Atomics.load(m.thpWords, THP_INHERIT);
  }
  return orders;
}

/** Sets what hugepages-*kB/enabled of an order says. @context any thread */
export function setThpMode(m: Mm, order: number, mode: ThpMode): void {
  for (const mask of [THP_ALWAYS, THP_MADVISE, THP_INHERIT]) {
    Atomics.and(m.thpWords, mask, ~(1 << order));
  }
  const mask = MASKS[mode];
  if (mask !== undefined) Atomics.or(m.thpWords, mask, 1 << order);
}

/** @returns what hugepages-*kB/enabled of an order says */
export function thpMode(m: Mm, order: number): ThpMode {
  for (const mode of THP_MODES) {
    const mask = MASKS[mode];
    if (mask !== undefined && (Atomics.load(m.thpWords, mask) & (1 << order)) !== 0) return mode;
  }
  return 'never';
}

/** Sets the switches to the configuration's. @context boot */
export function thpInit(m: Mm): void {
  const config = m.config.thp ?? null;
  m.thpWords[THP_GLOBAL] = THP_MODE_NEVER;
  if (config === null) return;
  m.thpWords[THP_GLOBAL] = THP_MODES.indexOf(config.enabled);
  for (let order = THP_ORDER_MIN; order < NR_THP_ORDERS; order++) {
    const mode = config.orders[order] ?? (order === THP_ORDER_MAX ? 'inherit' : 'never');
    setThpMode(m, order, mode);
  }
}
