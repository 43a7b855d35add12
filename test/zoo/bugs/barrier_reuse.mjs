// SPDX-License-Identifier: GPL-2.0-only
/**
 * A barrier that its last thread resets, used twice.
 *
 * Fails when: the last thread resets the count and is back at the barrier before the other has seen
 * the reset.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const COUNT = 0;
const ROUND = 1;

export const threads = [member, member];

export function setup() {
  return { w: words(2) };
}

function barrier(w) {
  const round = Atomics.load(w, ROUND);
  if (Atomics.add(w, COUNT, 1) === 1) {
    Atomics.store(w, COUNT, 0);
    if (FIXED) Atomics.add(w, ROUND, 1);
  } else if (FIXED) {
    while (Atomics.load(w, ROUND) === round);
  } else {
    while (Atomics.load(w, COUNT) !== 0);
  }
}

function member({ w }) {
  barrier(w);
  barrier(w);
}
