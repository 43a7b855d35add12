// SPDX-License-Identifier: MIT
/**
 * The one place where a thread may spin. In deterministic mode the scheduler sees every
 * `Atomics.load` here and disables the spinner until the watched word changes.
 */
import { SPIN_LIMIT } from './limits.ts';
import type { I32 } from './types.ts';

const pause: (() => void) | null =
  (Atomics as unknown as { pause?: () => void }).pause === undefined
    ? null
    : () => (Atomics as unknown as { pause: () => void }).pause();

const scratch = new Int32Array(new SharedArrayBuffer(4)) as I32;

/** One step of a spin loop: a hint to the core, and one scheduling point on every Node version. */
export function cpuRelax(): void {
  if (pause !== null) pause();
  else Atomics.load(scratch, 0);
}

/**
 * Spins while `words[index]` equals `value`, for at most `limit` loads.
 * @returns the last value seen; equal to `value` when the limit ended the spin
 * @context any; never parks
 */
export function spinWhileEqual(
  words: I32,
  index: number,
  value: number,
  limit = SPIN_LIMIT,
): number {
  let seen = Atomics.load(words, index);
  for (let i = 0; seen === value && i < limit; i++) {
    cpuRelax();
    seen = Atomics.load(words, index);
  }
  return seen;
}

/**
 * Spins, then parks, until `predicate(words[index])` holds. Whoever changes the word must
 * `Atomics.notify` it.
 * @returns the value that satisfied the predicate
 * @context may block; a caller inside an RCU reader must not use it
 */
export function spinUntil(
  words: I32,
  index: number,
  predicate: (value: number) => boolean,
): number {
  for (let spins = 0; ; spins++) {
    const seen = Atomics.load(words, index);
    if (predicate(seen)) return seen;
    if (spins < SPIN_LIMIT) cpuRelax();
    else Atomics.wait(words, index, seen);
  }
}
