// SPDX-License-Identifier: GPL-2.0-only
/**
 * A reference count that is decremented atomically, and looked at afterwards.
 *
 * Fails when: both have decremented before either looks: both free.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const REFS = 0;
const FREED = 1;

export const threads = [put, put];

export function setup() {
  return { w: words(2, 2) };
}

function put({ w }) {
  const before = Atomics.sub(w, REFS, 1);
  const last = FIXED ? before === 1 : Atomics.load(w, REFS) === 0;
  if (last) must(Atomics.add(w, FREED, 1) === 0, 'double free');
}

export function check({ w }) {
  must(w[FREED] === 1, 'never freed');
}
