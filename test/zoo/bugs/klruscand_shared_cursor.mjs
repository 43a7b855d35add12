// SPDX-License-Identifier: GPL-2.0-only
/**
 * klruscand, the walk: it takes its mms from the list that the aging walks, and those it takes do
 * not age.
 *
 * Fails when: the scan runs before the aging is through.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const AGING = 0;
const SCAN = 1;
const AGED = 2;
const MMS = 2;

export function setup() {
  return { w: words(AGED + MMS) };
}

export function aging({ w }) {
  for (;;) {
    const mm = Atomics.add(w, AGING, 1);
    if (mm >= MMS) return;
    Atomics.store(w, AGED + mm, 1);
  }
}

export function klruscand({ w }) {
  while (Atomics.add(w, FIXED ? SCAN : AGING, 1) < MMS);
}

export function check({ w }) {
  must(w[AGED] === 1 && w[AGED + 1] === 1, 'an mm was not aged in this round');
}
