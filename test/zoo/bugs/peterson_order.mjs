// SPDX-License-Identifier: GPL-2.0-only
/**
 * Peterson's lock, which gives way before it says that it wants in.
 *
 * Fails when: both have given way; the later one finds the other not wanting and enters; the
 * earlier one finds the turn its own and enters too.
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
  if (FIXED) Atomics.store(w, id, 1);
  Atomics.store(w, TURN, other);
  if (!FIXED) Atomics.store(w, id, 1);
  while (Atomics.load(w, other) === 1 && Atomics.load(w, TURN) === other);
  critical(w, INSIDE);
  Atomics.store(w, id, 0);
}
