// SPDX-License-Identifier: GPL-2.0-only
/**
 * A monitor whose consumers test their condition once, with `if`, before they sleep.
 *
 * Fails when: both consumers sleep; one item wakes both; the first takes it, the second takes
 * nothing for an item.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const EVENT = 1;
const ITEMS = 2;

export const threads = [consumer, consumer, producer];

export function setup() {
  return { w: words(3) };
}

function sleep(w) {
  const seen = Atomics.load(w, EVENT);
  unlock(w, LOCK);
  Atomics.wait(w, EVENT, seen);
  lock(w, LOCK);
}

function consumer({ w }) {
  lock(w, LOCK);
  if (FIXED) {
    while (Atomics.load(w, ITEMS) === 0) sleep(w);
  } else if (Atomics.load(w, ITEMS) === 0) {
    sleep(w);
  }
  const left = Atomics.sub(w, ITEMS, 1);
  unlock(w, LOCK);
  must(left > 0, 'took an item that was not there');
}

function producer({ w }) {
  for (let i = 0; i < 2; i++) {
    lock(w, LOCK);
    Atomics.add(w, ITEMS, 1);
    Atomics.add(w, EVENT, 1);
    unlock(w, LOCK);
    Atomics.notify(w, EVENT);
  }
}
