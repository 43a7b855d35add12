// SPDX-License-Identifier: GPL-2.0-only
/**
 * A semaphore that wakes a sleeper only when it was at zero.
 *
 * Fails when: two sleep; two ups come before the first sleeper, once woken, has taken its unit: the
 * second up wakes nobody.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const UNITS = 0;

export const threads = [down, down, up];

export function setup() {
  return { w: words(1) };
}

function down({ w }) {
  for (;;) {
    const units = Atomics.load(w, UNITS);
    if (units === 0) Atomics.wait(w, UNITS, 0);
    else if (Atomics.compareExchange(w, UNITS, units, units - 1) === units) return;
  }
}

function up({ w }) {
  for (let i = 0; i < 2; i++) {
    const before = Atomics.add(w, UNITS, 1);
    if (FIXED || before === 0) Atomics.notify(w, UNITS, 1);
  }
}
