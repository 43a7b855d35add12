// SPDX-License-Identifier: GPL-2.0-only
/**
 * A thread that waits for a count to be exactly two, which it may have passed.
 *
 * Fails when: three have counted before it looks. It spins on a word that nobody changes any more.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

export const threads = [counter, counter, counter, waiter];

export function setup() {
  return { w: words(1) };
}

function counter({ w }) {
  Atomics.add(w, 0, 1);
}

function waiter({ w }) {
  if (FIXED) while (Atomics.load(w, 0) < 2);
  else while (Atomics.load(w, 0) !== 2);
}
