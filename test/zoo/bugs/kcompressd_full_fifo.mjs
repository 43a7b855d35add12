// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the full FIFO: nobody looks how much was put in, and a page that did not fit is
 * neither queued nor written.
 *
 * Fails when: the second page comes before the daemon has taken the first.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const PUT = 0;
const TAKEN = 1;
const FIFO = 2;
const END = 3;
const LOCKED = 4;
const PAGES = 2;

export function setup() {
  return { w: words(LOCKED + PAGES, 0, 0, 0, 0, 1, 1) };
}

export function kswapd({ w }) {
  for (let page = 0; page < PAGES; page++) {
    if (Atomics.load(w, PUT) === Atomics.load(w, TAKEN)) {
      Atomics.store(w, FIFO, page);
      Atomics.add(w, PUT, 1);
    } else if (FIXED) {
      Atomics.store(w, LOCKED + page, 0);
    }
  }
  Atomics.store(w, END, 1);
}

export function kcompressd({ w }) {
  for (;;) {
    const end = Atomics.load(w, END);
    if (Atomics.load(w, PUT) > Atomics.load(w, TAKEN)) {
      Atomics.store(w, LOCKED + Atomics.load(w, FIFO), 0);
      Atomics.add(w, TAKEN, 1);
    } else if (end) {
      return;
    }
  }
}

export function check({ w }) {
  must(w[LOCKED] + w[LOCKED + 1] === 0, 'a page is neither queued nor written');
}
