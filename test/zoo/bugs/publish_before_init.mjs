// SPDX-License-Identifier: GPL-2.0-only
/**
 * An object that can be found before it is filled in.
 *
 * Fails when: the reader comes between the two stores.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const POINTER = 0;
const FIELD = 1;

export function setup() {
  return { w: words(2) };
}

export function maker({ w }) {
  if (FIXED) Atomics.store(w, FIELD, 42);
  Atomics.store(w, POINTER, 1);
  if (!FIXED) Atomics.store(w, FIELD, 42);
}

export function reader({ w }) {
  if (Atomics.load(w, POINTER) === 1) must(Atomics.load(w, FIELD) === 42, 'found it unfilled');
}
