// SPDX-License-Identifier: GPL-2.0-only
/**
 * klruscand, the sequence: each scan moves the sequence of the walk, and the aging finds its round
 * done.
 *
 * Fails when: the scan comes first. max_seq stays.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const MAX_SEQ = 0;
const WALK_SEQ = 1;

export function setup() {
  return { w: words(2, 3, 2) };
}

export function aging({ w }) {
  const seq = Atomics.load(w, MAX_SEQ);
  if (Atomics.compareExchange(w, WALK_SEQ, seq - 1, seq) !== seq - 1) return;
  Atomics.store(w, MAX_SEQ, seq + 1);
}

export function klruscand({ w }) {
  if (!FIXED) Atomics.add(w, WALK_SEQ, 1);
  Atomics.load(w, MAX_SEQ);
}

export function check({ w }) {
  must(w[MAX_SEQ] === 4, 'the aging never came');
}
