// SPDX-License-Identifier: GPL-2.0-only
/**
 * A wait with a time-out whose result nobody looks at.
 *
 * Fails when: the time is up before the value is there.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const READY = 0;
const VALUE = 1;

export function setup() {
  return { w: words(2) };
}

export function waiter({ w }) {
  if (FIXED) while (Atomics.load(w, READY) === 0) Atomics.wait(w, READY, 0, 10);
  else Atomics.wait(w, READY, 0, 10);
  must(Atomics.load(w, VALUE) === 42, 'went on without the value');
}

export function setter({ w }) {
  Atomics.store(w, VALUE, 42);
  Atomics.store(w, READY, 1);
  Atomics.notify(w, READY);
}
