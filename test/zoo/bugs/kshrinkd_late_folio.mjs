// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd, its end: kswapd queues folios for a daemon that has gone.
 *
 * Fails when: kshrinkd finds its list empty and leaves before kswapd queues.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const STATE = 1;
const QUEUED = 2;
const ON_LRU = 3;
const GONE = 2;

export function setup() {
  return { w: words(4, 0, 0, 0, 1) };
}

export function kswapd({ w }) {
  Atomics.store(w, ON_LRU, 0);
  lock(w, LOCK);
  const gone = Atomics.load(w, STATE) === GONE;
  if (gone && FIXED) Atomics.store(w, ON_LRU, 1);
  else Atomics.store(w, QUEUED, 1);
  unlock(w, LOCK);
}

export function kshrinkd({ w }) {
  while (Atomics.load(w, STATE) === 0);
  lock(w, LOCK);
  if (Atomics.exchange(w, QUEUED, 0) === 1) Atomics.store(w, ON_LRU, 1);
  Atomics.store(w, STATE, GONE);
  unlock(w, LOCK);
}

export function offline({ w }) {
  Atomics.store(w, STATE, 1);
}

export function check({ w }) {
  must(w[ON_LRU] === 1, 'a folio is isolated for ever');
}
