// SPDX-License-Identifier: GPL-2.0-only
/**
 * Many producers reserve a slot by moving the tail; the consumer takes what lies before the tail.
 *
 * Fails when: the consumer comes between the reservation of a slot and its filling.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const TAIL = 0;
const SLOTS = 1;

export function setup() {
  return { w: words(3) };
}

function put(w, value) {
  const slot = Atomics.add(w, TAIL, 1);
  Atomics.store(w, SLOTS + slot, value);
}

export function producer1({ w }) {
  put(w, 1);
}

export function producer2({ w }) {
  put(w, 2);
}

export function consumer({ w }) {
  let sum = 0;
  for (let slot = 0; slot < 2; slot++) {
    if (FIXED) while (Atomics.load(w, SLOTS + slot) === 0);
    else while (Atomics.load(w, TAIL) <= slot);
    sum += Atomics.load(w, SLOTS + slot);
  }
  must(sum === 3, `took ${sum} of 1 and 2`);
}
