// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the wake-up: kswapd queues and wakes nobody.
 *
 * Fails when: the daemon sleeps before the page is queued. A fault waits for its lock for ever.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const QUEUED = 0;
const LOCKED = 1;

export function setup() {
  return { w: words(2, 0, 1) };
}

export function kswapd({ w }) {
  Atomics.store(w, QUEUED, 1);
  if (FIXED) Atomics.notify(w, QUEUED);
}

export function kcompressd({ w }) {
  while (Atomics.load(w, QUEUED) === 0) Atomics.wait(w, QUEUED, 0);
  Atomics.store(w, LOCKED, 0);
  Atomics.notify(w, LOCKED);
}

export function fault({ w }) {
  while (Atomics.load(w, LOCKED) === 1) Atomics.wait(w, LOCKED, 1);
}
