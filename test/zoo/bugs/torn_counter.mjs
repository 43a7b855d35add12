// SPDX-License-Identifier: GPL-2.0-only
/**
 * A counter of two words, read without a sequence.
 *
 * Fails when: the reader loads the high word, the writer carries, the reader loads the low word.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const SEQ = 0;
const LOW = 1;
const HIGH = 2;

/** Base 4: the counter stands at 3. */
export function setup() {
  return { w: words(3, 0, 3, 0) };
}

export function writer({ w }) {
  Atomics.add(w, SEQ, 1);
  Atomics.store(w, LOW, 0);
  Atomics.store(w, HIGH, 1);
  Atomics.add(w, SEQ, 1);
}

export function reader({ w }) {
  let seq = 0;
  let value = 0;
  do {
    seq = Atomics.load(w, SEQ);
    value = 4 * Atomics.load(w, HIGH) + Atomics.load(w, LOW);
  } while (FIXED && (seq % 2 === 1 || Atomics.load(w, SEQ) !== seq));
  must(value === 3 || value === 4, `read ${value}`);
}
