// SPDX-License-Identifier: GPL-2.0-only
/**
 * Shrinkers, the map that grows: its bits are copied, and one that is set in the old copy
 * afterwards is lost. The fix sets all bits of the new one: a bit too many costs one look.
 *
 * Fails when: the setter has loaded the map; the growth copies and publishes; the setter sets.
 */
import { isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const MAP = 0;
const OLD = 1;
const NEW = 2;

export function setup() {
  return { w: words(3, OLD) };
}

export function setter({ w }) {
  const map = Atomics.load(w, MAP);
  Atomics.or(w, map, 0b100);
}

export function growth({ w }) {
  Atomics.store(w, NEW, FIXED ? -1 : Atomics.load(w, OLD));
  Atomics.store(w, MAP, NEW);
}

export function check({ w }) {
  must((w[w[MAP]] & 0b100) !== 0, 'a bit was lost');
}
