// SPDX-License-Identifier: GPL-2.0-only
/**
 * A lock-free stack whose nodes are used again, with nothing in its top that tells old from new.
 *
 * Fails when: `one` reads top 1 and its next 2; `two` pops 1 and 2 and pushes 1 back; the exchange
 * of `one` succeeds and makes 2, which `two` holds, the top. The fix counts in the upper bits of
 * the top.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const TOP = 0;
const COUNTED = FIXED ? 256 : 0;

/** next[i] is word i; 1 -> 2 -> 3. */
export function setup() {
  return { w: words(4, 1, 2, 3, 0) };
}

function pop(w) {
  for (;;) {
    const top = Atomics.load(w, TOP);
    const node = top & 255;
    if (node === 0) return 0;
    const next = ((top & ~255) + COUNTED) | Atomics.load(w, node);
    if (Atomics.compareExchange(w, TOP, top, next) === top) return node;
  }
}

function push(w, node) {
  for (;;) {
    const top = Atomics.load(w, TOP);
    Atomics.store(w, node, top & 255);
    const next = ((top & ~255) + COUNTED) | node;
    if (Atomics.compareExchange(w, TOP, top, next) === top) return;
  }
}

export function one({ w }) {
  return [pop(w)];
}

export function two({ w }) {
  const node = pop(w);
  const held = pop(w);
  push(w, node);
  return [held];
}

export function check({ w }, results) {
  const there = results.flat();
  for (let node = w[TOP] & 255; node !== 0 && there.length < 5; node = w[node]) there.push(node);
  must(there.sort().join() === '1,2,3', `nodes held or on the stack: ${there}`);
}
