// SPDX-License-Identifier: GPL-2.0-only
/**
 * A hazard pointer that is announced and not compared with its source again.
 *
 * Fails when: the reader has loaded the pointer; the reclaimer replaces it, finds no hazard and
 * frees the cell; the reader announces and reads it.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const POINTER = 0;
const HAZARD = 1;
const FREED = -1;

export function setup() {
  return { w: words(4, 2, 0, 10, 20) };
}

export function reader({ w }) {
  let cell = 0;
  do {
    cell = Atomics.load(w, POINTER);
    Atomics.store(w, HAZARD, cell);
  } while (FIXED && Atomics.load(w, POINTER) !== cell);
  must(Atomics.load(w, cell) !== FREED, 'read a freed cell');
  Atomics.store(w, HAZARD, 0);
}

export function reclaimer({ w }) {
  const old = Atomics.exchange(w, POINTER, 3);
  while (Atomics.load(w, HAZARD) === old);
  Atomics.store(w, old, FREED);
}
