// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinkers, the completion: it is made ready for the wait after the reference was given up.
 *
 * Fails when: the walk puts the last reference, and completes, between the two.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const REFS = 0;
const DONE = 1;

export function setup() {
  return { w: words(2, 2) };
}

function put(w) {
  if (Atomics.sub(w, REFS, 1) !== 1) return;
  Atomics.store(w, DONE, 1);
  Atomics.notify(w, DONE);
}

export function walk({ w }) {
  put(w);
}

export function free({ w }) {
  if (FIXED) Atomics.store(w, DONE, 0);
  put(w);
  if (!FIXED) Atomics.store(w, DONE, 0);
  while (Atomics.load(w, DONE) === 0) Atomics.wait(w, DONE, 0);
}
