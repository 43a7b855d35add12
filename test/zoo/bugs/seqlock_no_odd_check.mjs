// SPDX-License-Identifier: GPL-2.0-only
/**
 * A seqlock reader that only compares the sequence before with the one after.
 *
 * Fails when: it starts and ends within one write.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const SEQ = 0;

export function setup() {
  return { w: words(3) };
}

export function writer({ w }) {
  Atomics.add(w, SEQ, 1);
  Atomics.store(w, 1, 5);
  Atomics.store(w, 2, 5);
  Atomics.add(w, SEQ, 1);
}

export function reader({ w }) {
  for (;;) {
    const seq = Atomics.load(w, SEQ);
    const [a, b] = [Atomics.load(w, 1), Atomics.load(w, 2)];
    if (Atomics.load(w, SEQ) !== seq || (FIXED && seq % 2 === 1)) continue;
    must(a === b, `read ${a} and ${b}`);
    return;
  }
}
