// SPDX-License-Identifier: GPL-2.0-only
/**
 * An error path that unlocks once more than it locked.
 *
 * Fails when: `other` takes the lock between the two unlocks; the second one opens it for all.
 */
import { critical, isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const INSIDE = 1;

export function setup() {
  return { w: words(2) };
}

function section(w) {
  lock(w, LOCK);
  critical(w, INSIDE);
  unlock(w, LOCK);
}

export function careless({ w }) {
  section(w);
  if (!FIXED) unlock(w, LOCK);
  section(w);
}

export function other({ w }) {
  section(w);
}
