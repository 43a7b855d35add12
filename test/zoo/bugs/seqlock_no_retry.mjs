// SPDX-License-Identifier: GPL-2.0-only
/**
 * A seqlock reader that waits for an even sequence, and does not look at it again.
 *
 * Fails when: the writer comes between the reader's two loads.
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
    if (seq % 2 === 1) continue;
    const [a, b] = [Atomics.load(w, 1), Atomics.load(w, 2)];
    if (FIXED && Atomics.load(w, SEQ) !== seq) continue;
    must(a === b, `read ${a} and ${b}`);
    return;
  }
}
