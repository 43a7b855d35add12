// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd, the sleep: it waits for folios only, and a stop is no folio.
 *
 * Fails when: kshrinkd has looked at the stop and then sleeps on an empty list.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const EVENT = 0;
const STOP = 1;
const QUEUED = 2;

export function setup() {
  return { w: words(3) };
}

function tell(w, what) {
  Atomics.store(w, what, 1);
  Atomics.add(w, EVENT, 1);
  Atomics.notify(w, EVENT);
}

export function kshrinkd({ w }) {
  while (Atomics.load(w, STOP) === 0) {
    for (;;) {
      const event = Atomics.load(w, EVENT);
      if (Atomics.load(w, QUEUED) === 1) break;
      if (FIXED && Atomics.load(w, STOP) === 1) break;
      Atomics.wait(w, EVENT, event);
    }
    Atomics.store(w, QUEUED, 0);
  }
  Atomics.store(w, QUEUED, 0);
}

export function node({ w }) {
  tell(w, QUEUED);
  tell(w, STOP);
}

export function check({ w }) {
  must(w[QUEUED] === 0, 'a folio is still queued');
}
