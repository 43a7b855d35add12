// SPDX-License-Identifier: MIT
/**
 * The ECMAScript memory model, for litmus tests: every outcome of every candidate execution that
 * the specification calls valid. An axiomatic model knows no steps: an execution is a set of
 * accesses and a relation that says which store each load reads from, and axioms say whether it may
 * be.
 *
 *   happens-before    program order; from an atomic store to the atomic load that reads from it;
 *                     from the start to everything, from everything to `observe`; and what follows
 *   coherent reads    a load R that reads from W: R is not before W, and no other store to the cell
 *                     lies between W and R in happens-before
 *   memory-order      there is a total order that contains happens-before and in which no atomic
 *                     store V to the cell stands between a store W and a load R that reads from it,
 *                     if  W and R are atomic
 *                     or  W and V are before R in happens-before, and W is atomic
 *                     or  R and V are after W in happens-before, and R is atomic
 *
 * Accesses are 32 bits wide and aligned here, so they do not tear and all ranges are equal. Loads
 * may read from stores that come later in program order of another thread, and values may come out
 * of thin air around a circle of copies: the specification forbids neither.
 */

import { ScUnsupportedError, withAtomics } from './litmus_sc.ts';
import type { AnyLitmusTest, LitmusThread } from './litmus_test.ts';
import { type Access, type Trace, Tracer } from './litmus_trace.ts';

/** Combinations of traces beyond so many are too many. */
const COMBINATIONS_MAX = 2_000_000;

interface Event extends Access {
  readonly thread: number;
}

/** A strict order over few events: row i has bit j where i is before j. */
class Order {
  readonly rows: Int32Array;

  constructor(events: number, from?: Order) {
    this.rows = from === undefined ? new Int32Array(events) : from.rows.slice();
  }

  has(before: number, after: number): boolean {
    return (((this.rows[before] as number) >>> after) & 1) !== 0;
  }

  /** Adds a pair and what follows from it. @returns false when that closes a circle */
  add(before: number, after: number): boolean {
    if (before === after || this.has(after, before)) return false;
    if (this.has(before, after)) return true;
    const { rows } = this;
    const gained = (rows[after] as number) | (1 << after);
    for (let event = 0; event < rows.length; event++) {
      if (event === before || this.has(event, before)) {
        rows[event] = (rows[event] as number) | gained;
      }
    }
    return true;
  }
}

/** V may not stand between W and R. */
interface Barred {
  readonly w: number;
  readonly v: number;
  readonly r: number;
}

/** One set of traces, as events; the stores of 0 at the start come first, one for each cell. */
class Candidate {
  readonly #events: readonly Event[];
  readonly #cells: number;
  readonly #threads: number;
  readonly #reads: readonly number[];
  readonly #base: Order | null;

