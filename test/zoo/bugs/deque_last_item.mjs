// SPDX-License-Identifier: GPL-2.0-only
/**
 * A work-stealing deque whose owner takes the last item without racing the thief for it.
 *
 * Fails when: the thief has seen one item; the owner takes it; the thief takes it too.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const TOP = 0;
const BOTTOM = 1;
const TAKEN = 2;

export function setup() {
  return { w: words(3, 0, 1) };
}

export function owner({ w }) {
  const bottom = Atomics.sub(w, BOTTOM, 1) - 1;
  const top = Atomics.load(w, TOP);
  if (bottom > top) {
    Atomics.add(w, TAKEN, 1);
    return;
  }
  if (bottom === top) {
    const won = !FIXED || Atomics.compareExchange(w, TOP, top, top + 1) === top;
    if (won) Atomics.add(w, TAKEN, 1);
  }
  Atomics.store(w, BOTTOM, bottom + 1);
}

export function thief({ w }) {
  const top = Atomics.load(w, TOP);
  if (top >= Atomics.load(w, BOTTOM)) return;
  if (Atomics.compareExchange(w, TOP, top, top + 1) === top) Atomics.add(w, TAKEN, 1);
}

export function check({ w }) {
  must(w[TAKEN] === 1, `one item was taken ${w[TAKEN]} times`);
}
