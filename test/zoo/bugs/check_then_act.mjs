// SPDX-License-Identifier: GPL-2.0-only
/**
 * A seat that is looked at, then taken.
 *
 * Fails when: both look before either takes.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

export const threads = [booker, booker];

export function setup() {
  return { w: words(1) };
}

function booker({ w }, { id }) {
  if (FIXED) return Atomics.compareExchange(w, 0, 0, id + 1) === 0;
  if (Atomics.load(w, 0) !== 0) return false;
  Atomics.store(w, 0, id + 1);
  return true;
}

export function check(_, results) {
  must(results.filter(Boolean).length === 1, `got the seat: ${results}`);
}
