// SPDX-License-Identifier: MIT
/**
 * Every outcome that a litmus test has under sequential consistency: the interleavings of its
 * accesses, tried one by one.
 *
 * The ECMAScript memory model gives atomic accesses of equal size one total order that agrees with
 * the order in each thread. So where all accesses are atomic (and of one size), the outcomes found
 * here are exactly the allowed ones; where some are plain they are allowed, and others may be too.
 *
 * How a function is stopped between two accesses: it is not. It is run again from the start, with
 * the answers that it got before, and one access more; the next access after that throws. Functions
 * of a few accesses make that cheap. For the time of a run the global `Atomics` answers from a
 * simulated memory, and `m` is a proxy that sees plain accesses.
 */
import type { I32 } from '../../shared/types.ts';
import type { AnyLitmusTest, LitmusThread } from './litmus_test.ts';

/** What an enumeration found. */
export interface ScOutcomes {
  /** Sorted. */
  readonly outcomes: readonly string[];
  /** Some access was plain: the model may allow more. */
  readonly plain: boolean;
  /** Distinct states visited. */
  readonly states: number;
}

/** The test does what the simulated memory cannot. */
export class ScUnsupportedError extends Error {
  override readonly name = 'ScUnsupportedError';
}

/** Thrown at the access after the new one. */
const PAUSED = Symbol('paused');
/** Distinct states after which an enumeration gives up. */
const STATES_MAX = 200_000;

type Op = (memory: Int32Array, index: number, a: number, b: number) => number;

const OPS: Readonly<Record<string, Op>> = {
  load: (m, i) => m[i] as number,
  store: (m, i, a) => (m[i] = a | 0),
  add: (m, i, a) => update(m, i, (v) => v + a),
  sub: (m, i, a) => update(m, i, (v) => v - a),
  and: (m, i, a) => update(m, i, (v) => v & a),
  or: (m, i, a) => update(m, i, (v) => v | a),
  xor: (m, i, a) => update(m, i, (v) => v ^ a),
  exchange: (m, i, a) => update(m, i, () => a),
  compareExchange: (m, i, a, b) => update(m, i, (v) => (v === (a | 0) ? b : v)),
};

function update(memory: Int32Array, index: number, next: (value: number) => number): number {
  const value = memory[index] as number;
  memory[index] = next(value) | 0;
  return value;
}

/** Where a thread stands: the answers it has got, and what it wrote to its registers. */
interface Place {
  readonly answers: readonly number[];
  readonly done: boolean;
}

class Simulation {
  readonly test: AnyLitmusTest;
  readonly cells: number;
  readonly registers: number;
  plain = false;
  /** Cells as the run sees them; changed by the new access. */
  memory = new Int32Array(0);
  #answers: number[] = [];
  #next = 0;
  #budget = 0;
  readonly #proxy: I32;

  constructor(test: AnyLitmusTest) {
    this.test = test;
    this.cells = test.cells ?? 2;
    this.registers = test.registers ?? 2;
    const read = (_: object, key: string | symbol) => {
      if (typeof key === 'symbol' || !/^\d+$/.test(key)) return undefined;
      this.plain = true;
      return this.access('load', Number(key), 0, 0);
    };
    const write = (_: object, key: string | symbol, value: number) => {
      this.plain = true;
      this.access('store', Number(key), value, 0);
      return true;
    };
    this.#proxy = new Proxy({}, { get: read, set: write }) as unknown as I32;
  }

