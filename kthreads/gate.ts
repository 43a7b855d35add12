// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where CPUs wait for each other: at the end of their programs, and at barriers, so that the phases
 * of a workload that several processes share begin together.
 *
 * A barrier is of all CPUs whose programs still run; one whose program has returned is not waited
 * for, whatever it waits for itself.
 * One word holds both how many have come and which barrier it is, so that nobody is counted for a
 * barrier that is over.
 */
import { assert } from '../shared/assert.ts';
import { condResched, waitEventBlocked } from '../shared/sched.ts';
import { WAKE_ALL, wakeUp } from '../shared/wait_queue.ts';
import { CPUS_MAX } from '../src/mm/limits.ts';
import { GATE_BARRIER, GATE_PROGRAMS, type Mm } from '../src/mm/mm.ts';

/** How often a CPU that waits at the gate shows that it lives, in ms. */
const GATE_HEARTBEAT_MS = 100;
/** Bits for those who have come. */
const COUNT_BITS = 6;
const COUNT_MASK = (1 << COUNT_BITS) - 1;

assert(CPUS_MAX <= COUNT_MASK, 'a barrier counts all CPUs');

/**
 * Waits, showing that this CPU lives, until others have made `condition` true and woken the gate.
 * @context a simulated CPU; blocks
 */
export function waitAtGate(m: Mm, condition: () => boolean): void {
  while (!condition()) {
    condResched();
    waitEventBlocked(m.gateWait, 0, condition, GATE_HEARTBEAT_MS);
  }
}

/** Says that this CPU's program has returned: those at a barrier may have waited for it alone. */
export function leaveBarriers(m: Mm): void {
  Atomics.sub(m.gate, GATE_PROGRAMS, 1);
  wakeUp(m.gateWait, 0, WAKE_ALL);
}

/** Ends a barrier if everybody has come. @returns true when this call did */
function tryComplete(m: Mm, word: number): boolean {
  if ((word & COUNT_MASK) < Atomics.load(m.gate, GATE_PROGRAMS)) return false;
  const next = ((word >>> COUNT_BITS) + 1) << COUNT_BITS;
  if (Atomics.compareExchange(m.gate, GATE_BARRIER, word, next) !== word) return false;
  wakeUp(m.gateWait, 0, WAKE_ALL);
  return true;
}

/** Counts this CPU out again. @returns false when the barrier is over, so that nobody misses it */
function tryLeave(m: Mm, barrier: number): boolean {
  for (;;) {
    const word = Atomics.load(m.gate, GATE_BARRIER);
    if (word >>> COUNT_BITS !== barrier) return false;
    if (Atomics.compareExchange(m.gate, GATE_BARRIER, word, word - 1) === word) return true;
  }
}

/**
 * Waits until every CPU whose program runs has come here as often as this one.
 * @param gaveUp looked at while waiting: true to leave without the others
 * @returns false when it gave up
 * @context a simulated CPU; blocks
 */
export function waitAtBarrier(m: Mm, gaveUp: () => boolean): boolean {
  const barrier = (Atomics.add(m.gate, GATE_BARRIER, 1) + 1) >>> COUNT_BITS;
  const over = (): boolean => {
    const word = Atomics.load(m.gate, GATE_BARRIER);
    return word >>> COUNT_BITS !== barrier || tryComplete(m, word);
  };
  waitAtGate(m, () => over() || gaveUp());
  return over() || !tryLeave(m, barrier);
}
