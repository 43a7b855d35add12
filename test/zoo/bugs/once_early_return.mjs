// SPDX-License-Identifier: GPL-2.0-only
/**
 * A once-initialiser that does not wait for the one that initialises.
 *
 * Fails when: the second caller comes while the first is at it.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const ONCE = 0;
const VALUE = 1;

export const threads = [user, user];

export function setup() {
  return { w: words(2) };
}

function user({ w }) {
  if (Atomics.compareExchange(w, ONCE, 0, 1) === 0) {
    Atomics.store(w, VALUE, 42);
    Atomics.store(w, ONCE, 2);
  } else if (FIXED) {
    while (Atomics.load(w, ONCE) !== 2);
  }
  must(Atomics.load(w, VALUE) === 42, 'used before it was initialised');
}
