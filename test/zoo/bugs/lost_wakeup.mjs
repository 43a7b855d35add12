// SPDX-License-Identifier: GPL-2.0-only
/**
 * A thread that tests one word and sleeps on another, which never changes.
 *
 * Fails when: the setter sets and notifies between the test and the sleep.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const READY = 0;
const GATE = 1;

export function setup() {
  return { w: words(2) };
}

export function waiter({ w }) {
  if (FIXED) while (Atomics.load(w, READY) === 0) Atomics.wait(w, READY, 0);
  else if (Atomics.load(w, READY) === 0) Atomics.wait(w, GATE, 0);
}

export function setter({ w }) {
  Atomics.store(w, READY, 1);
  Atomics.notify(w, FIXED ? READY : GATE);
}
