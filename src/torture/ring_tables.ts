// SPDX-License-Identifier: GPL-2.0-only
/** The arena of the ring torture, and what is common to producers and consumers. */
import type { ArenaBuilder } from '../../shared/arena.ts';
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import type { TortureContext } from './job.ts';

/** Largest ring, in elements. */
export const CAPACITY_MAX = 64;
/** Words from one ring to the next. */
export const RING_WORDS = 4 * LINE_WORDS + 4 * CAPACITY_MAX;
/** Rings of a job: one for each pair of threads. */
const RINGS_MAX = 32;

/** Words of `words`, one line per thread id from here on. */
export const DONE = LINE_WORDS;
/** log2 of the capacity, and the first index: set before the threads start. */
export const CAPACITY = 0;
export const START = 1;
const NR_WORDS = (3 + 128) * LINE_WORDS;

export interface RingTables {
  readonly rings: I32; // @atomic words of the rings
  readonly words: I32; // @atomic
}

/** Declares the tables. Pure. */
export function declareRingTables(builder: ArenaBuilder): RingTables {
  // @atomic
  const { rings } = builder.columns('torture.rings', { rings: 'i32' }, RING_WORDS * RINGS_MAX);
  // @atomic
  const { words } = builder.columns('torture.words', { words: 'i32' }, NR_WORDS);
  return { rings, words };
}

/** A producer says that it is through. */
export function sayDone(t: RingTables, id: number): void {
  Atomics.store(t.words, DONE + id * LINE_WORDS, 1);
}

/** @returns whether thread `id` is through */
export function isDone(t: RingTables, id: number): boolean {
  return Atomics.load(t.words, DONE + id * LINE_WORDS) !== 0;
}

/** Either side waits at most so long at a time, so that it sees that the job ends. */
export const WAIT_MS = 20;

/** A random wait between two operations: rings that are full or empty, now and then. */
export function dawdle(ctx: TortureContext): void {
  if (ctx.rarely(2048)) ctx.nap(ctx.prng.below(3));
  else if (ctx.rarely(16)) ctx.spin(ctx.prng.below(100));
}
