// SPDX-License-Identifier: GPL-2.0-only
/**
 * Two threads unlink neighbours of a list without a lock.
 *
 * Fails when: `first` has read the next of 2, which is 3; `second` unlinks 3 from 2; `first` makes
 * 3 the head.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const HEAD = 1;

export function setup() {
  // HEAD -> 2 -> 3 -> 4; the next of a node is the word of its number.
  return { w: words(5, 0, 2, 3, 4, 0) };
}

function unlink(w, node) {
  if (FIXED) lock(w, LOCK);
  let before = HEAD;
  while (Atomics.load(w, before) !== node) before = Atomics.load(w, before);
  Atomics.store(w, before, Atomics.load(w, node));
  if (FIXED) unlock(w, LOCK);
}

export function first({ w }) {
  unlink(w, 2);
}

export function second({ w }) {
  unlink(w, 3);
}

export function check({ w }) {
  must(w[HEAD] === 4, `node ${w[HEAD]} is still on the list`);
}
