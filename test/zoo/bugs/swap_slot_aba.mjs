// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap-in that reads a slot, then makes the entry present if it still names that slot.
 *
 * Fails when: another thread swaps the page in, stores to it, and swaps it out, to the same slot,
 * in between. The store is lost. The fix counts in the entry how often the slot was handed out.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const ENTRY = 0;
const SLOT = 1;
const PAGE = 2;
const PRESENT = -1;
const COUNTED = FIXED ? 1 : 0;

export function setup() {
  return { w: words(3, 1, 10, 0) };
}

export function loader({ w }) {
  const entry = Atomics.load(w, ENTRY);
  if (entry === PRESENT) return;
  const content = Atomics.load(w, SLOT);
  if (Atomics.compareExchange(w, ENTRY, entry, PRESENT) !== entry) return;
  Atomics.store(w, PAGE, content);
  must(content === Atomics.load(w, SLOT), 'a store was lost');
}

export function storer({ w }) {
  const entry = Atomics.load(w, ENTRY);
  if (entry === PRESENT) return;
  if (Atomics.compareExchange(w, ENTRY, entry, PRESENT) !== entry) return;
  Atomics.store(w, PAGE, 11);
  Atomics.store(w, SLOT, Atomics.load(w, PAGE));
  Atomics.store(w, ENTRY, entry + COUNTED);
}
