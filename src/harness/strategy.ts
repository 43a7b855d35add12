// SPDX-License-Identifier: MIT
/**
 * A strategy decides which executions are run. It works between executions, on the lead thread; it
 * writes a plan and a policy into the control block, and reads the log of what came of it:
 *
 *   prepare   the next execution: policy, plan, sleep set, seed; false when none is left
 *   learn     what happened
 *
 * During an execution the holder of the baton follows the plan step by step, and the policy where
 * the plan ends. So the same control block runs random walks, PCT, exhaustive search, replay and
 * the shrinking of a schedule.
 */

import { Prng } from '../../shared/prng.ts';
import {
  type Control,
  F_PCT_POINTS,
  F_STEP,
  H_CULPRIT,
  H_HASH,
  H_OUTCOME,
  H_PCT_COUNT,
  H_PCT_NEXT,
  H_PLAN_LENGTH,
  H_PLAN_STRICT,
  H_POLICY,
  H_PRNG,
  H_SEED,
  H_SLEEP,
  H_SWITCH_BELOW,
  OUTCOME_DONE,
  OUTCOME_REDUNDANT,
  PCT_DEPTH_MAX,
  POLICY_PCT,
  POLICY_RANDOM,
  POLICY_ROUND_ROBIN,
  POLICY_STAY,
  R_PRIORITY,
} from './control.ts';

/** How an execution ended. */
export interface Outcome {
  /** OUTCOME_* */
  readonly kind: number;
  /** Row whose doing it is, -1 nobody's. */
  readonly culprit: number;
  readonly steps: number;
  readonly hash: number;
  /** Of a failure: what was thrown, empty for none. */
  readonly message?: string;
}

/** @returns true for an outcome that is the fault of the code under test */
export function isFailure(kind: number): boolean {
  return kind > OUTCOME_DONE && kind !== OUTCOME_REDUNDANT;
}

/** The outcome of the execution that just ended. */
export function readOutcome(control: Control): Outcome {
  const { words, numbers } = control;
  return {
    kind: words[H_OUTCOME] as number,
    culprit: words[H_CULPRIT] as number,
    steps: numbers[F_STEP] as number,
    hash: (words[H_HASH] as number) >>> 0,
  };
}

export interface Strategy {
  readonly name: string;
  /** Writes the plan of the next execution. @returns false when there is none left */
  prepare(control: Control): boolean;
  /** Learns how it went; the log and the rows are as the execution left them. */
  learn(outcome: Outcome, control: Control): void;
  /** Part of the space that is done, of 1. Called now and then. */
  fraction?(): number;
  /** Figures of its own for the report. */
  describe?(): Record<string, unknown>;
}

/** Sets the generator of scheduling decisions, and the seed of the threads' own chance. */
export function seedExecution(control: Control, seed: number): void {
  const prng = new Prng(seed, 1);
  for (let i = 0; i < 4; i++) control.words[H_PRNG + i] = prng.nextU32() | 0;
  control.words[H_SEED] = seed | 0;
}

/** No plan: the policy decides from the first step. */
export function clearPlan(control: Control, policy: number): void {
  const { words } = control;
  words[H_POLICY] = policy;
  words[H_PLAN_LENGTH] = 0;
  words[H_PLAN_STRICT] = 0;
  words[H_SLEEP] = 0;
}

/** Every enabled thread has the same chance at every step. */
export class RandomStrategy implements Strategy {
  readonly name = 'random';
  #seed: number;
  readonly #switchBelow: number;

  /** @param switchChance of leaving a thread that could go on, per step; 1 picks evenly */
  constructor(seed: number, switchChance = 1) {
    this.#seed = seed;
    this.#switchBelow = switchChance >= 1 ? -1 : Math.floor(switchChance * 4294967296) | 0;
  }