  access(name: string, index: number, a: number, b: number): number {
    const known = this.#answers[this.#next];
    this.#next++;
    if (known !== undefined) return known;
    if (this.#budget === 0) throw PAUSED;
    this.#budget--;
    const answer = (OPS[name] as Op)(this.memory, index, a, b);
    this.#answers.push(answer);
    return answer;
  }

  /** Runs a thread to its next access, or with `budget` accesses more. */
  run(thread: LitmusThread<never>, place: Place, budget: number, out: Int32Array): Place {
    this.#answers = [...place.answers];
    this.#next = 0;
    this.#budget = budget;
    try {
      (thread as LitmusThread)(this.#proxy, 0, 1, out, 0);
      return { answers: this.#answers, done: true };
    } catch (error) {
      if (error !== PAUSED) throw error;
      return { answers: this.#answers, done: false };
    }
  }
}

/** The simulated functions, as the global `Atomics` has them. */
function simulatedAtomics(simulation: Simulation): Record<string, unknown> {
  const functions: Record<string, unknown> = {};
  for (const name of Object.keys(OPS)) {
    functions[name] = (_: unknown, index: number, a = 0, b = 0) =>
      simulation.access(name, index, a, b);
  }
  for (const name of ['wait', 'notify', 'waitAsync']) {
    functions[name] = () => {
      throw new ScUnsupportedError(`Atomics.${name} is not simulated`);
    };
  }
  return functions;
}

/** Runs `body` with other functions in the global `Atomics`. @context nothing else may run */
export function withAtomics<T>(functions: Record<string, unknown>, body: () => T): T {
  const target = Atomics as unknown as Record<string, unknown>;
  const before = Object.getOwnPropertyDescriptors(target);
  Object.assign(target, functions);
  try {
    return body();
  } finally {
    for (const name of Object.keys(functions)) {
      const descriptor = before[name];
      if (descriptor === undefined) delete target[name];
      else Object.defineProperty(target, name, descriptor);
    }
  }
}

function outcomeOf(simulation: Simulation, places: readonly Place[]): string {
  const { test, registers } = simulation;
  const out = new Int32Array(registers);
  for (const [at, thread] of test.threads.entries()) {
    simulation.run(thread, places[at] as Place, 0, out);
  }
  if (test.observe !== undefined) {
    const wasPlain = simulation.plain; // nobody else runs: its accesses do not race
    simulation.run(test.observe, { answers: [], done: false }, Infinity, out);
    simulation.plain = wasPlain;
  }
  return out.join(' ');
}

function explore(simulation: Simulation): ScOutcomes {
  const { threads } = simulation.test;
  const outcomes = new Set<string>();
  const seen = new Set<string>();
  const scratch = new Int32Array(simulation.registers);
  const visit = (memory: Int32Array<ArrayBuffer>, places: readonly Place[]): void => {
    const key = `${memory.join()}|${places.map(({ answers }) => answers.join()).join('|')}`;
    if (seen.has(key)) return;
    seen.add(key);
    if (seen.size > STATES_MAX) throw new ScUnsupportedError('more than 200,000 states');
    let moved = false;
    for (const [at, thread] of threads.entries()) {
      const place = places[at] as Place;
      if (place.done) continue;
      moved = true;
      simulation.memory = memory.slice();
      const after = simulation.run(thread, place, 1, scratch);
      visit(simulation.memory, places.with(at, after));
    }
    if (moved) return;
    simulation.memory = memory.slice();
    outcomes.add(outcomeOf(simulation, places));
  };
  const start = threads.map((thread) => {
    return simulation.run(thread, { answers: [], done: false }, 0, scratch);
  });
  visit(new Int32Array(simulation.cells), start);
  return { outcomes: [...outcomes].sort(), plain: simulation.plain, states: seen.size };
}

/**
 * All outcomes of a test under sequential consistency.
 * @throws ScUnsupportedError for a test with a `view`, or that waits or notifies
 * @context any thread, synchronously; nothing else may run on the thread meanwhile
 */
export function scOutcomes(test: AnyLitmusTest): ScOutcomes {
  if (test.view !== undefined) {
    throw new ScUnsupportedError('a view of its own is not simulated');
  }
  const simulation = new Simulation(test);
  return withAtomics(simulatedAtomics(simulation), () => explore(simulation));
}
