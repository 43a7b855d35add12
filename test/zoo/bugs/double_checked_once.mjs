// SPDX-License-Identifier: GPL-2.0-only
/**
 * Double-checked initialisation whose second check is missing.
 *
 * Fails when: both find it missing before either holds the lock.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const MADE = 1;

export const threads = [user, user];

export function setup() {
  return { w: words(2) };
}

function user({ w }) {
  if (Atomics.load(w, MADE) !== 0) return;
  lock(w, LOCK);
  if (!FIXED || Atomics.load(w, MADE) === 0) Atomics.add(w, MADE, 1);
  unlock(w, LOCK);
}

export function check({ w }) {
  must(w[MADE] === 1, `made ${w[MADE]} times`);
}
