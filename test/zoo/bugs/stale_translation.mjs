// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reclaim that waits for the CPU to leave its section before it clears the page-table entry, not
 * after.
 *
 * Fails when: the CPU enters between the two, loads the entry, and touches the freed frame.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const PTE = 0;
const SECTION = 1;
const FRAME = 2;
const FREED = -1;

export function setup() {
  return { w: words(3, FRAME, 0, 10) };
}

export function cpu({ w }) {
  Atomics.store(w, SECTION, 1);
  const frame = Atomics.load(w, PTE);
  if (frame !== 0) must(Atomics.load(w, frame) !== FREED, 'touched a freed frame');
  Atomics.store(w, SECTION, 0);
}

export function reclaim({ w }) {
  if (!FIXED) while (Atomics.load(w, SECTION) === 1);
  const frame = Atomics.exchange(w, PTE, 0);
  if (FIXED) while (Atomics.load(w, SECTION) === 1);
  Atomics.store(w, frame, FREED);
}
