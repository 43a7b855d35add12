// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the hand-over: the page is unlocked before it is marked as being written.
 *
 * Fails when: reclaim takes the lock between the two and frees the page under the daemon.
 */
import { isFixed, must, tryLock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCKED = 0;
const WRITEBACK = 1;
const FREED = 2;

export function setup() {
  return { w: words(3, 1) };
}

export function kswapd({ w }) {
  if (FIXED) Atomics.store(w, WRITEBACK, 1);
  unlock(w, LOCKED);
  if (!FIXED) Atomics.store(w, WRITEBACK, 1);
}

export function kcompressd({ w }) {
  while (Atomics.load(w, WRITEBACK) === 0);
  must(Atomics.load(w, FREED) === 0, 'compressed a freed page');
  Atomics.store(w, WRITEBACK, 0);
}

export function reclaim({ w }) {
  if (!tryLock(w, LOCKED)) return;
  if (Atomics.load(w, WRITEBACK) === 0) Atomics.store(w, FREED, 1);
  unlock(w, LOCKED);
}
