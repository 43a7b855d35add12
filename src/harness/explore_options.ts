// SPDX-License-Identifier: MIT
/**
 * The options of an exploration: what there is, what is allowed, what holds when nothing is said.
 * Those that are given win over the scenario's own `options`, those over the defaults.
 */
import { PCT_DEPTH_MAX, TIMEOUTS_ANY, TIMEOUTS_IDLE } from './control.ts';
import { ScenarioError } from './errors.ts';
import type { Progress } from './explorer.ts';
import type { StrategySpec } from './make_strategy.ts';
import type { RunSettings } from './messages.ts';

export const STRATEGIES = ['mix', 'random', 'pct', 'round-robin', 'dfs'] as const;
export type StrategyName = (typeof STRATEGIES)[number];

/** What a scenario may set in its own `options`, and a caller too. */
export interface ScenarioOptions {
  /** `mix`, the default: PCT, even and persistent random walks in turn. */
  readonly strategy?: StrategyName;
  /** Of the first execution; each further one has the next. 1 when not given. */
  readonly seed?: number;
  /** Executions, at most; 10,000, for dfs no bound. */
  readonly iterations?: number;
  /** Wall time, at most; 10 s, for dfs 60 s. */
  readonly seconds?: number;
  /** PCT: ordering constraints that a bug needs; 3. */
  readonly depth?: number;
  /** dfs: switches away from a thread that could go on, at most; Infinity. */
  readonly preemptions?: number;
  /** dfs: run one execution of each kind instead of all interleavings; true. */
  readonly reduction?: boolean;
  /** Steps of one execution, at most: more is a failure; 100,000. */
  readonly maxSteps?: number;
  /** `idle`: waits time out when nothing else can happen; `any`: at any step, one more choice. */
  readonly timeouts?: 'idle' | 'any';
  /** ns of virtual time that a step takes; 100, for dfs always 0. */
  readonly tickNs?: number;
  /** Unchanged re-reads of every word that make a spinner; 4, for dfs 16. */
  readonly spinThreshold?: number;
  /** random: chance to leave a thread that could go on, per step; 1 picks evenly. */
  readonly switchChance?: number;
  /** Look for data races on plain accesses. */
  readonly race?: boolean;
  /** race: plain accesses are scheduling points too. */
  readonly plainPoints?: boolean;
  /** race: packages that are instrumented too. */
  readonly include?: readonly string[];
  /** A thread may compute, and a module may load, so long, in ms; 10,000. */
  readonly hangMs?: number;
}

export interface ExploreOptions extends ScenarioOptions {
  /** Replay this file instead of exploring. */
  readonly replay?: string;
  /** Folder for the replay file of a failure, the working directory; false: none is written. */
  readonly replayDir?: string | false;
  /** Name of that file; `<scenario>.replay.json`. */
  readonly replayName?: string;
  /** Make a failing schedule small; true. */
  readonly shrink?: boolean;
  /** Write a failure as a page to this file. */
  readonly html?: string;
  /** Ends the exploration after its current execution. */
  readonly signal?: AbortSignal;
  /** Called several times a second. */
  readonly onProgress?: (progress: Progress) => void;
}

/** All that counts for how executions run. */
export interface ResolvedOptions {
  readonly strategy: StrategyName;
  readonly seed: number;
  readonly iterations: number;
  readonly seconds: number;
  readonly depth: number;
  /** Infinity for no bound: null as JSON. */
  readonly preemptions: number;
  readonly reduction: boolean;
  readonly maxSteps: number;
  readonly timeouts: 'idle' | 'any';
  readonly tickNs: number;
  readonly spinThreshold: number;
  readonly switchChance: number;
  readonly race: boolean;
  readonly plainPoints: boolean;
  readonly include: readonly string[];
  readonly hangMs: number;
}

interface Rule {
  readonly holds: (value: unknown) => boolean;
  readonly wanted: string;
}

const integer = (min: number, max: number): Rule => ({
  holds: (value) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
  wanted: `an integer from ${min} to ${max}`,
});
const number = (min: number, max: number): Rule => ({
  holds: (value) => typeof value === 'number' && value >= min && value <= max,
  wanted: `a number from ${min} to ${max}`,
});
const oneOf = (names: readonly string[]): Rule => ({
  holds: (value) => names.includes(value as string),
  wanted: `one of ${names.join(', ')}`,
});
const kind = (type: string): Rule => ({
  holds: (value) => typeof value === type,
  wanted: `a ${type}`,
});

const SCENARIO_RULES: Readonly<Record<keyof ScenarioOptions, Rule>> = {
  strategy: oneOf(STRATEGIES),
  seed: integer(0, 2 ** 32 - 1),
  iterations: integer(1, 1e12),
  seconds: number(0.001, 1e7),
  depth: integer(1, PCT_DEPTH_MAX),
  preemptions: {
    holds: (value) => value === Infinity || integer(0, 1000).holds(value),
    wanted: 'an integer from 0 to 1000, or Infinity',
  },
  reduction: kind('boolean'),
  maxSteps: integer(1, 1e7),
  timeouts: oneOf(['idle', 'any']),
  tickNs: number(0, 1e12),
  spinThreshold: integer(1, 1e6),
  switchChance: number(0, 1),
  race: kind('boolean'),
  plainPoints: kind('boolean'),
  include: {
    holds: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
    wanted: 'a list of package names',
  },
  hangMs: integer(1, 1e9),
};

