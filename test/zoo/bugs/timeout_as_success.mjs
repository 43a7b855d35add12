// SPDX-License-Identifier: GPL-2.0-only
/**
 * A wait with a time-out whose result nobody looks at.
 *
 * Fails when: the setter finds the disk busy and sleeps longer than the waiter's patience.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const READY = 0;
const VALUE = 1;
const BUSY = 2;

export function setup() {
  return { w: words(3) };
}

export function waiter({ w }) {
  if (FIXED) while (Atomics.load(w, READY) === 0) Atomics.wait(w, READY, 0, 10);
  else Atomics.wait(w, READY, 0, 10);
  must(Atomics.load(w, VALUE) === 42, 'went on without the value');
}

export function disk({ w }) {
  Atomics.store(w, BUSY, 1);
  Atomics.store(w, BUSY, 0);
}

export function setter({ w }) {
  if (Atomics.load(w, BUSY) === 1) Atomics.wait(w, READY, 0, 20);
  Atomics.store(w, VALUE, 42);
  Atomics.store(w, READY, 1);
  Atomics.notify(w, READY);
}