  prepare(control: Control): boolean {
    clearPlan(control, POLICY_RANDOM);
    control.words[H_SWITCH_BELOW] = this.#switchBelow;
    seedExecution(control, this.#seed++);
    return true;
  }

  learn(): void {}
}

/** Each enabled thread in turn. */
export class RoundRobinStrategy implements Strategy {
  readonly name = 'round-robin';
  #left: number;

  /** @param times executions, all alike */
  constructor(times = 1) {
    this.#left = times;
  }

  prepare(control: Control): boolean {
    clearPlan(control, POLICY_ROUND_ROBIN);
    seedExecution(control, 0);
    return this.#left-- > 0;
  }

  learn(): void {}
}

/** Steps that PCT assumes before it has seen an execution. */
const FIRST_GUESS = 16;

/**
 * Probabilistic concurrency testing: random priorities, and depth - 1 random steps at which the
 * running thread falls behind all others. A bug that needs `depth` ordering constraints is found
 * with a probability of at least 1 / (n k^(depth-1)) an execution, n threads, k steps.
 */
export class PctStrategy implements Strategy {
  readonly name = 'pct';
  readonly depth: number;
  #seed: number;
  /** Steps of the longest execution so far: k. */
  #steps = 0;
  #threads = 0;

  /** @param depth 1 .. PCT_DEPTH_MAX */
  constructor(seed: number, depth: number) {
    this.#seed = seed;
    this.depth = Math.min(depth, PCT_DEPTH_MAX);
  }

  /** The bound above for what was seen so far; 0 before the first execution. */
  get bound(): number {
    if (this.#steps === 0) return 0;
    return 1 / (this.#threads * this.#steps ** (this.depth - 1));
  }

  prepare(control: Control): boolean {
    const { words, numbers, threads } = control;
    const seed = this.#seed++;
    clearPlan(control, POLICY_PCT);
    seedExecution(control, seed);
    this.#threads = threads;
    const prng = new Prng(seed, 2);
    const order = Array.from({ length: threads }, (_, i) => i);
    for (let i = threads - 1; i > 0; i--) {
      const j = prng.below(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    for (let i = 0; i < threads; i++) {
      words[control.row(i) + R_PRIORITY] = this.depth + (order[i] as number);
    }
    const points: number[] = [];
    const steps = Math.max(this.#steps, FIRST_GUESS);
    for (let i = 1; i < this.depth; i++) points.push(prng.below(steps));
    points.sort((a, b) => a - b);
    points.forEach((point, i) => {
      numbers[F_PCT_POINTS + i] = point;
    });
    words[H_PCT_COUNT] = points.length;
    words[H_PCT_NEXT] = 0;
    return true;
  }

  learn(outcome: Outcome): void {
    this.#steps = Math.max(this.#steps, outcome.steps);
  }

  describe(): Record<string, unknown> {
    return { depth: this.depth, steps: this.#steps, threads: this.#threads, bound: this.bound };
  }
}

/** Writes a schedule as the plan: `threads[k]` is the thread of step k. */
export function writePlan(control: Control, threads: ArrayLike<number>, strict: boolean): void {
  clearPlan(control, POLICY_STAY);
  const length = Math.min(threads.length, control.plan.length);
  for (let i = 0; i < length; i++) control.plan[i] = threads[i] as number;
  control.words[H_PLAN_LENGTH] = length;
  control.words[H_PLAN_STRICT] = strict ? 1 : 0;
}

/** Follows one schedule, once; a step that cannot be followed is a divergence. */
export class ReplayStrategy implements Strategy {
  readonly name = 'replay';
  readonly #threads: ArrayLike<number>;
  readonly #seed: number;
  #left: number;

  /** @param seed of the threads' own chance */
  constructor(threads: ArrayLike<number>, seed: number, times = 1) {
    this.#threads = threads;
    this.#seed = seed;
    this.#left = times;
  }

  prepare(control: Control): boolean {
    if (this.#left-- <= 0) return false;
    writePlan(control, this.#threads, true);
    seedExecution(control, this.#seed);
    return true;
  }

  learn(): void {}
}
