// SPDX-License-Identifier: GPL-2.0-only
/**
 * A reader-writer lock where waiting writers go first, and a reader that takes it twice.
 *
 * Fails when: the writer comes between the two; it waits for the reader, who waits behind it.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const WAITING = 0;
const READERS = 1;
const WRITING = 2;

export function setup() {
  return { w: words(3) };
}

function readLock(w) {
  for (;;) {
    while (Atomics.load(w, WAITING) !== 0);
    Atomics.add(w, READERS, 1);
    if (Atomics.load(w, WAITING) === 0) return;
    Atomics.sub(w, READERS, 1);
  }
}

export function reader({ w }) {
  readLock(w);
  if (!FIXED) readLock(w);
  must(Atomics.load(w, WRITING) === 0, 'a writer writes under a reader');
  if (!FIXED) Atomics.sub(w, READERS, 1);
  Atomics.sub(w, READERS, 1);
}

export function writer({ w }) {
  Atomics.store(w, WAITING, 1);
  while (Atomics.load(w, READERS) !== 0);
  Atomics.store(w, WRITING, 1);
  Atomics.store(w, WRITING, 0);
  Atomics.store(w, WAITING, 0);
}
