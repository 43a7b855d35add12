// SPDX-License-Identifier: MIT
/**
 * Random delays around Atomics operations. Threads at full speed meet in the same few instructions
 * again and again; a delay of the right length at the right place makes them meet elsewhere.
 *
 * `patchDelays` replaces the functions of the global `Atomics`. While delays are armed, each
 * operation counts down; at zero the thread spins or sleeps, before the operation or after it, and
 * draws the next count. How often, and how long, is drawn anew for every round, so that some rounds
 * are nearly undisturbed and in some every other operation is. Seeded: a round of the same number
 * draws the same delays, though real threads will not meet the same way twice.
 *
 * It also notes the operation that a thread is at, for reports of hangs.
 */
import { Prng } from '../../shared/prng.ts';
import type { I32 } from '../../shared/types.ts';
import { memory } from './native.ts';
import { OP_NAMES, ROW_INDEX, ROW_OP, ROW_OPS } from './torture_control.ts';

/** Operations between two delays, at most: one of these, by the round. */
const INTERVALS = [2, 8, 32, 256, 4096];

const sleeper = new Int32Array(new SharedArrayBuffer(4)) as I32;
let words: I32 | null = null;
let row = 0;
let armed = false;
let countdown = 0;
let interval = 1;
let prng = new Prng(0);

/** Where this thread notes what it does. @context once, before delays are armed */
export function noteDelaysAt(control: I32, threadRow: number): void {
  words = control;
  row = threadRow;
}

/** Starts delays with draws that belong to the round. */
export function armDelays(seed: number, thread: number, round: number): void {
  prng = new Prng(seed ^ Math.imul(round, 0x9e3779b1), thread);
  interval = INTERVALS[prng.below(INTERVALS.length)] as number;
  countdown = 1 + prng.below(interval);
  armed = true;
}

/** Ends delays: the harness's own operations are not delayed. */
export function disarmDelays(): void {
  armed = false;
}

/** Spins for a moment, or sleeps: mostly short, seldom long. */
function delay(): void {
  countdown = 1 + prng.below(interval);
  const kind = prng.below(32);
  if (kind === 0) {
    memory.wait(sleeper, 0, 0, prng.below(200) / 1000);
    return;
  }
  const spins = kind < 6 ? prng.below(2000) : prng.below(64);
  for (let i = 0; i < spins; i++) memory.load(sleeper, 0);
}

/** What a patched function does before the operation. @returns whether to delay after it */
function before(op: number, index: number): boolean {
  const control = words as I32;
  control[row + ROW_OP] = op;
  control[row + ROW_INDEX] = index;
  control[row + ROW_OPS] = ((control[row + ROW_OPS] as number) + 1) | 0;
  if (--countdown > 0) return false;
  if (prng.below(2) === 0) return true;
  delay();
  return false;
}

type Native = (view: Int32Array, index: number, a?: number, b?: number) => number;

/** Replaces the operations of the global `Atomics`. @context before any other module loads */
export function patchDelays(): void {
  const target = Atomics as unknown as Record<string, unknown>;
  for (const [at, name] of OP_NAMES.entries()) {
    const native = memory[name] as unknown as Native;
    const op = at + 1;
    // A count or a time-out that is undefined is one that is absent.
    const patched: Native = (view, index, a, b) => {
      if (!armed) return native(view, index, a, b);
      const after = before(op, index);
      const result = native(view, index, a, b);
      if (after) delay();
      return result;
    };
    Object.defineProperty(patched, 'name', { value: name });
    target[name] = patched;
  }
}
