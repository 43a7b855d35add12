// SPDX-License-Identifier: GPL-2.0-only
/**
 * After crossbeam #105: a thread that is pinned and pins again moves its own epoch on, and memory
 * that it holds is freed.
 *
 * Fails when: the reader is pinned in epoch 0 and holds a cell; the collector unlinks the cell and
 * advances once; the reader pins again, in epoch 1; the collector advances again and frees.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const EPOCH = 0;
const LOCAL = 1;
const POINTER = 2;
const FREED = -1;

/** LOCAL is 0, or the epoch in which the reader is pinned, plus 1. */
export function setup() {
  return { w: words(5, 0, 0, 3, 10, 20) };
}

function pin(w) {
  Atomics.store(w, LOCAL, Atomics.load(w, EPOCH) + 1);
}

export function reader({ w }) {
  pin(w);
  const cell = Atomics.load(w, POINTER);
  if (!FIXED) pin(w);
  must(Atomics.load(w, cell) !== FREED, 'read a freed cell');
  Atomics.store(w, LOCAL, 0);
}

export function collector({ w }) {
  const old = Atomics.exchange(w, POINTER, 4);
  for (let epoch = 0; epoch < 2; epoch++) {
    for (;;) {
      const local = Atomics.load(w, LOCAL);
      if (local === 0 || local === epoch + 1) break;
    }
    Atomics.store(w, EPOCH, epoch + 1);
  }
  Atomics.store(w, old, FREED);
}
