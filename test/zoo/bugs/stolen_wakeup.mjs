// SPDX-License-Identifier: GPL-2.0-only
/**
 * A one-slot mailbox where putters and takers sleep on one word and a change wakes one of them.
 *
 * Fails when: both takers sleep; the putter fills the slot and sleeps too, for it is full; the
 * taker that was woken empties the slot and wakes the other taker, who goes to sleep again, not the
 * putter.
 */
import { isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const EVENT = 1;
const FULL = 2;

export const threads = [taker, taker, putter];

export function setup() {
  return { w: words(3) };
}

function change(w, from) {
  lock(w, LOCK);
  while (Atomics.load(w, FULL) !== from) {
    const seen = Atomics.load(w, EVENT);
    unlock(w, LOCK);
    Atomics.wait(w, EVENT, seen);
    lock(w, LOCK);
  }
  Atomics.store(w, FULL, 1 - from);
  Atomics.add(w, EVENT, 1);
  unlock(w, LOCK);
  Atomics.notify(w, EVENT, FIXED ? Infinity : 1);
}

function taker({ w }) {
  change(w, 1);
}

function putter({ w }) {
  change(w, 0);
  change(w, 0);
}
