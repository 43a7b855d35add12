// SPDX-License-Identifier: GPL-2.0-only
/**
 * A futex mutex whose unlock forgets the waiters.
 *
 * Fails when: B finds the lock held and sleeps; A unlocks. Nobody wakes B.
 */
import { bump, isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const COUNT = 1;

export const threads = [locker, locker];

export function setup() {
  return { w: words(2) };
}

/** 0 free, 1 held, 2 held and somebody may sleep. */
function locker({ w }) {
  if (Atomics.compareExchange(w, LOCK, 0, 1) !== 0) {
    while (Atomics.exchange(w, LOCK, 2) !== 0) Atomics.wait(w, LOCK, 2);
  }
  bump(w, COUNT);
  const old = Atomics.exchange(w, LOCK, 0);
  if (FIXED && old === 2) Atomics.notify(w, LOCK, 1);
}

export function check({ w }) {
  must(w[COUNT] === 2, 'an increment was lost');
}
