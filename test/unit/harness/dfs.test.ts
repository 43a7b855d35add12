// SPDX-License-Identifier: GPL-2.0-only
/**
 * The exhaustive search against brute force: what it sees must be all there is to see, and it must
 * see it in fewer executions. Programs are generators under the real scheduler, on one thread.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  H_IDLE_LIMIT,
  H_OUTCOME,
  OUTCOME_DEADLOCK,
  OUTCOME_REDUNDANT,
  TIMEOUTS_ANY,
} from '../../../dist/src/harness/control.js';
import { type DfsOptions, DfsStrategy } from '../../../dist/src/harness/dfs.js';
import {
  add,
  cas,
  finalState,
  load,
  notify,
  relax,
  type SimOp,
  type SimOptions,
  type SimThread,
  Simulation,
  store,
  wait,
} from '../../helpers/schedule_sim.js';

interface Explored {
  readonly states: readonly string[];
  readonly executions: number;
  readonly redundant: number;
  readonly complete: boolean;
}

function explore(
  threads: readonly SimThread[],
  options: DfsOptions = {},
  sim: SimOptions = {},
): Explored {
  const states = new Set<string>();
  const simulation = new Simulation(threads, {
    ...sim,
    onEnd(control, memory, results) {
      if (control.words[H_OUTCOME] === OUTCOME_REDUNDANT) return;
      states.add(finalState(control, memory, results));
    },
  });
  simulation.control.words[H_IDLE_LIMIT] = 4;
  const strategy = new DfsStrategy({ maxExecutions: 100_000, ...options });
  simulation.run(strategy);
  const { executions, redundant, complete } = strategy.stats;
  return { states: [...states].sort(), executions, redundant, complete };
}

/** A read and a write: the increment that loses updates. */
function* increment(): Generator<SimOp, number, number> {
  const seen = yield load(0);
  yield store(0, seen + 1);
  return seen;
}

/** Test-and-test-and-set, around an increment of word 1. */
function* ttas(): Generator<SimOp, number, number> {
  for (;;) {
    while ((yield load(0)) !== 0) yield relax();
    if ((yield cas(0, 0, 1)) === 0) break;
  }
  const seen = yield load(1);
  yield store(1, seen + 1);
  yield store(0, 0);
  return seen;
}

/** Takes the lock if it is free. */
function* tryLock(): Generator<SimOp, number, number> {
  if ((yield cas(0, 0, 1)) !== 0) return -1;
  const seen = yield load(1);
  yield store(1, seen + 1);
  yield store(0, 0);
  return seen;
}

/** The word is 0 free, 1 held, 2 held and somebody may wait. */
function* futexMutex(): Generator<SimOp, number, number> {
  let seen = yield cas(0, 0, 1);
  while (seen !== 0) {
    if (seen === 2 || (yield cas(0, 1, 2)) !== 0) yield wait(0, 2);
    seen = yield cas(0, 0, 2);
  }
  const count = yield load(1);
  yield store(1, count + 1);
  if ((yield add(0, -1)) !== 1) {
    yield store(0, 0);
    yield notify(0, 1);
  }
  return count;
}

describe('kinds of executions, counted by hand', () => {
  it('runs one execution when nothing depends on the order', () => {
    const own = (index: number): SimThread =>
      function* () {
        yield store(index, 1);
        return yield load(index);
      };
    expect(explore([own(0), own(1), own(2)])).toMatchObject({ executions: 1, complete: true });
  });

  it('sees n writers of one word in n! orders, and readers in one', () => {
    const writer: SimThread = function* () {
      return yield add(0, 1);
    };
    const reader: SimThread = function* () {
      return yield load(0);
    };
    expect(explore([writer, writer, writer])).toMatchObject({ executions: 6, redundant: 0 });
    expect(explore([writer, writer, writer, writer])).toMatchObject({ executions: 24 });
    expect(explore([reader, reader, reader, reader])).toMatchObject({ executions: 1 });
    expect(explore([writer, reader, reader])).toMatchObject({ executions: 4, redundant: 0 });
  });

  it('finds that two increments can lose one', () => {
    const found = explore([increment, increment]);
    expect(found).toMatchObject({ executions: 4, complete: true });
    expect(found.states.some((state) => state.startsWith('1|1,'))).toBe(true);
    expect(explore([increment, increment, increment])).toMatchObject({ executions: 27 });
  });
});

describe('locks', () => {
  it('exhausts a spinlock of three threads: mutual exclusion in each execution', () => {
    const found = explore([ttas, ttas, ttas]);
    expect(found.complete).toBe(true);
    expect(found.executions).toBeLessThan(1000);
    expect(found.states).toHaveLength(6);
    expect(found.states.every((state) => state.startsWith('1|0,3,'))).toBe(true);
  });

  it('takes a tenth of the executions of a plain search, or less', () => {
    const threads = [ttas, tryLock];
    const plain = explore(threads, { reduction: false });
    const reduced = explore(threads);
    expect(plain.complete && reduced.complete).toBe(true);
    expect(reduced.states).toEqual(plain.states);
    expect(reduced.executions * 10).toBeLessThanOrEqual(plain.executions);
  });

  it('exhausts a mutex that waits, and finds that one forgets to notify', () => {
    expect(explore([futexMutex, futexMutex])).toMatchObject({ complete: true });
    const forgets: SimThread = function* () {
      let seen = yield cas(0, 0, 1);
      while (seen !== 0) {
        yield wait(0, seen);
        seen = yield cas(0, 0, 1);
      }
      yield store(0, 0);
      return 0;
    };
    const found = explore([forgets, forgets]);
    expect(found.complete).toBe(true);
    expect(found.states.some((state) => state.startsWith(`${OUTCOME_DEADLOCK}|`))).toBe(true);
  });

  it('sees both orders in which one notify finds two waiters', () => {
    const waiter: SimThread = function* () {
      return yield wait(0, 0, 5);
    };
    const waker: SimThread = function* () {
      return yield notify(0, 1);
    };
    const found = explore([waiter, waiter, waker]);
    // Results: 0 woken, 1 timed out; the notify found somebody, or came too early.
    for (const results of ['0,1,1', '1,0,1', '1,1,0']) {
      expect(found.states.some((state) => state.endsWith(`|${results}`))).toBe(true);
    }
  });
});

