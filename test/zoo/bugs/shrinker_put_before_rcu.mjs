// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinkers, the global list: the reference is put before the next reader section has begun, so
 * that the next pointer may be read from a freed shrinker.
 *
 * Fails when: the walk puts the last reference; the shrinker is unlinked and freed; the walk reads
 * its next.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const REFS = 0;
const READING = 1;
const NEXT = 2;
const FREED = -1;

export function setup() {
  return { w: words(3, 2, 0, 7) };
}

export function walk({ w }) {
  if (FIXED) Atomics.store(w, READING, 1);
  Atomics.sub(w, REFS, 1);
  if (!FIXED) Atomics.store(w, READING, 1);
  must(Atomics.load(w, NEXT) !== FREED, 'read the next of a freed shrinker');
  Atomics.store(w, READING, 0);
}

export function free({ w }) {
  Atomics.sub(w, REFS, 1);
  while (Atomics.load(w, REFS) !== 0);
  while (Atomics.load(w, READING) !== 0);
  Atomics.store(w, NEXT, FREED);
}
