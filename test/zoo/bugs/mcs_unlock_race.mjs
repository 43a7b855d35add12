// SPDX-License-Identifier: GPL-2.0-only
/**
 * A queue lock whose unlock takes an empty `next` for an empty queue.
 *
 * Fails when: the other has joined the queue and not yet linked itself to its predecessor, who
 * leaves.
 */
import { critical, isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const TAIL = 0;
const INSIDE = 1;
const NEXT = 2;
const BLOCKED = 4;

export const threads = [worker, worker];

export function setup() {
  return { w: words(8) };
}

/** Queue nodes are 1 and 2; 0 is nobody. */
function worker({ w }, { id }) {
  const me = id + 1;
  const before = Atomics.exchange(w, TAIL, me);
  if (before !== 0) {
    Atomics.store(w, BLOCKED + me, 1);
    Atomics.store(w, NEXT + before, me);
    while (Atomics.load(w, BLOCKED + me) === 1);
  }
  critical(w, INSIDE);
  let next = Atomics.load(w, NEXT + me);
  if (next === 0) {
    if (!FIXED) {
      Atomics.store(w, TAIL, 0);
      return;
    }
    if (Atomics.compareExchange(w, TAIL, me, 0) === me) return;
    while (next === 0) next = Atomics.load(w, NEXT + me);
  }
  Atomics.store(w, BLOCKED + next, 0);
}
