// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the loop: the daemon returns after the first page that it stored.
 *
 * Fails when: a second page is queued. It stays locked.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const QUEUED = 0;
const LOCKED = 1;
const PAGES = 2;

export function setup() {
  return { w: words(LOCKED + PAGES, 0, 1, 1) };
}

export function kswapd({ w }) {
  for (let page = 0; page < PAGES; page++) Atomics.add(w, QUEUED, 1);
}

export function kcompressd({ w }) {
  for (let page = 0; page < PAGES; page++) {
    while (Atomics.load(w, QUEUED) === page);
    Atomics.store(w, LOCKED + page, 0);
    if (!FIXED) return;
  }
}

export function check({ w }) {
  must(w[LOCKED] + w[LOCKED + 1] === 0, 'a page stayed locked');
}
