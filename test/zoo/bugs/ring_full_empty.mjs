// SPDX-License-Identifier: GPL-2.0-only
/**
 * A ring of two whose indices are masked when they are stored: full looks like empty.
 *
 * Fails when: the producer is two items ahead and goes on.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const HEAD = 0;
const TAIL = 1;
const SLOTS = 2;
const MASK = 1;
const KEEP = FIXED ? -1 : MASK;

export function setup() {
  return { w: words(4) };
}

export function producer({ w }) {
  for (let value = 1; value <= 4; value++) {
    const tail = Atomics.load(w, TAIL);
    while (tail - Atomics.load(w, HEAD) === 2);
    Atomics.store(w, SLOTS + (tail & MASK), value);
    Atomics.store(w, TAIL, (tail + 1) & KEEP);
  }
}

export function consumer({ w }) {
  for (let value = 1; value <= 4; value++) {
    const head = Atomics.load(w, HEAD);
    while (Atomics.load(w, TAIL) === head);
    const got = Atomics.load(w, SLOTS + (head & MASK));
    Atomics.store(w, HEAD, (head + 1) & KEEP);
    must(got === value, `took ${got} for ${value}`);
  }
}
