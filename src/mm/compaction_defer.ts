// SPDX-License-Identifier: GPL-2.0-only
/**
 * Compaction that failed is not tried again at once (mm/compaction.c, defer_compaction and what
 * goes with it): of the tries for such an order, 1 << shift are passed over, twice as many after
 * each failure. Everybody may lose an update of another: that costs a try more, or one less.
 */
import type { Mm } from './mm.ts';

/** COMPACT_MAX_DEFER_SHIFT: at most 64 tries are passed over. */
const DEFER_SHIFT_MAX = 6;

/** Compaction of the zone failed for an order. @context any */
export function deferCompaction(m: Mm, zone: number, order: number): void {
  const { compactConsidered, compactDeferShift, compactOrderFailed } = m.zone;
  Atomics.store(compactConsidered, zone, 0);
  const shift = Atomics.load(compactDeferShift, zone) + 1;
  Atomics.store(compactDeferShift, zone, Math.min(shift, DEFER_SHIFT_MAX));
  if (order < Atomics.load(compactOrderFailed, zone)) {
    Atomics.store(compactOrderFailed, zone, order);
  }
}

/** @returns whether this try is to be passed over (compaction_deferred) @context any */
export function compactionDeferred(m: Mm, zone: number, order: number): boolean {
  const { compactConsidered, compactDeferShift, compactOrderFailed } = m.zone;
  if (order < Atomics.load(compactOrderFailed, zone)) return false;
  const limit = 1 << Atomics.load(compactDeferShift, zone);
  if (Atomics.add(compactConsidered, zone, 1) + 1 < limit) return true;
  Atomics.store(compactConsidered, zone, limit);
  return false;
}

/**
 * Compaction gave a block of an order (compaction_defer_reset).
 * @param allocated and somebody got it: tries are not passed over any more
 * @context any
 */
export function deferReset(m: Mm, zone: number, order: number, allocated: boolean): void {
  const { compactConsidered, compactDeferShift, compactOrderFailed } = m.zone;
  if (allocated) {
    Atomics.store(compactConsidered, zone, 0);
    Atomics.store(compactDeferShift, zone, 0);
  }
  if (order >= Atomics.load(compactOrderFailed, zone)) {
    Atomics.store(compactOrderFailed, zone, order + 1);
  }
}
