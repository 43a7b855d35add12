// SPDX-License-Identifier: GPL-2.0-only
/**
 * A condition variable that unlocks its mutex before it notes the sequence it will sleep on.
 *
 * Fails when: the setter sets and signals between the two.
 */
import { isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const SEQ = 1;
const READY = 2;

export function setup() {
  return { w: words(3) };
}

export function waiter({ w }) {
  lock(w, LOCK);
  while (Atomics.load(w, READY) === 0) {
    let seq = FIXED ? Atomics.load(w, SEQ) : 0;
    unlock(w, LOCK);
    if (!FIXED) seq = Atomics.load(w, SEQ);
    Atomics.wait(w, SEQ, seq);
    lock(w, LOCK);
  }
  unlock(w, LOCK);
}

export function setter({ w }) {
  lock(w, LOCK);
  Atomics.store(w, READY, 1);
  unlock(w, LOCK);
  Atomics.add(w, SEQ, 1);
  Atomics.notify(w, SEQ);
}
