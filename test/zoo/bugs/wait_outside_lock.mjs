// SPDX-License-Identifier: GPL-2.0-only
/**
 * After WebKit #7048: an engine's wait that compares the word before it locks the list of waiters.
 *
 * Fails when: the word is changed and the list, still empty, is notified between the two.
 */
import { isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const WORD = 0;
const LIST_LOCK = 1;
const LISTED = 2;

export function setup() {
  return { w: words(3) };
}

export function waiter({ w }) {
  if (!FIXED && Atomics.load(w, WORD) !== 0) return;
  lock(w, LIST_LOCK);
  const sleep = !FIXED || Atomics.load(w, WORD) === 0;
  if (sleep) Atomics.store(w, LISTED, 1);
  unlock(w, LIST_LOCK);
  if (sleep) while (Atomics.load(w, LISTED) === 1);
}

export function notifier({ w }) {
  Atomics.store(w, WORD, 1);
  lock(w, LIST_LOCK);
  Atomics.store(w, LISTED, 0);
  unlock(w, LIST_LOCK);
}
