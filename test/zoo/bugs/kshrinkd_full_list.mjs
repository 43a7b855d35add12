// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd, the contended list: a folio that finds the list full goes nowhere.
 *
 * Fails when: a second contended folio is isolated before kshrinkd has taken the first.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const EVENT = 0;
const STOP = 1;
const PUT = 2;
const TAKEN = 3;
const LISTED = 4;
const ON_LRU = 5;
const FOLIOS = 2;

export function setup() {
  return { w: words(ON_LRU + FOLIOS, 0, 0, 0, 0, 0, 1, 1) };
}

function tell(w, what) {
  Atomics.add(w, what, 1);
  Atomics.add(w, EVENT, 1);
  Atomics.notify(w, EVENT);
}

export function kswapd({ w }) {
  for (let folio = 0; folio < FOLIOS; folio++) {
    Atomics.store(w, ON_LRU + folio, 0);
    if (Atomics.load(w, PUT) - Atomics.load(w, TAKEN) === 0) {
      Atomics.store(w, LISTED, folio);
      tell(w, PUT);
    } else if (FIXED) {
      Atomics.store(w, ON_LRU + folio, 1);
    }
  }
  tell(w, STOP);
}

export function kshrinkd({ w }) {
  for (;;) {
    const event = Atomics.load(w, EVENT);
    const stop = Atomics.load(w, STOP);
    if (Atomics.load(w, PUT) > Atomics.load(w, TAKEN)) {
      Atomics.store(w, ON_LRU + Atomics.load(w, LISTED), 1);
      Atomics.add(w, TAKEN, 1);
    } else if (stop) {
      return;
    } else {
      Atomics.wait(w, EVENT, event);
    }
  }
}

export function check({ w }) {
  must(w[ON_LRU] + w[ON_LRU + 1] === FOLIOS, 'a folio is on no list');
}
