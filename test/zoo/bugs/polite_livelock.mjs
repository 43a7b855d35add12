// SPDX-License-Identifier: GPL-2.0-only
/**
 * Two threads that give way to each other for as long as the other wants in.
 *
 * Fails when: both want in before either has looked. Both keep running and neither gets on.
 */
import { critical, isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const TURN = 2;
const INSIDE = 3;

export const threads = [worker, worker];

export function setup() {
  return { w: words(4) };
}

function worker({ w }, { id }) {
  const other = 1 - id;
  Atomics.store(w, id, 1);
  Atomics.store(w, TURN, other);
  while (Atomics.load(w, other) === 1 && (!FIXED || Atomics.load(w, TURN) === other)) {
    if (!FIXED) Atomics.store(w, TURN, other);
  }
  critical(w, INSIDE);
  Atomics.store(w, id, 0);
}
