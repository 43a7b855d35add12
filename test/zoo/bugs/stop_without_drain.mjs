// SPDX-License-Identifier: GPL-2.0-only
/**
 * A daemon that leaves when it is told to stop, whatever is still queued.
 *
 * Fails when: something is queued and the stop comes before the daemon has looked.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const EVENT = 0;
const STOP = 1;
const QUEUED = 2;
const HANDLED = 3;

export function setup() {
  return { w: words(4) };
}

export function daemon({ w }) {
  for (let handled = 0; ; ) {
    const event = Atomics.load(w, EVENT);
    const stop = Atomics.load(w, STOP) === 1;
    if (stop && !FIXED) return;
    if (Atomics.load(w, QUEUED) > handled) {
      handled++;
      Atomics.store(w, HANDLED, handled);
    } else if (stop) {
      return;
    } else {
      Atomics.wait(w, EVENT, event);
    }
  }
}

function tell(w, what) {
  Atomics.add(w, what, 1);
  Atomics.add(w, EVENT, 1);
  Atomics.notify(w, EVENT);
}

export function producer({ w }) {
  tell(w, QUEUED);
  tell(w, QUEUED);
  tell(w, STOP);
}

export function check({ w }) {
  must(w[HANDLED] === 2, `handled ${w[HANDLED]} of 2`);
}
