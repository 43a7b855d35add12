// SPDX-License-Identifier: GPL-2.0-only
/**
 * A lookup that takes a reference to whatever it finds, be its count zero.
 *
 * Fails when: the lookup has found the object; its last reference is put and it is freed; the
 * lookup makes the count 1 again and uses it.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const TABLE = 0;
const REFS = 1;
const OBJECT = 2;

export function setup() {
  return { w: words(3, 1, 1, 1) };
}

function get(w) {
  if (!FIXED) return Atomics.add(w, REFS, 1) >= 0;
  for (;;) {
    const refs = Atomics.load(w, REFS);
    if (refs === 0) return false;
    if (Atomics.compareExchange(w, REFS, refs, refs + 1) === refs) return true;
  }
}

function put(w) {
  if (Atomics.sub(w, REFS, 1) === 1) Atomics.store(w, OBJECT, 0);
}

export function lookup({ w }) {
  if (Atomics.load(w, TABLE) === 0 || !get(w)) return;
  must(Atomics.load(w, OBJECT) === 1, 'used a freed object');
  put(w);
}

export function remove({ w }) {
  Atomics.store(w, TABLE, 0);
  put(w);
}
