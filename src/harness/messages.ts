// SPDX-License-Identifier: MIT
/** What the main thread and the workers of an exploration say to each other. */
import type { ControlBuffers } from './control.ts';
import type { LockInversion } from './lock_order.ts';
import type { StrategySpec } from './make_strategy.ts';
import type { RaceBuffers } from './race/race_memory.ts';
import type { RaceReport } from './race/race_text.ts';
import type { ThreadMail } from './runtime.ts';

/** `workerData` of a worker of the harness. */
export interface WorkerStart {
  /** URL of the scenario's module. */
  readonly url: string;
  /** Row 0 is the lead. */
  readonly thread: number;
  /** Threads that the harness can run. */
  readonly threadsMax: number;
  /** Look for data races, and instrument modules for it. */
  readonly race: boolean;
  /** race: plain accesses are scheduling points too. */
  readonly plainPoints: boolean;
  /** Packages whose modules are instrumented too. */
  readonly include: readonly string[];
}

/** How executions are run, whatever the strategy. */
export interface RunSettings {
  readonly strategy: StrategySpec;
  /** Executions, at most. */
  readonly executions: number;
  /** Wall time in ms, at most. */
  readonly ms: number;
  /** Steps of an execution, at most. */
  readonly steps: number;
  /** ns of virtual time that a step takes. */
  readonly tickNs: number;
  /** TIMEOUTS_* */
  readonly timeouts: number;
  readonly spinThreshold: number;
  /** Loads of its gate before a thread parks. */
  readonly gateSpins: number;
  /** An execution of more steps than the bound is a failure (else it is only cut short). */
  readonly boundFails: boolean;
  /** Keep a stack of every step. */
  readonly trace: boolean;
  /** Go on after a failure, and count. */
  readonly keepGoing: boolean;
}

/** One thread, as an execution left it. */
export interface ThreadRecord {
  readonly name: string;
  /** STATE_* */
  readonly state: number;
  /** OP_* that it was about to execute, or that it sleeps in. */
  readonly kind: number;
  readonly loc: number;
  readonly steps: number;
  /** What it waits for the word to differ from, and what the word holds. */
  readonly expected: number;
  readonly holds: number | null;
  /** Words that it spins on. */
  readonly watched: readonly number[];
  /** Virtual ms until its wait times out; null for never. */
  readonly timeoutMs: number | null;
  readonly mail: ThreadMail;
}

/** An execution that failed, complete. */
export interface FailureRecord {
  /** OUTCOME_* */
  readonly outcome: number;
  readonly culprit: number;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly step: number;
  /** Step after which nothing changed any more: threads spun, or waited. */
  readonly progress: number;
  readonly hash: number;
  /** Seed of the execution. */
  readonly seed: number;
  /** Thread of each step; cut where the log ended. */
  readonly schedule: readonly number[];
  /** LOG_WORDS words per step. */
  readonly log: Int32Array;
  readonly threads: readonly ThreadRecord[];
  /** Where addresses are: byte length of each shared buffer of the state. */
  readonly buffers: readonly number[];
}

/** What a command came to. */
export interface RunResult {
  readonly executions: number;
  /** Executions that were cut short as equivalent to others. */
  readonly redundant: number;
  /** Executions that reached the bound on steps. */
  readonly bounded: number;
  readonly failures: number;
  readonly steps: number;
  readonly wallMs: number;
  /** Hash over the hashes of all executions, in order. */
  readonly hash: number;
  /** The strategy has nothing left to run. */
  readonly exhausted: boolean;
  /** The first failure. */
  readonly failure: FailureRecord | null;
  /** Pairs of lines that raced, each once, meant ones included; of all executions. */
  readonly races: readonly RaceReport[];
  /** Orders in which locks were taken that could deadlock: predictions. */
  readonly inversions: readonly LockInversion[];
  /** What the strategy has to say of itself. */
  readonly strategy: Readonly<Record<string, unknown>>;
}

export type ToWorker =
  | {
      readonly type: 'bind';
      readonly control: ControlBuffers;
      readonly names: readonly string[];
      readonly state: unknown;
      readonly race: RaceBuffers | null;
    }
  | { readonly type: 'run'; readonly settings: RunSettings };

export type FromWorker =
  /** The module has loaded. */
  | { readonly type: 'loaded' }
  /** The lead's scenario: thread names and state. */
  | {
      readonly type: 'scenario';
      readonly names: readonly string[];
      readonly state: unknown;
      readonly race: RaceBuffers | null;
      readonly options: Readonly<Record<string, unknown>>;
    }
  /** The scenario cannot be run: one line. */
  | { readonly type: 'bad'; readonly message: string }
  | { readonly type: 'bound' }
  | { readonly type: 'result'; readonly result: RunResult };
