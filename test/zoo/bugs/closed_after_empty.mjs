// SPDX-License-Identifier: GPL-2.0-only
/**
 * A consumer that finds its queue empty, and then that it is closed, and leaves.
 *
 * Fails when: the producer puts the last item and closes between the two looks.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const CLOSED = 0;
const PUT = 1;

export function setup() {
  return { w: words(2) };
}

export function producer({ w }) {
  for (let i = 0; i < 2; i++) Atomics.add(w, PUT, 1);
  Atomics.store(w, CLOSED, 1);
}

export function consumer({ w }) {
  for (let taken = 0; ; ) {
    const closedBefore = Atomics.load(w, CLOSED);
    if (Atomics.load(w, PUT) > taken) {
      taken++;
      continue;
    }
    const closed = FIXED ? closedBefore : Atomics.load(w, CLOSED);
    if (closed === 1) return taken;
  }
}

export function check(_, [taken]) {
  must(taken === 2, `took ${taken} of 2 items`);
}
