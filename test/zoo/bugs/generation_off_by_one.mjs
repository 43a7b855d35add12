// SPDX-License-Identifier: GPL-2.0-only
/**
 * A handle whose generation may be one behind.
 *
 * Fails when: the slot is given to somebody else between the making of the handle and its use.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const GENERATION = 0;
const VALUE = 1;

export function setup() {
  return { w: words(2, 7, 10) };
}

export function user({ w }) {
  const handle = 7;
  const value = Atomics.load(w, VALUE);
  const behind = Atomics.load(w, GENERATION) - handle;
  const stale = FIXED ? behind > 0 : behind > 1;
  must(stale || value === 10, `the handle gave ${value}`);
}

export function recycler({ w }) {
  Atomics.add(w, GENERATION, 1);
  Atomics.store(w, VALUE, 99);
}
