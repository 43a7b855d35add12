// SPDX-License-Identifier: GPL-2.0-only
/**
 * A ring of one with many consumers: a slot is claimed by moving the head, and read afterwards.
 *
 * Fails when: the head has moved; the producer takes the slot for free and fills it again.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const HEAD = 0;
const TAIL = 1;
const SLOT = 2;

export const threads = [consumer, consumer, producer];

export function setup() {
  return { w: words(3) };
}

function consumer({ w }) {
  for (;;) {
    const head = Atomics.load(w, HEAD);
    if (Atomics.load(w, TAIL) === head) continue;
    const early = Atomics.load(w, SLOT);
    if (Atomics.compareExchange(w, HEAD, head, head + 1) !== head) continue;
    return FIXED ? early : Atomics.load(w, SLOT);
  }
}

function producer({ w }) {
  for (let value = 1; value <= 2; value++) {
    while (Atomics.load(w, TAIL) !== Atomics.load(w, HEAD));
    Atomics.store(w, SLOT, value);
    Atomics.add(w, TAIL, 1);
  }
  return 0;
}

export function check(_, taken) {
  must(taken.sort().join() === '0,1,2', `took ${taken}`);
}
