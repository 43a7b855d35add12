// SPDX-License-Identifier: GPL-2.0-only
/**
 * A semaphore whose down tests and subtracts in two steps.
 *
 * Fails when: both test the last unit before either takes it.
 */
import { critical, isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const UNITS = 0;
const INSIDE = 1;

export const threads = [worker, worker];

export function setup() {
  return { w: words(2, 1) };
}

function tryDown(w) {
  if (!FIXED) return Atomics.load(w, UNITS) > 0 && Atomics.sub(w, UNITS, 1) !== null;
  for (;;) {
    const units = Atomics.load(w, UNITS);
    if (units === 0) return false;
    if (Atomics.compareExchange(w, UNITS, units, units - 1) === units) return true;
  }
}

function worker({ w }) {
  if (!tryDown(w)) return;
  critical(w, INSIDE);
  Atomics.add(w, UNITS, 1);
}
