// SPDX-License-Identifier: GPL-2.0-only
/**
 * A user that looks whether a pool is open before it counts itself in.
 *
 * Fails when: it has looked; the closer closes, finds no user and takes the pool down.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const CLOSED = 0;
const USERS = 1;
const GONE = 2;

export function setup() {
  return { w: words(3) };
}

export function user({ w }) {
  if (!FIXED && Atomics.load(w, CLOSED) === 1) return;
  Atomics.add(w, USERS, 1);
  if (!FIXED || Atomics.load(w, CLOSED) === 0) {
    must(Atomics.load(w, GONE) === 0, 'used a pool that was taken down');
  }
  Atomics.sub(w, USERS, 1);
}

export function closer({ w }) {
  Atomics.store(w, CLOSED, 1);
  while (Atomics.load(w, USERS) !== 0);
  Atomics.store(w, GONE, 1);
}
