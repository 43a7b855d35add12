// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, the FIFO for one producer, and a second daemon that passes for kswapd; with the rings
 * of kreclaim/sync.
 *
 * Fails when: both read the same head before either moves it.
 */
import { KfifoMpsc, KfifoSpsc } from '../../../dist/shared/kfifo.js';
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const Kfifo = FIXED ? KfifoMpsc : KfifoSpsc;

export function setup() {
  return { w: words(Kfifo.words(4)) };
}

export function kswapd({ w }) {
  new Kfifo(w, 0, 4).push(1);
}

export function kshrinkd({ w }) {
  new Kfifo(w, 0, 4).push(2);
}

export function check({ w }) {
  const fifo = new Kfifo(w, 0, 4);
  const popped = [fifo.pop(), fifo.pop()];
  must(popped.sort().join() === '1,2', `popped ${popped}`);
}
