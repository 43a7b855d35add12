// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the FIFO: what is put in are the folio's bytes, not the folio's address.
 *
 * Fails when: a folio other than the one that its flags happen to spell is queued. A fault waits
 * for its lock for ever.
 */
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const QUEUED = 0;
const FIFO = 1;
const FLAGS = 2;
const LOCKED = 1;

export function setup() {
  return { w: words(FLAGS + 3, 0, 0, 0, 0, LOCKED) };
}

export function kswapd({ w }) {
  const folio = 2;
  Atomics.store(w, FIFO, FIXED ? folio : Atomics.load(w, FLAGS + folio));
  Atomics.store(w, QUEUED, 1);
}

export function kcompressd({ w }) {
  while (Atomics.load(w, QUEUED) === 0);
  const folio = Atomics.load(w, FIFO);
  Atomics.and(w, FLAGS + folio, ~LOCKED);
}

export function fault({ w }) {
  while ((Atomics.load(w, FLAGS + 2) & LOCKED) !== 0);
}
