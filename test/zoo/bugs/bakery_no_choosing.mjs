// SPDX-License-Identifier: GPL-2.0-only
/**
 * Lamport's bakery without the flag that says "I am drawing my number".
 *
 * Fails when: the first has looked for the highest number and not yet put down its own; the second
 * draws the same number and enters; the first, whose place is before it, enters too.
 */
import { critical, isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const NUMBER = 0;
const CHOOSING = 2;
const INSIDE = 4;

export const threads = [worker, worker];

export function setup() {
  return { w: words(5) };
}

function worker({ w }, { id }) {
  const other = 1 - id;
  Atomics.store(w, CHOOSING + id, 1);
  const mine = Atomics.load(w, NUMBER + other) + 1;
  Atomics.store(w, NUMBER + id, mine);
  Atomics.store(w, CHOOSING + id, 0);
  if (FIXED) while (Atomics.load(w, CHOOSING + other) === 1);
  for (;;) {
    const theirs = Atomics.load(w, NUMBER + other);
    if (theirs === 0 || theirs > mine || (theirs === mine && other > id)) break;
  }
  critical(w, INSIDE);
  Atomics.store(w, NUMBER + id, 0);
}