/** One instruction of a random program. */
type Instruction =
  | { readonly op: 'load' | 'add' | 'skip'; readonly index: number }
  | { readonly op: 'store' | 'spin'; readonly index: number; readonly value: number }
  | { readonly op: 'cas'; readonly index: number; readonly value: number; readonly to: number }
  | { readonly op: 'wait'; readonly index: number; readonly value: number; readonly ms: number }
  | { readonly op: 'notify'; readonly index: number; readonly count: number };

const index = fc.nat({ max: 1 });
const value = fc.nat({ max: 2 });
const ms = fc.constantFrom(Number.POSITIVE_INFINITY, 1, 2);
const count = fc.constantFrom(1, Number.POSITIVE_INFINITY);
const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  fc.record({ op: fc.constantFrom('load', 'add', 'skip'), index }),
  fc.record({ op: fc.constantFrom('store', 'spin'), index, value }),
  fc.record({ op: fc.constant('cas' as const), index, value, to: value }),
  fc.record({ op: fc.constant('wait' as const), index, value, ms }),
  fc.record({ op: fc.constant('notify' as const), index, count }),
) as fc.Arbitrary<Instruction>;
const program = fc.array(fc.array(instruction, { minLength: 1, maxLength: 4 }), {
  minLength: 2,
  maxLength: 3,
});

function* perform(step: Instruction): Generator<SimOp, number, number> {
  switch (step.op) {
    case 'load':
    case 'skip':
      return yield load(step.index);
    case 'add':
      return yield add(step.index, 1);
    case 'store':
      return (yield store(step.index, step.value)) * 0;
    case 'cas':
      return yield cas(step.index, step.value, step.to);
    case 'wait':
      return yield wait(step.index, step.value, step.ms);
    case 'notify':
      return yield notify(step.index, step.count);
    case 'spin':
      while ((yield load(step.index)) === step.value) yield relax();
      return 0;
  }
}

/** Its result tells what every operation returned. */
function threadOf(steps: readonly Instruction[]): SimThread {
  return function* () {
    let hash = 7;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Instruction;
      const result = yield* perform(step);
      hash = (hash * 31 + result) | 0;
      if (step.op === 'skip' && result !== 0) i++;
    }
    return hash;
  };
}

/** Compares with brute force; programs that are too large for that are passed over. */
function compares(options: DfsOptions, sim: SimOptions, runs: number): void {
  let compared = 0;
  const property = fc.property(program, (steps) => {
    const threads = steps.map(threadOf);
    const all = { ...options, reduction: false, maxExecutions: 600 };
    const plain = explore(threads, all, { words: 2, stepsMax: 400, ...sim });
    if (!plain.complete) return;
    compared++;
    const reduced = explore(threads, options, { words: 2, stepsMax: 400, ...sim });
    expect(reduced.complete).toBe(true);
    expect(reduced.states).toEqual(plain.states);
    if (options.preemptions === undefined) {
      expect(reduced.executions).toBeLessThanOrEqual(plain.executions);
    }
  });
  fc.assert(property, { numRuns: runs, seed: 20, endOnFailure: false });
  expect(compared).toBeGreaterThan(runs / 4);
}

describe('random programs against brute force', () => {
  it('sees every end state', () => {
    compares({}, {}, 200);
  });

  it('sees every end state when waits may time out at any step', () => {
    compares({}, { timeouts: TIMEOUTS_ANY }, 100);
  });

  it.each([0, 1, 2])('sees every end state within %i preemptions', (preemptions) => {
    compares({ preemptions }, {}, 100);
  });
});

describe('bounds', () => {
  it('stops at the bound on executions, and says that it is not complete', () => {
    const strategy = new DfsStrategy({ maxExecutions: 3 });
    new Simulation([increment, increment, increment]).run(strategy);
    const { executions, complete, fraction } = strategy.stats;
    expect({ executions, complete }).toEqual({ executions: 3, complete: false });
    expect(fraction).toBeGreaterThan(0);
    expect(fraction).toBeLessThan(1);
  });

  it('counts the executions that the bound on steps cut', () => {
    const counter: SimThread = function* () {
      for (let i = 0; i < 50; i++) yield add(0, 1);
      return 0;
    };
    const strategy = new DfsStrategy({ maxExecutions: 5 });
    new Simulation([counter, counter], { stepsMax: 20 }).run(strategy);
    expect(strategy.stats.cut).toBe(strategy.stats.executions);
  });

  it('stops when the same schedule does something else', () => {
    let runs = 0;
    const fickle: SimThread = function* () {
      runs++;
      yield load(runs % 3);
      return yield add(0, 1);
    };
    const strategy = new DfsStrategy();
    new Simulation([fickle, increment]).run(strategy);
    expect(strategy.stats).toMatchObject({ diverged: true, complete: false });
  });
});
