// SPDX-License-Identifier: GPL-2.0-only
/**
 * A counter that is incremented by a load and a store.
 *
 * Fails when: both load before either stores.
 */
import { bump, isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

export const threads = [adder, adder];

export function setup() {
  return { w: words(1) };
}

function adder({ w }) {
  if (FIXED) Atomics.add(w, 0, 1);
  else bump(w, 0);
}

export function check({ w }) {
  must(w[0] === 2, `two increments made ${w[0]}`);
}
