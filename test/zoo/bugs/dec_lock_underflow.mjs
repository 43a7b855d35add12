// SPDX-License-Identifier: GPL-2.0-only
/**
 * After ck #99: a lock that is taken by decrementing, without a look before the next try. The word
 * is two bits wide here, so that four tries come round to 1 again.
 *
 * Fails when: one holds the lock while another tries four times.
 */
import { critical, isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const WORD = 0;
const INSIDE = 1;

export const threads = [worker, worker];

export function setup() {
  return { w: words(2, 1) };
}

function worker({ w }) {
  while ((Atomics.sub(w, WORD, 1) & 3) !== 1) {
    if (FIXED) while (Atomics.load(w, WORD) !== 1);
  }
  critical(w, INSIDE);
  Atomics.store(w, WORD, 1);
}
