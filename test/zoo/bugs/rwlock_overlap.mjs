// SPDX-License-Identifier: GPL-2.0-only
/**
 * A reader that looks for a writer before it says that it reads.
 *
 * Fails when: the reader has looked; the writer locks, finds no reader and begins to write.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const WRITER = 0;
const READERS = 1;

export function setup() {
  return { w: words(4) };
}

export function reader({ w }) {
  for (;;) {
    while (Atomics.load(w, WRITER) !== 0);
    Atomics.add(w, READERS, 1);
    if (!FIXED || Atomics.load(w, WRITER) === 0) break;
    Atomics.sub(w, READERS, 1);
  }
  const [a, b] = [Atomics.load(w, 2), Atomics.load(w, 3)];
  Atomics.sub(w, READERS, 1);
  must(a === b, `read ${a} and ${b}`);
}

export function writer({ w }) {
  lock(w, WRITER);
  while (Atomics.load(w, READERS) !== 0);
  Atomics.store(w, 2, 5);
  Atomics.store(w, 3, 5);
  unlock(w, WRITER);
}
