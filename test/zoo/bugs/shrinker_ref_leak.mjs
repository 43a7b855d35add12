// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinkers, the walk: one that is skipped, for kernel memory is not accounted, keeps the
 * reference.
 *
 * Fails when: the walk takes its reference before the shrinker is freed, which then waits for ever.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const REFS = 0;
const DONE = 1;

export function setup() {
  return { w: words(2, 1) };
}

function put(w) {
  if (Atomics.sub(w, REFS, 1) !== 1) return;
  Atomics.store(w, DONE, 1);
  Atomics.notify(w, DONE);
}

function tryGet(w) {
  for (;;) {
    const refs = Atomics.load(w, REFS);
    if (refs === 0) return false;
    if (Atomics.compareExchange(w, REFS, refs, refs + 1) === refs) return true;
  }
}

export function walk({ w }) {
  const accounted = false;
  if (!tryGet(w)) return;
  if (!accounted && !FIXED) return;
  put(w);
}

export function free({ w }) {
  put(w);
  while (Atomics.load(w, DONE) === 0) Atomics.wait(w, DONE, 0);
}
