// SPDX-License-Identifier: GPL-2.0-only
/**
 * A register kept twice, for readers near and far: each store is atomic, the register is not.
 *
 * Fails when: the near reader sees the new value and, later, the far one the old. No assertion on
 * the memory can tell: the recorded history has no sequential order.
 */
import { registerModel } from '../../../dist/src/harness/linear_models.js';
import { assertLinearizable } from '../../../dist/src/harness/linearizability.js';
import { isFixed, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);
const NEAR = 0;
const FAR = 1;

export function setup() {
  return { w: words(2) };
}

export function writer({ w }, ctx) {
  ctx.record('write', 1, () => {
    Atomics.store(w, NEAR, 1);
    Atomics.store(w, FAR, 1);
  });
}

export function near({ w }, ctx) {
  ctx.record('read', undefined, () => Atomics.load(w, FIXED ? FAR : NEAR));
}

export function far({ w }, ctx) {
  ctx.record('read', undefined, () => Atomics.load(w, FAR));
}

export function check(_state, _results, history) {
  assertLinearizable(history, registerModel());
}
