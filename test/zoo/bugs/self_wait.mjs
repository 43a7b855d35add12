// SPDX-License-Identifier: GPL-2.0-only
/**
 * An allocator that reclaims under its lock, by a function that takes the lock.
 *
 * Fails when: the other thread took the last page before.
 */
import { isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const FREE = 1;

export const threads = [allocator, allocator];

export function setup() {
  return { w: words(2, 0, 1) };
}

function reclaim(w) {
  if (!FIXED) lock(w, LOCK);
  Atomics.add(w, FREE, 1);
  if (!FIXED) unlock(w, LOCK);
}

function allocator({ w }) {
  lock(w, LOCK);
  if (Atomics.load(w, FREE) === 0) reclaim(w);
  Atomics.sub(w, FREE, 1);
  unlock(w, LOCK);
}
