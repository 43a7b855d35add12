// SPDX-License-Identifier: GPL-2.0-only
/**
 * An RCU updater that frees the old cell at once.
 *
 * Fails when: the reader has loaded the pointer; the updater replaces it and frees the cell; the
 * reader looks into it.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const POINTER = 0;
const READING = 1;
const FREED = -1;

export function setup() {
  return { w: words(4, 2, 0, 10, 20) };
}

export function reader({ w }) {
  Atomics.store(w, READING, 1);
  const cell = Atomics.load(w, POINTER);
  const value = Atomics.load(w, cell);
  Atomics.store(w, READING, 0);
  must(value !== FREED, 'read a freed cell');
}

export function updater({ w }) {
  const old = Atomics.exchange(w, POINTER, 3);
  if (FIXED) while (Atomics.load(w, READING) !== 0);
  Atomics.store(w, old, FREED);
}
