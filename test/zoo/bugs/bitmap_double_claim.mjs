// SPDX-License-Identifier: GPL-2.0-only
/**
 * A bitmap allocator that finds a zero bit and sets it, without looking at what was there.
 *
 * Fails when: both find the same bit.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

export const threads = [claimer, claimer];

export function setup() {
  return { w: words(1, 0b0101) };
}

function claimer({ w }) {
  for (;;) {
    const map = Atomics.load(w, 0);
    const bit = ~map & -~map;
    if ((Atomics.or(w, 0, bit) & bit) === 0 || !FIXED) return bit;
  }
}

export function check(_, results) {
  must(results[0] !== results[1], `bit ${results[0]} was claimed twice`);
}