const CALLER_RULES: Readonly<Record<string, Rule>> = {
  ...SCENARIO_RULES,
  replay: kind('string'),
  replayDir: {
    holds: (value) => typeof value === 'string' || value === false,
    wanted: 'a folder, or false',
  },
  replayName: kind('string'),
  shrink: kind('boolean'),
  html: kind('string'),
  signal: { holds: (value) => value instanceof AbortSignal, wanted: 'an AbortSignal' },
  onProgress: kind('function'),
};

function check(
  rules: Readonly<Record<string, Rule>>,
  options: Readonly<Record<string, unknown>>,
  where: string,
): void {
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      const known = Object.keys(rules).join(', ');
      throw new ScenarioError(`${where}unknown option '${name}'; there are ${known}`);
    }
    if (value === undefined || rule.holds(value)) continue;
    const shown = typeof value === 'string' ? `'${value}'` : String(value);
    throw new ScenarioError(`${where}${name}: ${shown} will not do; give ${rule.wanted}`);
  }
}

/** @throws ScenarioError for an option that is not there, or a value that will not do */
export function checkOptions(options: ExploreOptions): void {
  check(CALLER_RULES, options as Readonly<Record<string, unknown>>, '');
}

/** @param file as messages name the scenario @throws ScenarioError as `checkOptions` does */
export function checkScenarioOptions(
  options: Readonly<Record<string, unknown>>,
  file: string,
): void {
  check(SCENARIO_RULES, options, `${file}: options: `);
}

function given<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}

/** Further looks that cost dfs no execution, see event_order.ts. */
const DFS_SPIN_THRESHOLD = 16;

/** Explicit options over the scenario's own over the defaults. @context both were checked */
export function resolveOptions(
  options: ExploreOptions,
  own: Readonly<Record<string, unknown>>,
): ResolvedOptions {
  const merged: ScenarioOptions = { ...given(own), ...given(options) };
  const dfs = merged.strategy === 'dfs';
  return {
    strategy: merged.strategy ?? 'mix',
    seed: merged.seed ?? 1,
    iterations: merged.iterations ?? (dfs ? 1e12 : 10_000),
    seconds: merged.seconds ?? (dfs ? 60 : 10),
    depth: merged.depth ?? 3,
    preemptions: merged.preemptions ?? Infinity,
    reduction: merged.reduction ?? true,
    maxSteps: merged.maxSteps ?? 100_000,
    timeouts: merged.timeouts ?? 'idle',
    // Equivalent executions differ in length: none may see it in the time.
    tickNs: dfs ? 0 : (merged.tickNs ?? 100),
    // A bounded retry that is taken for a spin is not seen to give up: better wait longer.
    spinThreshold: merged.spinThreshold ?? (dfs ? DFS_SPIN_THRESHOLD : 4),
    switchChance: merged.switchChance ?? 1,
    race: merged.race ?? false,
    plainPoints: merged.plainPoints ?? merged.race ?? false,
    include: merged.include ?? [],
    hangMs: merged.hangMs ?? 10_000,
  };
}

/** A persistent random walk stays with a thread for so many steps, in the mean, in `mix`. */
const MIX_SWITCH_CHANCE = 0.15;

/** @returns the strategy as the lead makes it */
export function strategySpec(options: ResolvedOptions): StrategySpec {
  const { seed, depth, switchChance, preemptions, reduction } = options;
  const pct: StrategySpec = { kind: 'pct', seed, depth };
  const random: StrategySpec = { kind: 'random', seed, switchChance };
  switch (options.strategy) {
    case 'pct':
      return pct;
    case 'random':
      return random;
    case 'round-robin':
      return { kind: 'round-robin' };
    case 'dfs':
      return {
        kind: 'dfs',
        seed,
        preemptions: preemptions === Infinity ? null : preemptions,
        reduction,
      };
    default:
      return {
        kind: 'mix',
        parts: [pct, random, { kind: 'random', seed, switchChance: MIX_SWITCH_CHANCE }],
      };
  }
}

/** @returns what a run of executions is told beside its strategy */
export function runSettings(options: ResolvedOptions): Omit<RunSettings, 'strategy'> {
  return {
    executions: options.iterations,
    ms: options.seconds * 1000,
    steps: options.maxSteps,
    tickNs: options.tickNs,
    timeouts: options.timeouts === 'any' ? TIMEOUTS_ANY : TIMEOUTS_IDLE,
    spinThreshold: options.spinThreshold,
    gateSpins: 3000,
    boundFails: true,
    trace: false,
    keepGoing: false,
  };
}
