// SPDX-License-Identifier: MIT
/**
 * Passing the baton: each thread has a gate, a word that it sleeps on.
 *
 *   giver                          | taker
 *   store gate[taker] = RUN        | spin while gate = CLOSED
 *   load parked[taker]             | store parked = 1
 *   if 1: notify gate[taker]       | load gate: still CLOSED
 *                                  | wait(gate, CLOSED)
 *
 * Both words are Atomics, so either the giver sees `parked`, or the taker sees its gate open: no
 * wake-up is lost. Spinning first makes a handoff between two cores several times as fast as the
 * kernel's; the bound keeps more threads than cores from burning what the runner needs.
 */
import { GATE_CLOSED, HEADER_WORDS, R_GATE, R_PARKED, ROW_WORDS } from './control.ts';
import { memory } from './native.ts';

const { load, notify, store, wait } = memory;
const pause = memory.pause ?? ((): void => {});

/**
 * Opens a thread's gate.
 * @param value GATE_*
 * @context the caller holds the baton and stops touching the control block here
 */
export function openGate(words: Int32Array, thread: number, value: number): void {
  const gate = HEADER_WORDS + thread * ROW_WORDS + R_GATE;
  store(words, gate, value); // PAIRS(baton-gate)
  if (load(words, gate - R_GATE + R_PARKED) !== 0) notify(words, gate, 1);
}

/**
 * Waits until this thread's gate opens, and closes it.
 * @param spins loads before it parks
 * @returns GATE_*
 * @context blocks; woken by whoever passes the baton
 */
export function passGate(words: Int32Array, thread: number, spins: number): number {
  const gate = HEADER_WORDS + thread * ROW_WORDS + R_GATE;
  let seen = load(words, gate);
  for (let i = 0; seen === GATE_CLOSED && i < spins; i++) {
    pause();
    seen = load(words, gate);
  }
  if (seen === GATE_CLOSED) seen = park(words, gate);
  store(words, gate, GATE_CLOSED);
  return seen;
}

function park(words: Int32Array, gate: number): number {
  const parked = gate - R_GATE + R_PARKED;
  store(words, parked, 1);
  let seen = load(words, gate); // PAIRS(baton-gate)
  while (seen === GATE_CLOSED) {
    wait(words, gate, GATE_CLOSED);
    seen = load(words, gate);
  }
  store(words, parked, 0);
  return seen;
}
