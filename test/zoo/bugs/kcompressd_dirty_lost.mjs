// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the failed store: the dirty bit was cleared at the queueing, and a page that could
 * not be stored is unlocked clean.
 *
 * Fails when: another takes the last room of the pool; reclaim then drops the clean page.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const ROOM = 0;
const LOCKED = 1;
const DIRTY = 2;
const STORED = 3;

export function setup() {
  return { w: words(4, 1, 1, 0, 0) };
}

export function other({ w }) {
  Atomics.exchange(w, ROOM, 0);
}

export function kcompressd({ w }) {
  if (Atomics.exchange(w, ROOM, 0) === 1) Atomics.store(w, STORED, 1);
  else if (FIXED) Atomics.store(w, DIRTY, 1);
  unlock(w, LOCKED);
}

export function reclaim({ w }) {
  lock(w, LOCKED);
  const drop = Atomics.load(w, DIRTY) === 0;
  must(!drop || Atomics.load(w, STORED) === 1, 'the only copy of a page was dropped');
  unlock(w, LOCKED);
}
