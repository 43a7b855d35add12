// SPDX-License-Identifier: GPL-2.0-only
/**
 * A path that does without the lock what it could not do with it.
 *
 * Fails when: the trylock of one fails between the load and the store of the other. The fix leaves
 * the work for the holder.
 */
import { bump, isFixed, must, tryLock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const COUNT = 1;
const LEFT = 2;

export const threads = [worker, worker];

export function setup() {
  return { w: words(3) };
}

function worker({ w }) {
  const held = tryLock(w, LOCK);
  if (!held && FIXED) {
    Atomics.add(w, LEFT, 1);
    return;
  }
  bump(w, COUNT);
  if (held) unlock(w, LOCK);
}

export function check({ w }) {
  must(w[COUNT] + w[LEFT] === 2, 'an increment was lost');
}
