// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs generator threads under the harness's scheduler, on one real thread: each `yield` is an
 * operation, as a call of `Atomics` is on a worker. Thousands of executions a test take a moment.
 */
import {
  Control,
  F_NOW,
  F_STEP,
  F_STEPS_MAX,
  H_OUTCOME,
  H_TIMEOUTS,
  OUTCOME_DEADLOCK,
  OUTCOME_LIVELOCK,
  OUTCOME_THREW,
  WAIT_OK,
} from '../../dist/src/harness/control.js';
import {
  OP_CAS,
  OP_LOAD,
  OP_NONE,
  OP_NOTIFY,
  OP_RELAX,
  OP_RMW,
  OP_START,
  OP_STORE,
  OP_WAIT,
} from '../../dist/src/harness/ops.js';
import { Scheduler } from '../../dist/src/harness/scheduler.js';
import { SpinWatch } from '../../dist/src/harness/spin_watch.js';
import { readOutcome, type Strategy } from '../../dist/src/harness/strategy.js';

/** One operation of a thread on 32-bit words. */
export interface SimOp {
  readonly kind: number;
  readonly index: number;
  /** store, add: the value. cas, wait: what is expected. notify: how many. */
  readonly a: number;
  /** cas: the new value. wait: ms. */
  readonly b: number;
}

export type SimThread = () => Generator<SimOp, number, number>;

const op = (kind: number, index: number, a = 0, b = 0): SimOp => ({ kind, index, a, b });
export const load = (index: number): SimOp => op(OP_LOAD, index);
export const store = (index: number, value: number): SimOp => op(OP_STORE, index, value);
export const add = (index: number, value: number): SimOp => op(OP_RMW, index, value);
export const cas = (index: number, expected: number, value: number): SimOp =>
  op(OP_CAS, index, expected, value);
/** Yields 0 ok, 1 timed out, 2 not equal. */
export const wait = (index: number, expected: number, ms = Infinity): SimOp =>
  op(OP_WAIT, index, expected, ms);
export const notify = (index: number, count = Infinity): SimOp => op(OP_NOTIFY, index, count);
export const relax = (): SimOp => op(OP_RELAX, -1);

export interface SimOptions {
  readonly words?: number;
  readonly stepsMax?: number;
  /** TIMEOUTS_* */
  readonly timeouts?: number;
  /** Called after each execution, before the strategy learns. */
  readonly onEnd?: (control: Control, memory: Int32Array, results: readonly number[]) => void;
}

const SPIN_THRESHOLD = 4;

/** One thread of the simulation. */
class Runner {
  readonly #thread: SimThread;
  readonly #row: number;
  readonly #sim: Simulation;
  #generator: Generator<SimOp, number, number>;
  #next: SimOp | null = null;
  #waiting = false;
  #relaxes = 0;
  readonly #relaxSince = [0];
  readonly #spin = new SpinWatch();
  result = Number.NaN;

  constructor(sim: Simulation, thread: SimThread, row: number) {
    this.#sim = sim;
    this.#thread = thread;
    this.#row = row;
    this.#generator = thread();
  }

  reset(): void {
    this.#generator = this.#thread();
    this.#next = null;
    this.#waiting = false;
    this.#relaxes = 0;
    this.#spin.reset();
    this.result = Number.NaN;
  }

