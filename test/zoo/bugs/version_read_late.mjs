// SPDX-License-Identifier: GPL-2.0-only
/**
 * Optimistic concurrency that reads the data first and then the version that it will compare.
 *
 * Fails when: the other commits between the two; the comparison holds, and the other's work is
 * lost.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const VERSION = 0;
const DATA = 1;

export const threads = [adder, adder];

export function setup() {
  return { w: words(2) };
}

/** The data moves by 1 with the version's odd value as a lock. */
function adder({ w }) {
  for (;;) {
    const early = FIXED ? Atomics.load(w, VERSION) : 0;
    const data = Atomics.load(w, DATA);
    const version = FIXED ? early : Atomics.load(w, VERSION);
    if (version % 2 === 1) continue;
    if (Atomics.compareExchange(w, VERSION, version, version + 1) !== version) continue;
    Atomics.store(w, DATA, data + 1);
    Atomics.store(w, VERSION, version + 2);
    return;
  }
}

export function check({ w }) {
  must(w[DATA] === 2, 'an update was lost');
}
