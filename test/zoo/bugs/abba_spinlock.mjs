// SPDX-License-Identifier: GPL-2.0-only
/**
 * Two spinlocks, taken in two orders.
 *
 * Fails when: `forth` holds the first, `back` the second.
 */
import { bump, isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

export function setup() {
  return { w: words(3) };
}

export function back({ w }) {
  lock(w, FIXED ? 0 : 1);
  lock(w, FIXED ? 1 : 0);
  bump(w, 2);
  unlock(w, 0);
  unlock(w, 1);
}

export function forth({ w }) {
  lock(w, 0);
  lock(w, 1);
  bump(w, 2);
  unlock(w, 1);
  unlock(w, 0);
}
