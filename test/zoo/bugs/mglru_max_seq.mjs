// SPDX-License-Identifier: GPL-2.0-only
/**
 * Multi-gen LRU, the new generation: max_seq is not compared again under the lock.
 *
 * Fails when: two walkers of one generation both come to its end. Each makes a new one.
 */
import { isFixed, lock, must, unlock, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const LOCK = 0;
const MAX_SEQ = 1;

export const threads = [walker, walker];

export function setup() {
  return { w: words(2, 0, 3) };
}

function walker({ w }) {
  const seq = Atomics.load(w, MAX_SEQ);
  lock(w, LOCK);
  const now = Atomics.load(w, MAX_SEQ);
  if (!FIXED || now === seq) Atomics.store(w, MAX_SEQ, now + 1);
  unlock(w, LOCK);
  return seq;
}

export function check({ w }, seqs) {
  const rounds = new Set(seqs).size;
  must(w[MAX_SEQ] === 3 + rounds, `${rounds} rounds, max_seq ${w[MAX_SEQ]}`);
}