  /** Executes what was posted, and posts what comes next. */
  step(): void {
    const { scheduler } = this.#sim;
    let value = 0;
    if (this.#waiting) {
      this.#waiting = false;
      value = scheduler.waitResult(this.#row) === WAIT_OK ? 0 : 1;
    } else if (this.#next !== null) {
      value = this.#execute(this.#next);
      if (this.#waiting) return;
    }
    const { done, value: next } = this.#generator.next(value);
    if (done === true) {
      this.result = next as number;
      scheduler.finish(this.#row);
      return;
    }
    this.#post(next as SimOp);
  }

  #post(next: SimOp): void {
    const { scheduler, control } = this.#sim;
    const now = control.numbers[F_STEP] as number;
    this.#next = next;
    const { kind } = next;
    const loc = kind === OP_RELAX ? -1 : 64 + next.index * 4;
    scheduler.post(this.#row, kind, loc, loc < 0 ? 0 : 4);
    const spin = this.#spin;
    if (kind === OP_RELAX) {
      if (this.#relaxes++ === 0) this.#relaxSince[0] = now - 1;
      if (this.#relaxes > SPIN_THRESHOLD && spin.count === 0) {
        this.#relaxes = 0;
        scheduler.spin(this.#row, spin.locs, spin.bytes, this.#relaxSince, 0);
        return;
      }
    }
    const again = kind === OP_RELAX || ((kind === OP_LOAD || kind === OP_CAS) && spin.watches(loc));
    if (spin.spins(SPIN_THRESHOLD) && again) {
      if (scheduler.spin(this.#row, spin.locs, spin.bytes, spin.steps, spin.count)) spin.told();
      else spin.reset();
    }
  }

  #execute({ kind, index, a, b }: SimOp): number {
    const { scheduler, control, memory } = this.#sim;
    if (kind === OP_RELAX || kind === OP_START || kind === OP_NONE) return 0;
    const before = memory[index] as number;
    const loc = 64 + index * 4;
    if (kind === OP_NOTIFY) {
      const woken = scheduler.notify(loc, a);
      if (woken > 0) {
        this.#spin.reset();
        this.#relaxes = 0;
      }
      return woken;
    }
    if (kind === OP_WAIT) {
      if (before !== a) {
        this.#spin.read(loc, before, (control.numbers[F_STEP] as number) - 1);
        return 2;
      }
      this.#spin.reset();
      this.#relaxes = 0;
      scheduler.aux(1);
      scheduler.block(this.#row, loc, (control.numbers[F_NOW] as number) + b * 1e6, a, 0);
      this.#waiting = true;
      return 0;
    }
    if (kind === OP_STORE) memory[index] = a;
    if (kind === OP_RMW) memory[index] = before + a;
    if (kind === OP_CAS && before === a) memory[index] = b;
    scheduler.aux(before);
    if (memory[index] === before) {
      this.#spin.read(loc, before, (control.numbers[F_STEP] as number) - 1);
    } else {
      this.#spin.reset();
      this.#relaxes = 0;
      scheduler.changed(loc, 4);
    }
    return before;
  }
}

export class Simulation {
  readonly control: Control;
  readonly scheduler: Scheduler;
  readonly memory: Int32Array;
  readonly #runners: Runner[];
  readonly #options: SimOptions;

  constructor(threads: readonly SimThread[], options: SimOptions = {}) {
    this.control = Control.create({
      threads: threads.length,
      planCapacity: 1 << 13,
      logCapacity: 1 << 13,
    });
    this.control.numbers[F_STEPS_MAX] = options.stepsMax ?? 2000;
    this.control.words[H_TIMEOUTS] = options.timeouts ?? 0;
    this.scheduler = new Scheduler(this.control);
    this.memory = new Int32Array(options.words ?? 8);
    this.#runners = threads.map((thread, row) => new Runner(this, thread, row));
    this.#options = options;
  }

  /** Runs executions until the strategy has none left, or there were so many. */
  run(strategy: Strategy, executions = Infinity): void {
    for (let i = 0; i < executions && strategy.prepare(this.control); i++) {
      this.#execute();
      const results = this.#runners.map((runner) => runner.result);
      this.#options.onEnd?.(this.control, this.memory, results);
      strategy.learn(readOutcome(this.control), this.control);
    }
  }

  #execute(): void {
    const { scheduler } = this;
    this.memory.fill(0);
    for (const runner of this.#runners) runner.reset();
    scheduler.begin();
    for (;;) {
      const row = scheduler.pick();
      if (row < 0) break;
      try {
        (this.#runners[row] as Runner).step();
      } catch {
        scheduler.end(OUTCOME_THREW, row);
      }
    }
  }
}

/** What distinguishes an execution for its user: how it ended, and what it left. */
export function finalState(
  control: Control,
  memory: Int32Array,
  results: readonly number[],
): string {
  const outcome = control.words[H_OUTCOME] as number;
  // Whether those who are stuck spin or time out for ever depends on how they came to it.
  const stuck = outcome === OUTCOME_LIVELOCK ? OUTCOME_DEADLOCK : outcome;
  return `${stuck}|${memory.join(',')}|${results.join(',')}`;
}
