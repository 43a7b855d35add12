// SPDX-License-Identifier: GPL-2.0-only
/**
 * After extism/js-sdk #52: a host hands blocks to a plugin over one flag word, and waits for each
 * to be taken by a single wait, whatever woke it.
 *
 * Fails when: a wake-up meant for something else ends the wait; the second block overwrites the
 * first.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const FLAG = 0;
const BLOCK = 1;

export function setup() {
  return { w: words(2) };
}

export function host({ w }) {
  for (let block = 1; block <= 2; block++) {
    Atomics.store(w, BLOCK, block);
    Atomics.store(w, FLAG, 1);
    Atomics.notify(w, FLAG);
    do Atomics.wait(w, FLAG, 1);
    while (FIXED && Atomics.load(w, FLAG) === 1);
  }
}

export function plugin({ w }) {
  for (let block = 1; block <= 2; block++) {
    while (Atomics.load(w, FLAG) === 0) Atomics.wait(w, FLAG, 0);
    const got = Atomics.load(w, BLOCK);
    must(got === block, `read block ${got} for ${block}`);
    Atomics.store(w, FLAG, 0);
    Atomics.notify(w, FLAG);
  }
}

export function stray({ w }) {
  Atomics.notify(w, FLAG);
}
