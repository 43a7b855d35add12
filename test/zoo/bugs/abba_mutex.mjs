// SPDX-License-Identifier: GPL-2.0-only
/**
 * Transfers between two accounts that lock the one they take from first; with kreclaim/sync's
 * mutex.
 *
 * Fails when: two opposite transfers each hold their first account.
 */
import { mutexLock, mutexUnlock } from '../../../dist/shared/atomics_mutex.js';
import { bump, isFixed, must, words } from '../common.mjs';

const FIXED = isFixed(import.meta.url);

/** Locks at 0 and 1, balances at 2 and 3. */
export function setup() {
  return { w: words(4, 0, 0, 10, 10) };
}

function transfer(w, source, target) {
  const first = FIXED ? Math.min(source, target) : source;
  mutexLock(w, first, 0);
  mutexLock(w, 1 - first, 0);
  Atomics.store(w, 2 + source, Atomics.load(w, 2 + source) - 1);
  bump(w, 2 + target);
  mutexUnlock(w, 1 - first, 0);
  mutexUnlock(w, first, 0);
}

export function back({ w }) {
  transfer(w, 1, 0);
}

export function forth({ w }) {
  transfer(w, 0, 1);
}

export function check({ w }) {
  must(w[2] === 10 && w[3] === 10, `balances ${w[2]} and ${w[3]}`);
}
