// SPDX-License-Identifier: MIT
/**
 * Recorded histories: what the threads of an execution asked of an object, and what they were told.
 *
 * An *operation* has a call and an end, both stamps of one counter that all threads share, so no
 * two events of different threads have the same stamp. Operation a *precedes* b when a ended before
 * b was called; operations neither of which precedes the other *overlap*. One that was called and
 * never ended is *pending*: it may have taken effect or not, and its result is unknown.
 *
 *     T0   |---- push(1) ----|          |-- pop() -> 2 --|      push(1) precedes pop() -> 2;
 *     T1         |---- push(2) ----|              |-- pop() ... push(1) and push(2) overlap;
 *                                                              the last pop() is pending
 *
 * A history is a plain array of plain objects: it goes through `structuredClone`, `v8.serialize`
 * and, as long as arguments and results do, JSON.
 */

/** One operation of one thread. Events of one thread may share a stamp: their order decides. */
export interface Operation {
  /** Index of the thread, from 0. */
  readonly thread: number;
  /** What was called: `push`, `tryLock`. */
  readonly name: string;
  /** What it was given; undefined for nothing. */
  readonly arg: unknown;
  /** What it returned; undefined while it is pending. */
  readonly result: unknown;
  /** Stamp of the call. */
  readonly call: number;
  /** Stamp of the return; null for one that is pending. */
  readonly end: number | null;
}

/** Operations of all threads, in any order but each thread's own in the order of its calls. */
export type History = readonly Operation[];

/** Records the operations of one thread. */
export class Recorder {
  readonly #thread: number;
  readonly #stamp: () => number;
  readonly #operations: { -readonly [K in keyof Operation]: Operation[K] }[] = [];

  /**
   * @param thread its index, from 0
   * @param stamp gives a number larger than all that were given before, to whatever thread
   */
  constructor(thread: number, stamp: () => number) {
    this.#thread = thread;
    this.#stamp = stamp;
  }

  /** The thread's operations so far, in the order of their calls. */
  get operations(): History {
    return this.#operations;
  }

  /**
   * Calls `run` and records it. An operation that throws stays pending: it may have taken effect.
   * @param arg, and what `run` returns: plain data, which is not changed afterwards
   * @returns what `run` returns
   * @throws what `run` throws
   */
  record<T>(name: string, arg: unknown, run: () => T): T {
    const entry = {
      thread: this.#thread,
      name,
      arg,
      result: undefined as unknown,
      call: this.#stamp(),
      end: null as number | null,
    };
    this.#operations.push(entry);
    const result = run();
    entry.end = this.#stamp();
    entry.result = result;
    return result;
  }

  /** Forgets everything, for the next execution. */
  clear(): void {
    this.#operations.length = 0;
  }
}

/**
 * Joins the histories of the threads.
 * @returns all operations, in the order of their calls
 */
export function mergeHistories(threads: readonly History[]): History {
  return threads.flat().sort((a, b) => a.call - b.call || a.thread - b.thread);
}

/** @returns `push(1) -> true`, or `push(1) ...` of one that is pending */
export function formatOperation(operation: Operation): string {
  const { name, arg, result, end } = operation;
  const given = arg === undefined ? '' : Array.isArray(arg) ? arg.map(show).join(', ') : show(arg);
  if (end === null) return `${name}(${given}) ...`;
  return result === undefined ? `${name}(${given})` : `${name}(${given}) -> ${show(result)}`;
}

function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (value === undefined) return 'undefined';
  return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner));
}
