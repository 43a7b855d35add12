// SPDX-License-Identifier: GPL-2.0-only
/**
 * After dylibso/chicory #1315: notify leaves a permit, and a wait that begins afterwards may take
 * it.
 *
 * Fails when: `early` waits, is notified, and `late` comes to wait and takes the permit before
 * `early` does. The fix counts notifications: a waiter takes only what was given since it came.
 */
import { isFixed, lock, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const EVENT = 1;
const WAITERS = 2;
const PERMITS = 3;
const GIVEN = 4;
const EARLY_DONE = 5;

export function setup() {
  return { w: words(6) };
}

function atomicWait(w) {
  lock(w, LOCK);
  Atomics.add(w, WAITERS, 1);
  const given = Atomics.load(w, GIVEN);
  for (;;) {
    const mine = !FIXED || Atomics.load(w, GIVEN) > given;
    if (mine && Atomics.load(w, PERMITS) > 0) break;
    const event = Atomics.load(w, EVENT);
    unlock(w, LOCK);
    Atomics.wait(w, EVENT, event);
    lock(w, LOCK);
  }
  Atomics.sub(w, PERMITS, 1);
  Atomics.sub(w, WAITERS, 1);
  unlock(w, LOCK);
}

function atomicNotify(w) {
  lock(w, LOCK);
  Atomics.add(w, PERMITS, 1);
  Atomics.add(w, GIVEN, 1);
  Atomics.add(w, EVENT, 1);
  unlock(w, LOCK);
  Atomics.notify(w, EVENT);
}

export function early({ w }) {
  atomicWait(w);
  Atomics.store(w, EARLY_DONE, 1);
}

export function late({ w }) {
  while (Atomics.load(w, GIVEN) === 0);
  atomicWait(w);
}

export function notifier({ w }) {
  while (Atomics.load(w, WAITERS) === 0);
  atomicNotify(w);
  while (Atomics.load(w, EARLY_DONE) === 0);
  while (Atomics.load(w, WAITERS) === 0);
  atomicNotify(w);
}
