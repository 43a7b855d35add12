// SPDX-License-Identifier: GPL-2.0-only
/**
 * A timer whose cancel looks whether the callback runs, while the callback is about to.
 *
 * Fails when: the callback has seen that it may run; cancel sees that it does not, and frees its
 * object.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const STATE = 0;
const OBJECT = 1;
const PENDING = 0;
const RUNNING = 1;
const DONE = 2;

export function setup() {
  return { w: words(2, PENDING, 1) };
}

export function callback({ w }) {
  if (FIXED) {
    if (Atomics.compareExchange(w, STATE, PENDING, RUNNING) !== PENDING) return;
  } else {
    if (Atomics.load(w, STATE) !== PENDING) return;
    Atomics.store(w, STATE, RUNNING);
  }
  must(Atomics.load(w, OBJECT) === 1, 'ran on a freed object');
  Atomics.store(w, STATE, DONE);
}

export function cancel({ w }) {
  const state = FIXED ? Atomics.compareExchange(w, STATE, PENDING, DONE) : Atomics.load(w, STATE);
  if (state === RUNNING) while (Atomics.load(w, STATE) !== DONE);
  if (!FIXED) Atomics.store(w, STATE, DONE);
  Atomics.store(w, OBJECT, 0);
}
