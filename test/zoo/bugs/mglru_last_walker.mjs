// SPDX-License-Identifier: GPL-2.0-only
/**
 * Multi-gen LRU, the last walker: who gets the last mm ends the round, while others still walk.
 *
 * Fails when: the walker of the first mm has not yet handed in what it found young.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const NEXT = 0;
const DONE = 1;
const YOUNG = 2;
const SEEN = 3;

export const threads = [walker, walker];

export function setup() {
  return { w: words(4) };
}

function walker({ w }) {
  const mm = Atomics.add(w, NEXT, 1);
  Atomics.add(w, YOUNG, 1);
  const last = FIXED ? Atomics.add(w, DONE, 1) === 1 : mm === 1;
  if (last) Atomics.store(w, SEEN, Atomics.load(w, YOUNG));
}

export function check({ w }) {
  must(w[SEEN] === 2, `the generation was made with ${w[SEEN]} of 2 young pages`);
}
