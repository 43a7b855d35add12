// SPDX-License-Identifier: MIT
/**
 * The accesses of a litmus thread, as a memory model sees them: for given answers to its loads,
 * what it does. The function itself is run, on a proxy for memory and with a global `Atomics` that
 * hands out the answers.
 */
import type { I32 } from '../../shared/types.ts';
import { ScUnsupportedError } from './litmus_sc.ts';
import type { LitmusThread } from './litmus_test.ts';

/** One access of 32 bits. */
export interface Access {
  readonly cell: number;
  readonly atomic: boolean;
  /** Value that it loads; null for a store. */
  readonly read: number | null;
  /** Value that it stores; null for a load. */
  readonly write: number | null;
}

/** A run of one thread: its accesses in program order, and what it put into its registers. */
export interface Trace {
  readonly accesses: readonly Access[];
  readonly out: readonly number[];
}

/** What a read-modify-write stores for what it has loaded; null where it stores nothing. */
type Update = (old: number, a: number, b: number) => number | null;

const UPDATES: Readonly<Record<string, Update>> = {
  add: (old, a) => (old + a) | 0,
  sub: (old, a) => (old - a) | 0,
  and: (old, a) => old & a,
  or: (old, a) => old | a,
  xor: (old, a) => old ^ a,
  exchange: (_old, a) => a | 0,
  compareExchange: (old, a, b) => (old === (a | 0) ? b | 0 : null),
};

/** Thrown at a load for which there is no answer yet. */
class NeedAnswer {
  readonly cell: number;

  constructor(cell: number) {
    this.cell = cell;
  }
}

class Recording {
  readonly accesses: Access[] = [];
  readonly #answers: readonly number[];
  #next = 0;

  constructor(answers: readonly number[]) {
    this.#answers = answers;
  }

  load(cell: number, atomic: boolean): number {
    const read = this.#answer(cell);
    this.accesses.push({ cell, atomic, read, write: null });
    return read;
  }

  store(cell: number, value: number, atomic: boolean): number {
    const write = value | 0;
    this.accesses.push({ cell, atomic, read: null, write });
    return value;
  }

  update(cell: number, update: Update, a: number, b: number): number {
    const read = this.#answer(cell);
    this.accesses.push({ cell, atomic: true, read, write: update(read, a, b) });
    return read;
  }

  #answer(cell: number): number {
    const answer = this.#answers[this.#next++];
    if (answer === undefined) throw new NeedAnswer(cell);
    return answer;
  }
}

function recordingAtomics(current: () => Recording): Record<string, unknown> {
  const functions: Record<string, unknown> = {
    load: (_: unknown, cell: number) => current().load(cell, true),
    store: (_: unknown, cell: number, value: number) => current().store(cell, value, true),
  };
  for (const [name, update] of Object.entries(UPDATES)) {
    functions[name] = (_: unknown, cell: number, a = 0, b = 0) =>
      current().update(cell, update, a, b);
  }
  for (const name of ['wait', 'notify', 'waitAsync']) {
    functions[name] = () => {
      throw new ScUnsupportedError(`Atomics.${name} has no place in the model here`);
    };
  }
  return functions;
}

/** Traces beyond so many are too many. */
const TRACES_MAX = 5000;

/** Runs thread functions with chosen answers. */
export class Tracer {
  #recording = new Recording([]);
  readonly #proxy: I32;
  readonly #registers: number;
  /** To be installed in the global `Atomics` while it is used. */
  readonly atomics = recordingAtomics(() => this.#recording);

  constructor(registers: number) {
    this.#registers = registers;
    const read = (_: object, key: string | symbol) =>
      typeof key === 'string' && /^\d+$/.test(key)
        ? this.#recording.load(Number(key), false)
        : undefined;
    const write = (_: object, key: string | symbol, value: number) => {
      this.#recording.store(Number(key), value, false);
      return true;
    };
    this.#proxy = new Proxy({}, { get: read, set: write }) as unknown as I32;
  }

  /**
   * Every run of a thread whose loads answer with the given values.
   * @param values that a load of each cell may see
   */
  traces(thread: LitmusThread<never>, values: readonly ReadonlySet<number>[]): Trace[] {
    const found: Trace[] = [];
    const visit = (answers: readonly number[]): void => {
      const trace = this.#run(thread, answers);
      if (trace instanceof NeedAnswer) {
        for (const value of values[trace.cell] ?? []) visit([...answers, value]);
        return;
      }
      found.push(trace);
      if (found.length > TRACES_MAX) throw new ScUnsupportedError('more than 5,000 traces');
    };
    visit([]);
    return found;
  }

  #run(thread: LitmusThread<never>, answers: readonly number[]): Trace | NeedAnswer {
    const out = new Int32Array(this.#registers);
    this.#recording = new Recording(answers);
    try {
      (thread as LitmusThread)(this.#proxy, 0, 1, out, 0);
    } catch (error) {
      if (error instanceof NeedAnswer) return error;
      throw error;
    }
    return { accesses: this.#recording.accesses, out: [...out] };
  }
}
