// SPDX-License-Identifier: GPL-2.0-only
/**
 * Sleepable RCU with two reader counts, of which a grace period waits for one.
 *
 * Fails when: the reader has loaded the index; a whole grace period passes, which flips it; the
 * reader counts itself in the old count and takes a cell; the next grace period waits for the other
 * count. That takes three changes of mind, so PCT of depth 3 cannot find it, however long it looks.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const INDEX = 0;
const COUNT = 1;
const POINTER = 3;
const FREED = -1;

export function setup() {
  return { w: words(7, 0, 0, 0, 4, 10, 20, 30) };
}

export function reader({ w }) {
  const index = Atomics.load(w, INDEX);
  Atomics.add(w, COUNT + index, 1);
  const cell = Atomics.load(w, POINTER);
  must(Atomics.load(w, cell) !== FREED, 'read a freed cell');
  Atomics.sub(w, COUNT + index, 1);
}

export function updater({ w }) {
  for (let cell = 5; cell <= 6; cell++) {
    const old = Atomics.exchange(w, POINTER, cell);
    const index = Atomics.load(w, INDEX);
    Atomics.store(w, INDEX, 1 - index);
    while (Atomics.load(w, COUNT + index) !== 0);
    if (FIXED) while (Atomics.load(w, COUNT + 1 - index) !== 0);
    Atomics.store(w, old, FREED);
  }
}
