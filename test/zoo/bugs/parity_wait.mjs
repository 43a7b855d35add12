// SPDX-License-Identifier: GPL-2.0-only
/**
 * A waiter that tells grace periods apart by the last bit of their number.
 *
 * Fails when: two periods end between two of its looks; it waits for a third, which never comes.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

export function setup() {
  return { w: words(2) };
}

export function waiter({ w }) {
  Atomics.store(w, 1, 1);
  const before = Atomics.load(w, 0);
  if (FIXED) while (Atomics.load(w, 0) === before && before < 2);
  else while (Atomics.load(w, 0) % 2 === before % 2 && before < 2);
}

export function periods({ w }) {
  while (Atomics.load(w, 1) === 0);
  Atomics.add(w, 0, 1);
  Atomics.add(w, 0, 1);
}
