// SPDX-License-Identifier: GPL-2.0-only
/**
 * Two buffers and an index: the writer fills the one that is not current, and makes it so.
 *
 * Fails when: the reader has loaded the index; the writer publishes once and fills again, under the
 * reader. The fix counts publications, and the reader looks at the count again.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const COUNT = 0;

export function setup() {
  // Buffer b has two words, from 1 + 2 * b.
  return { w: words(5) };
}

export function reader({ w }) {
  for (;;) {
    const count = Atomics.load(w, COUNT);
    const at = 1 + 2 * (count % 2);
    const [a, b] = [Atomics.load(w, at), Atomics.load(w, at + 1)];
    if (FIXED && Atomics.load(w, COUNT) !== count) continue;
    must(a === b, `read ${a} and ${b}`);
    return;
  }
}

export function writer({ w }) {
  for (let value = 1; value <= 2; value++) {
    const count = Atomics.load(w, COUNT);
    const at = 1 + 2 * ((count + 1) % 2);
    Atomics.store(w, at, value);
    Atomics.store(w, at + 1, value);
    Atomics.store(w, COUNT, count + 1);
  }
}
