// SPDX-License-Identifier: GPL-2.0-only
/**
 * A lock-free list where a node is unlinked without being marked first.
 *
 * Fails when: the deleter has read the next of 2; the inserter links 3 behind 2; the deleter takes
 * 2 out, and 3 with it.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const HEAD = 0;
const MARK = 256;

export function setup() {
  // HEAD -> 2 -> 4; the next of a node is the word of its number.
  return { w: words(5, 2, 0, 4, 0, 0) };
}

export function inserter({ w }) {
  for (;;) {
    const before = Atomics.load(w, HEAD) === 2 ? 2 : HEAD;
    const next = Atomics.load(w, before);
    if ((next & MARK) !== 0) continue;
    Atomics.store(w, 3, next);
    if (Atomics.compareExchange(w, before, next, 3) === next) return;
  }
}

export function deleter({ w }) {
  for (;;) {
    const next = Atomics.load(w, 2);
    if (FIXED && Atomics.compareExchange(w, 2, next, next | MARK) !== next) continue;
    Atomics.compareExchange(w, HEAD, 2, next);
    return;
  }
}

export function check({ w }) {
  const listed = [];
  for (let node = w[HEAD]; node !== 0 && listed.length < 5; node = w[node] & ~MARK) {
    listed.push(node);
  }
  must(listed.join() === '3,4', `on the list: ${listed}`);
}
