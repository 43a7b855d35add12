// SPDX-License-Identifier: GPL-2.0-only
/**
 * A ring whose tail is stored one too far and then put back to the front.
 *
 * Fails when: the consumer looks between the two stores and takes what lies in the first slot.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const HEAD = 0;
const TAIL = 1;
const SLOTS = 2;
const SIZE = 3;

export function setup() {
  return { w: words(SLOTS + SIZE) };
}

export function producer({ w }) {
  for (let value = 1; value <= 4; value++) {
    const tail = Atomics.load(w, TAIL);
    while ((tail + 1) % SIZE === Atomics.load(w, HEAD));
    Atomics.store(w, SLOTS + tail, value);
    Atomics.store(w, TAIL, FIXED ? (tail + 1) % SIZE : tail + 1);
    if (!FIXED && tail + 1 === SIZE) Atomics.store(w, TAIL, 0);
  }
}

export function consumer({ w }) {
  for (let value = 1; value <= 4; value++) {
    const head = Atomics.load(w, HEAD);
    while (Atomics.load(w, TAIL) === head);
    const got = Atomics.load(w, SLOTS + head);
    Atomics.store(w, HEAD, (head + 1) % SIZE);
    must(got === value, `took ${got} for ${value}`);
  }
}
