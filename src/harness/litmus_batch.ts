// SPDX-License-Identifier: MIT
/**
 * How litmus threads run through a batch: the shared words, the layouts, the order.
 *
 * A batch is a power of two of instances. The lead (thread 0) lays it out, all meet at the barrier,
 * each runs its function on every instance, all meet again, and each counts the outcomes of a share
 * of the instances and zeroes their cells. Accesses of one instance race because the threads go
 * through the batch side by side:
 *
 *   order    all take the same permutation (k * step mod n), from starts a few instances apart, so
 *            that now one is ahead and now the other
 *   pace     every 2 to 64 instances a thread says where it is, and waits a moment for those behind
 *
 *   layout   cell k of instance j at           what it is good for
 *   packed   (j * cells + k) * cellBytes       instances share lines: much traffic
 *   lines    (j * cells + k) * 64              every cell has a line to itself
 *   far      (k * n + j) * 64                  the cells of an instance are far apart
 *   together j * 64 + k * cellBytes            an instance has a line to itself
 */
import type { Prng } from '../../shared/prng.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { LitmusShape } from './litmus_load.ts';
import { type AnyLitmusTest, LITMUS_BATCH_MAX } from './litmus_test.ts';

// Words of the control block.
/** @atomic the barrier's words */
export const L_BARRIER = 0;
/** @atomic 1: no further batch. Set by whoever watches, or by the lead when the time is up. */
export const L_STOP = LINE_WORDS;
/** The lead's plan of the batch: written before the barrier, read after it. */
export const L_PLAN = 2 * LINE_WORDS;
/** @atomic one line per thread: chunks of this batch that it has run. */
export const L_PACE = 3 * LINE_WORDS;

/** Words of the plan. */
export const PLAN_STOP = 0;
export const PLAN_N = 1;
export const PLAN_STRIDE = 2;
export const PLAN_GAP = 3;
export const PLAN_STEP = 4;
/** Instances between two words about one's pace. */
export const PLAN_CHUNK = 5;
/** One start per thread. */
export const PLAN_START = 6;

/** Loads that a thread waits for one that is behind; then it goes on. */
export const PACE_SPIN = 300;
/** Instances by which the starts of threads differ at most. */
const SKEW = 64;

/** @returns words of the control block */
export function litmusControlWords(threads: number): number {
  return L_PACE + threads * LINE_WORDS;
}

/** @returns bytes of the cells of the largest batch, in any layout */
export function litmusCellBytes(test: Pick<LitmusShape, 'cells' | 'batch'>): number {
  const perInstance = Math.max(64, test.cells * 64);
  return litmusBatchMax(test) * perInstance;
}

/** Largest batch of a test: what it asks for, rounded up to a power of two. */
export function litmusBatchMax(test: { readonly batch?: number | undefined }): number {
  const asked = test.batch ?? LITMUS_BATCH_MAX;
  return 2 ** Math.ceil(Math.log2(Math.max(asked, 1)));
}

function layoutOf(test: AnyLitmusTest, kind: number, n: number): [stride: number, gap: number] {
  const { cells = 2, cellBytes = 8 } = test;
  if (kind === 0) return [cells * cellBytes, cellBytes];
  if (kind === 1) return [cells * 64, 64];
  if (kind === 2) return [64, n * 64];
  return cells * cellBytes <= 64 ? [64, cellBytes] : [cells * 64, 64];
}

/** Lays out the next batch. @context the lead, between batches */
export function planBatch(control: I32, test: AnyLitmusTest, prng: Prng): void {
  const max = litmusBatchMax(test);
  const n = test.batch === undefined ? max >> prng.below(4) : max;
  const [stride, gap] = layoutOf(test, prng.below(4), n);
  const plan = control.subarray(L_PLAN, L_PLAN + LINE_WORDS);
  plan[PLAN_STOP] = Atomics.load(control, L_STOP);
  plan[PLAN_N] = n;
  plan[PLAN_STRIDE] = stride;
  plan[PLAN_GAP] = gap;
  plan[PLAN_STEP] = prng.below(3) === 0 ? prng.below(n) | 1 : 1;
  plan[PLAN_CHUNK] = 2 << prng.below(6);
  const skew = Math.min(n, prng.below(4) === 0 ? SKEW : 1 + prng.below(4));
  for (let thread = 0; thread < test.threads.length; thread++) {
    plan[PLAN_START + thread] = prng.below(skew);
    Atomics.store(control, L_PACE + thread * LINE_WORDS, 0);
  }
}

/** Waits a moment until the others of a batch are as far. @returns false when one stays behind */
export function keepPace(control: I32, threads: number, thread: number, chunk: number): boolean {
  Atomics.store(control, L_PACE + thread * LINE_WORDS, chunk);
  for (let other = 0; other < threads; other++) {
    if (other === thread) continue;
    const at = L_PACE + other * LINE_WORDS;
    for (let spins = 0; Atomics.load(control, at) < chunk; spins++) {
      if (spins >= PACE_SPIN) return false;
    }
  }
  return true;
}