  constructor(traces: readonly Trace[], cells: number, observed: boolean) {
    const start = Array.from({ length: cells }, (_, cell): Event => {
      return { cell, atomic: false, read: null, write: 0, thread: -1 };
    });
    const rest = traces.flatMap(({ accesses }, thread) =>
      accesses.map((access): Event => ({ ...access, thread })),
    );
    this.#events = [...start, ...rest];
    if (this.#events.length > 31) throw new ScUnsupportedError('more than 31 accesses');
    this.#cells = cells;
    this.#threads = traces.length;
    this.#reads = this.#where(({ read }) => read !== null);
    this.#base = this.#programOrder(observed);
  }

  /** @returns whether some choice of stores for the loads makes a valid execution */
  valid(): boolean {
    return this.#base !== null && this.#choose(0, this.#base, []);
  }

  #where(holds: (event: Event) => boolean): number[] {
    return [...this.#events.keys()].filter((at) => holds(this.#events[at] as Event));
  }

  #programOrder(observed: boolean): Order | null {
    const order = new Order(this.#events.length);
    const last = this.#threads - 1;
    for (const [b, { thread: after }] of this.#events.entries()) {
      for (let a = 0; a < b; a++) {
        const before = (this.#events[a] as Event).thread;
        const ordered = (before < 0 && after >= 0) || before === after;
        const atEnd = observed && after === last && before !== last;
        if (((ordered && after >= 0) || atEnd) && !order.add(a, b)) return null;
      }
    }
    return order;
  }

  /** Picks a store for each load in turn. */
  #choose(at: number, before: Order, from: readonly number[]): boolean {
    const read = this.#reads[at];
    if (read === undefined) return this.#holds(before, from);
    const load = this.#events[read] as Event;
    for (const [write, store] of this.#events.entries()) {
      if (write === read || store.cell !== load.cell || store.write !== load.read) continue;
      const order = new Order(0, before);
      const synchronizes = load.atomic && (store.atomic || write < this.#cells);
      if (synchronizes && !order.add(write, read)) continue;
      if (this.#choose(at + 1, order, [...from, write])) return true;
    }
    return false;
  }

  #holds(before: Order, from: readonly number[]): boolean {
    const stores = this.#where(({ write }) => write !== null);
    const barred: Barred[] = [];
    for (const [at, w] of from.entries()) {
      const r = this.#reads[at] as number;
      if (before.has(r, w)) return false;
      for (const v of stores) {
        if (v === w || v === r || this.#events[v]?.cell !== this.#events[r]?.cell) continue;
        if (before.has(w, v) && before.has(v, r)) return false;
        if (this.#isBarred(before, w, v, r)) barred.push({ w, v, r });
      }
    }
    return orderable(before, barred, 0);
  }

  #isBarred(before: Order, w: number, v: number, r: number): boolean {
    const atomic = (at: number): boolean => (this.#events[at] as Event).atomic;
    if (!atomic(v)) return false;
    const synchronizes = atomic(r) && (atomic(w) || w < this.#cells);
    if (synchronizes) return true;
    if (!before.has(w, r)) return false;
    return (before.has(v, r) && atomic(w)) || (before.has(w, v) && atomic(r));
  }
}

/** Whether the order can be completed with every V before its W or after its R. */
function orderable(order: Order, barred: readonly Barred[], at: number): boolean {
  const next = barred[at];
  if (next === undefined) return true;
  const { w, v, r } = next;
  for (const [before, after] of [
    [v, w],
    [r, v],
  ] as const) {
    const tried = new Order(0, order);
    if (tried.add(before, after) && orderable(tried, barred, at + 1)) return true;
  }
  return false;
}

/** The values that each cell may ever hold: those of all stores, whatever their threads load. */
function valuesOf(tracer: Tracer, threads: readonly LitmusThread<never>[], cells: number) {
  const values = Array.from({ length: cells }, () => new Set([0]));
  // Each round lets one more store see what the round before it made; there are few stores.
  for (let round = 0, stores = 1; round < stores; round++) {
    const before = values.reduce((sum, { size }) => sum + size, 0);
    stores = 0;
    for (const thread of threads) {
      let most = 0;
      for (const { accesses } of tracer.traces(thread, values)) {
        const written = accesses.filter(({ write }) => write !== null);
        most = Math.max(most, written.length);
        for (const { cell, write } of written) values[cell]?.add(write as number);
      }
      stores += most;
    }
    if (values.reduce((sum, { size }) => sum + size, 0) === before) break;
  }
  return values;
}

/** Loads of which no store in the traces has the value cannot be. */
function explained(traces: readonly Trace[]): boolean {
  const accesses = traces.flatMap((trace) => trace.accesses);
  return accesses.every(({ cell, read }) => {
    if (read === null || read === 0) return true;
    return accesses.some((other) => other.cell === cell && other.write === read);
  });
}

function enumerate(test: AnyLitmusTest, tracer: Tracer): string[] {
  const { threads, observe, cells = 2, registers = 2 } = test;
  const all = observe === undefined ? threads : [...threads, observe];
  const values = valuesOf(tracer, threads, cells);
  const traces = all.map((thread) => tracer.traces(thread, values));
  if (traces.reduce((product, { length }) => product * length, 1) > COMBINATIONS_MAX) {
    throw new ScUnsupportedError('more than 2,000,000 combinations of traces');
  }
  const outcomes = new Set<string>();
  const visit = (chosen: readonly Trace[]): void => {
    const some = traces[chosen.length];
    if (some !== undefined) {
      for (const trace of some) visit([...chosen, trace]);
      return;
    }
    const out = new Int32Array(registers);
    for (const trace of chosen) {
      for (let at = 0; at < registers; at++) out[at] = (out[at] as number) + (trace.out[at] ?? 0);
    }
    const outcome = out.join(' ');
    if (outcomes.has(outcome) || !explained(chosen)) return;
    if (new Candidate(chosen, cells, observe !== undefined).valid()) outcomes.add(outcome);
  };
  visit([]);
  return [...outcomes].sort();
}

/**
 * Every outcome that the ECMAScript memory model allows a test.
 * @returns outcomes, sorted
 * @throws ScUnsupportedError for a test with a `view`, that waits or notifies, or that is too large
 * @context any thread, synchronously; nothing else may run on the thread meanwhile
 */
export function modelOutcomes(test: AnyLitmusTest): readonly string[] {
  if (test.view !== undefined) {
    throw new ScUnsupportedError('a view of its own has no place in the model here');
  }
  const tracer = new Tracer(test.registers ?? 2);
  return withAtomics(tracer.atomics, () => enumerate(test, tracer));
}
