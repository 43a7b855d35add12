// SPDX-License-Identifier: MIT
/**
 * A barrier for threads that run at full speed: the last to arrive lets all go on, at one instant.
 *
 *   COUNT   arrivals in this turn; the last sets it to 0 again
 *   PHASE   turns that have ended; those who wait watch it
 *
 * Whoever waits spins first, because what the threads do next is only worth something if they do it
 * together: a parked thread comes some 50 us late. It parks in the end, so more threads than cores
 * work too.
 * Guarantees: (A) nobody leaves turn n before all have entered it; (B) what anybody wrote before it
 * entered is seen by all after. Progress: blocking.
 */
import type { I32 } from '../../shared/types.ts';

/** Words of one barrier; give it a line of its own. */
export const BARRIER_WORDS = 2;

const COUNT = 0; // @atomic
const PHASE = 1; // @atomic

/** Loads before a thread parks where every thread has a core, and where not. */
export const BARRIER_SPIN = 4_000;
export const BARRIER_SPIN_SHORT = 200;

/**
 * Waits until `threads` threads have called it.
 * @param base first of BARRIER_WORDS words, all 0 at the start @param spin loads before it parks
 * @returns true in the last thread to arrive
 * @context sleeps
 */
export function barrierWait(words: I32, base: number, threads: number, spin: number): boolean {
  const phase = Atomics.load(words, base + PHASE);
  if (Atomics.add(words, base + COUNT, 1) === threads - 1) {
    Atomics.store(words, base + COUNT, 0);
    Atomics.store(words, base + PHASE, (phase + 1) | 0);
    Atomics.notify(words, base + PHASE);
    return true;
  }
  for (let spins = 0; spins < spin; spins++) {
    if (Atomics.load(words, base + PHASE) !== phase) return false;
  }
  while (Atomics.load(words, base + PHASE) === phase) Atomics.wait(words, base + PHASE, phase);
  return false;
}

/** @returns turns that have ended: a sign of life for whoever watches from outside @context any */
export function barrierTurns(words: I32, base: number): number {
  return Atomics.load(words, base + PHASE);
}
