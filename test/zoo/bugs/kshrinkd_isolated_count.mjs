// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd, the count of isolated folios: reclaim subtracts all that it took, those it queued too,
 * and more folios leave the LRU than may.
 *
 * Fails when: kswapd isolates its second folio while the first is queued and counted nowhere.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const ISOLATED = 0;
const OFF_LRU = 1;
const PUT = 2;
const TAKEN = 3;
const END = 4;
const LIMIT = 1;

export function setup() {
  return { w: words(5) };
}

export function kswapd({ w }) {
  for (let folio = 0; folio < 2; folio++) {
    if (Atomics.load(w, ISOLATED) >= LIMIT) continue;
    Atomics.add(w, ISOLATED, 1);
    must(Atomics.add(w, OFF_LRU, 1) < LIMIT, 'too many folios are off the LRU');
    Atomics.add(w, PUT, 1);
    if (!FIXED) Atomics.sub(w, ISOLATED, 1);
  }
  Atomics.store(w, END, 1);
}

export function kshrinkd({ w }) {
  for (;;) {
    const end = Atomics.load(w, END);
    if (Atomics.load(w, PUT) > Atomics.load(w, TAKEN)) {
      Atomics.add(w, TAKEN, 1);
      Atomics.sub(w, OFF_LRU, 1);
      if (FIXED) Atomics.sub(w, ISOLATED, 1);
    } else if (end) {
      return;
    }
  }
}

export function check({ w }) {
  must(w[ISOLATED] === 0 && w[OFF_LRU] === 0, 'the counts are not back at zero');
}
