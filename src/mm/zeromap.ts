// SPDX-License-Identifier: GPL-2.0-only
/**
 * The zero map: a bit per swap slot whose page was all zeroes, so that nothing is stored
 * (mm/page_io.c, swap_zeromap_folio_set).
 */
import type { Mm } from './mm.ts';

/** The slot's page is all zeroes: nothing is stored for it. @returns whether it was so before */
export function zeromapTestSet(m: Mm, slot: number): boolean {
  const bit = 1 << (slot & 31);
  return (Atomics.or(m.zeromap, slot >>> 5, bit) & bit) !== 0;
}

/** @returns whether the slot's page was all zeroes */
export function zeromapTest(m: Mm, slot: number): boolean {
  return (Atomics.load(m.zeromap, slot >>> 5) & (1 << (slot & 31))) !== 0;
}

/** Forgets the slot. @returns whether its page was all zeroes */
export function zeromapTestClear(m: Mm, slot: number): boolean {
  const bit = 1 << (slot & 31);
  if ((Atomics.load(m.zeromap, slot >>> 5) & bit) === 0) return false;
  return (Atomics.and(m.zeromap, slot >>> 5, ~bit) & bit) !== 0;
}
