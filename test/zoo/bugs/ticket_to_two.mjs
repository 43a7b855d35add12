// SPDX-License-Identifier: GPL-2.0-only
/**
 * A ticket lock whose tickets are drawn by a load and a store.
 *
 * Fails when: two threads draw the same ticket.
 */
import { critical, isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const NEXT = 0;
const SERVING = 1;
const INSIDE = 2;

export const threads = [worker, worker];

export function setup() {
  return { w: words(3) };
}

function worker({ w }) {
  const ticket = FIXED ? Atomics.add(w, NEXT, 1) : Atomics.load(w, NEXT);
  if (!FIXED) Atomics.store(w, NEXT, ticket + 1);
  while (Atomics.load(w, SERVING) !== ticket);
  critical(w, INSIDE);
  Atomics.store(w, SERVING, ticket + 1);
}
