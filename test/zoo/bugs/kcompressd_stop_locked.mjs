// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, its end: a stop ends the loop with pages in the FIFO, which stay locked.
 *
 * Fails when: the stop comes before the daemon has taken the second page.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const QUEUED = 0;
const STOP = 1;
const LOCKED = 2;
const PAGES = 2;

export function setup() {
  return { w: words(LOCKED + PAGES, 0, 0, 1, 1) };
}

export function kswapd({ w }) {
  for (let page = 0; page < PAGES; page++) Atomics.add(w, QUEUED, 1);
  Atomics.store(w, STOP, 1);
}

export function kcompressd({ w }) {
  for (let page = 0; ; page++) {
    let stop = 0;
    for (;;) {
      stop = Atomics.load(w, STOP);
      if (Atomics.load(w, QUEUED) > page || stop === 1) break;
    }
    if (stop === 1 && (!FIXED || page === Atomics.load(w, QUEUED))) return;
    Atomics.store(w, LOCKED + page, 0);
  }
}

export function check({ w }) {
  must(w[LOCKED] + w[LOCKED + 1] === 0, 'a page stayed locked');
}
