// SPDX-License-Identifier: GPL-2.0-only
/**
 * A sequence count that two writers share without a lock: together they make it even.
 *
 * Fails when: both are within their writes, and a reader takes the even count for a quiet moment.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const SEQ = 1;

export const threads = [writer, writer, reader];

export function setup() {
  return { w: words(4) };
}

function writer({ w }, { id }) {
  if (FIXED) lock(w, LOCK);
  Atomics.add(w, SEQ, 1);
  Atomics.store(w, 2, id + 1);
  Atomics.store(w, 3, id + 1);
  Atomics.add(w, SEQ, 1);
  if (FIXED) unlock(w, LOCK);
}

function reader({ w }) {
  for (;;) {
    const seq = Atomics.load(w, SEQ);
    const [a, b] = [Atomics.load(w, 2), Atomics.load(w, 3)];
    if (seq % 2 === 1 || Atomics.load(w, SEQ) !== seq) continue;
    must(a === b, `read ${a} and ${b}`);
    return;
  }
}
