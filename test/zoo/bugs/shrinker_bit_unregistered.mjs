// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinkers, the map: a bit is cleared because its shrinker cannot be referenced, which is not
 * registered yet.
 *
 * Fails when: an object is added and its bit set; the walk comes before the registration.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const REFS = 0;
const BIT = 1;
const OBJECTS = 2;

export function setup() {
  return { w: words(3) };
}

export function adder({ w }) {
  Atomics.store(w, OBJECTS, 1);
  Atomics.store(w, BIT, 1);
}

export function registration({ w }) {
  Atomics.store(w, REFS, 1);
}

export function walk({ w }) {
  if (Atomics.load(w, BIT) === 0) return;
  if (Atomics.load(w, REFS) === 0) {
    if (!FIXED) Atomics.store(w, BIT, 0);
    return;
  }
  Atomics.store(w, BIT, 0);
  Atomics.store(w, OBJECTS, 0);
}

export function check({ w }) {
  must(w[OBJECTS] === 0 || w[BIT] === 1, 'objects that no walk will find');
}
