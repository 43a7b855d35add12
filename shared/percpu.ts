// SPDX-License-Identifier: MIT
/**
 * Per-thread counters: cheap to write, summed when read.
 *
 * Two kinds, after the kernel's vmstat:
 *
 *   events  f64 cells that only grow (pgfault, pgscan_kswapd). One row per thread, written by it
 *           alone with plain increments; a reader adds the rows. Exact to 2^53.
 *   state   i32 values that go up and down (nr_free_pages). A thread collects a difference of its
 *           own and folds it into the global word when it passes the threshold. `read` is off by at
 *           most threads x threshold; `readExact` adds the differences.
 *
 * Guarantees: (A) a sum that is read after the writers stopped (joined, or at a barrier) is exact;
 * (B) the sum of a thread's own writes is exact for that thread at any time.
 * Not promised: a consistent snapshot across counters, or that a sum read while others write ever
 * held at one instant. Progress: wait-free.
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import { THREADS_MAX } from './limits.ts';
import type { F64, I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** The differences that a thread keeps to itself, as the kernel's stat_threshold upper bound. */
export const STATE_THRESHOLD = 125;

const F64_LINE = LINE_WORDS / 2;

export interface PercpuEventTable {
  readonly cells: F64; // @owner thread of the row  @racy sums: a late increment shows next time
  readonly nr: number;
  readonly stride: number;
}

export interface PercpuStateTable {
  readonly global: I32; // @atomic
  readonly diff: I32; // @owner thread of the row  @racy readExact: a late one shows next time
  readonly nr: number;
  readonly stride: number;
}

/** @param nr counters per thread, at least 1 */
export function declarePercpuEvents(
  builder: ArenaBuilder,
  name: string,
  nr: number,
): PercpuEventTable {
  assert(nr > 0, 'per-thread counters need at least one');
  const stride = Math.ceil(nr / F64_LINE) * F64_LINE;
  const { cells } = builder.columns(name, { cells: 'f64' }, stride * THREADS_MAX);
  return { cells, nr, stride };
}

/** @param nr counters, at least 1 */
export function declarePercpuState(
  builder: ArenaBuilder,
  name: string,
  nr: number,
): PercpuStateTable {
  assert(nr > 0, 'per-thread counters need at least one');
  const stride = Math.ceil(nr / LINE_WORDS) * LINE_WORDS;
  const { global } = builder.columns(`${name}.global`, { global: 'i32' }, nr);
  const { diff } = builder.columns(`${name}.diff`, { diff: 'i32' }, stride * THREADS_MAX);
  return { global, diff, nr, stride };
}

/** Sums one event counter over all threads. @context any thread; racy while others write */
export function percpuEventSum(table: PercpuEventTable, index: number): number {
  const { cells, stride } = table;
  assert(index >= 0 && index < table.nr, 'event counter out of range');
  let sum = 0;
  for (let at = index; at < cells.length; at += stride) sum += cells[at] as number;
  return sum;
}

/** One thread's part of an event counter. @context any thread; racy while that thread writes */
export function percpuEventOf(table: PercpuEventTable, index: number, thread: number): number {
  assert(index >= 0 && index < table.nr, 'event counter out of range');
  return table.cells[thread * table.stride + index] as number;
}

/** A thread's handle on its row of event counters. */
export class PercpuEvents {
  readonly table: PercpuEventTable;
  readonly #cells: F64;
  readonly #base: number;

  /** @param thread this thread's id: the row belongs to it alone */
  constructor(table: PercpuEventTable, thread: number) {
    assert(thread >= 0 && thread < THREADS_MAX, 'thread id out of range');
    this.table = table;
    this.#cells = table.cells;
    this.#base = thread * table.stride;
  }

  /** @context the owning thread */
  inc(index: number): void {
    const at = this.#base + index;
    this.#cells[at] = (this.#cells[at] as number) + 1;
  }

  /** @param delta 0 or more @context the owning thread */
  add(index: number, delta: number): void {
    const at = this.#base + index;
    this.#cells[at] = (this.#cells[at] as number) + delta;
  }

  /** This thread's own part. */
  own(index: number): number {
    return this.#cells[this.#base + index] as number;
  }
}

/** @returns the folded value, off by at most threads x threshold @context any thread; one load */
export function percpuStateRead(table: PercpuStateTable, index: number): number {
  return Atomics.load(table.global, index);
}

/**
 * @returns the folded value plus every thread's difference
 * @context any; exact when writers rest
 */
export function percpuStateReadExact(table: PercpuStateTable, index: number): number {
  const { diff, stride } = table;
  assert(index >= 0 && index < table.nr, 'state counter out of range');
  let sum = Atomics.load(table.global, index);
  for (let at = index; at < diff.length; at += stride) sum += diff[at] as number;
  return sum;
}

/** A thread's handle on its differences of the state counters. */
export class PercpuState {
  readonly table: PercpuStateTable;
  readonly #global: I32;
  readonly #diff: I32;
  readonly #base: number;
  readonly #threshold: number;

  /**
   * @param thread this thread's id
   * @param threshold fold when a difference passes it; 0 folds always
   */
  constructor(table: PercpuStateTable, thread: number, threshold = STATE_THRESHOLD) {
    assert(thread >= 0 && thread < THREADS_MAX, 'thread id out of range');
    assert(threshold >= 0, 'negative fold threshold');
    this.table = table;
    this.#global = table.global;
    this.#diff = table.diff;
    this.#base = thread * table.stride;
    this.#threshold = threshold;
  }

  /** @param delta any i32 @context the owning thread */
  add(index: number, delta: number): void {
    const at = this.#base + index;
    const sum = (this.#diff[at] as number) + delta;
    if (sum <= this.#threshold && sum >= -this.#threshold) {
      this.#diff[at] = sum;
      return;
    }
    Atomics.add(this.#global, index, sum);
    this.#diff[at] = 0;
  }

  /** Folds every difference of this thread. @context the owning thread, before it parks for long */
  fold(): void {
    for (let index = 0; index < this.table.nr; index++) {
      const at = this.#base + index;
      const diff = this.#diff[at] as number;
      if (diff === 0) continue;
      Atomics.add(this.#global, index, diff);
      this.#diff[at] = 0;
    }
  }
}
