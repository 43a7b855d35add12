// SPDX-License-Identifier: GPL-2.0-only
/**
 * Multi-gen LRU, those who wait for the last walker, who gives up when it cannot have the mmap
 * lock.
 *
 * Fails when: the writer holds the mmap lock as the walker comes; the waiter sleeps for ever.
 */
import { isFixed, lock, tryLock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const MMAP = 0;
const MAX_SEQ = 1;
const ROUND = 2;

export function setup() {
  return { w: words(3) };
}

export function writer({ w }) {
  lock(w, MMAP);
  unlock(w, MMAP);
}

export function walker({ w }) {
  if (tryLock(w, MMAP)) {
    unlock(w, MMAP);
    Atomics.add(w, MAX_SEQ, 1);
  } else if (!FIXED) {
    return;
  }
  Atomics.add(w, ROUND, 1);
  Atomics.notify(w, ROUND);
}

export function waiter({ w }) {
  while (Atomics.load(w, ROUND) === 0) Atomics.wait(w, ROUND, 0);
}
