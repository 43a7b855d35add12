// SPDX-License-Identifier: MIT
/**
 * From an execution that failed to what a person is told:
 *
 *   confirm   the same schedule, followed to the letter, fails again
 *   shrink    a smaller schedule that fails in the same way
 *   trace     that schedule once more, every step with its stack and its values
 *
 * All of it runs in the workers in which it failed, in a second or two.
 */
import { AddressNames } from './address_names.ts';
import { OUTCOME_RACE, OUTCOME_STEPS } from './control.ts';
import { diagnose } from './diagnosis.ts';
import type { ExploreFailure } from './explore_report.ts';
import type { Explorer } from './explorer.ts';
import { makeListing, readSteps } from './listing.ts';
import type { FailureRecord, RunSettings } from './messages.ts';
import { real } from './native.ts';
import {
  extendRounds,
  findRounds,
  type Rounds,
  type Runs,
  stepsOf,
  toRuns,
  toSteps,
} from './schedule.ts';
import { endsIdle, messageClass } from './shrink.ts';
import { readFrames, shownStack } from './stack_frames.ts';

type Settings = Omit<RunSettings, 'strategy'>;

/** A failure before it has a replay file and a text. */
export type Investigated = Omit<ExploreFailure, 'replayFile' | 'replayLine' | 'text'> & {
  /** Bound on steps with which the schedule fails. */
  readonly maxSteps: number;
};

/** Time that shrinking may take, in ms, and executions. */
const SHRINK_MS = 5000;
const SHRINK_EXECUTIONS = 50_000;
/** Of an execution without end so many steps are shrunk, shown and kept. */
const ENDLESS_STEPS = 2000;

export interface InvestigateOptions {
  readonly settings: Settings;
  readonly shrink: boolean;
  /** Races are looked for: the scenario's code is edited before it runs. */
  readonly race: boolean;
  /** Who found it. */
  readonly strategy: string;
}

/** Finds out all there is to know of a failure. @param found as the exploration recorded it */
export async function investigate(
  explorer: Explorer,
  found: FailureRecord,
  options: InvestigateOptions,
): Promise<Investigated> {
  const { settings } = options;
  const whole = toRuns(found.schedule);
  const confirmed = await followed(explorer, found, whole, settings);
  const parts = { explorer, found, options };
  if (confirmed === null) return assemble(parts, { last: found, runs: whole }, false, null);
  const started = real.now();
  const endless = confirmed.outcome === OUTCOME_STEPS;
  const bound = Math.min(settings.steps, endless ? ENDLESS_STEPS : Infinity);
  const short = { ...settings, steps: bound };
  const small = options.shrink ? await shrunk(explorer, confirmed, short) : null;
  const took = small === null ? null : { executions: small.executions, ms: real.now() - started };
  const good =
    small !== null && (!endless || (await goesOn(explorer, found, small.runs, settings)));
  // What was shrunk last, and what was found first, should that not fail after all.
  const tries = [
    ...(good ? [{ runs: small.runs, settings: short }] : []),
    { runs: toRuns(confirmed.schedule), settings },
  ];
  for (const { runs, settings: how } of tries) {
    const last = await followed(explorer, found, runs, { ...how, trace: true });
    if (last !== null) return assemble(parts, { last, runs }, true, took);
  }
  return assemble(parts, { last: confirmed, runs: whole }, false, took);
}

/** @returns true for two failures of one kind */
export function alike(a: FailureRecord, b: FailureRecord): boolean {
  return a.outcome === b.outcome && messageClass(a.message) === messageClass(b.message);
}

/** Runs a schedule once. @returns how it failed; null when it did not fail in the same way */
async function followed(
  explorer: Explorer,
  found: FailureRecord,
  runs: Runs,
  settings: Settings,
): Promise<FailureRecord | null> {
  const schedule = toSteps(runs);
  const strategy = { kind: 'replay', schedule, seed: found.seed >>> 0 } as const;
  const { failure } = await explorer.run({ ...settings, executions: 1, strategy });
  return failure !== null && alike(failure, found) ? failure : null;
}

/** A short schedule without end goes on in rounds, to the bound at which it was found. */
async function goesOn(
  explorer: Explorer,
  found: FailureRecord,
  runs: Runs,
  settings: Settings,
): Promise<boolean> {
  const schedule = toSteps(runs);
  const rounds = findRounds(schedule);
  if (rounds === null) return false;
  const whole = toRuns(extendRounds(schedule, rounds, settings.steps));
  return (await followed(explorer, found, whole, settings)) !== null;
}

async function shrunk(
  explorer: Explorer,
  failure: FailureRecord,
  settings: Settings,
): Promise<{ runs: Runs; executions: number } | null> {
  const result = await explorer.run({
    ...settings,
    executions: SHRINK_EXECUTIONS,
    ms: SHRINK_MS,
    keepGoing: true,
    strategy: {
      kind: 'shrink',
      runs: firstSteps(failure, settings.steps),
      seed: failure.seed >>> 0,
    },
  });
  const { found, runs } = result.strategy as { found: boolean; runs: Runs };
  return found ? { runs, executions: result.executions } : null;
}

/** First step of those that change nothing any more. */
function idleFrom(failure: FailureRecord): number {
  const { schedule, outcome, progress } = failure;
  return endsIdle(outcome) ? Math.min(progress + 1, schedule.length) : schedule.length;
}

function firstSteps(failure: FailureRecord, steps: number): Runs {
  return toRuns(failure.schedule, Math.min(idleFrom(failure), steps));
}

function countedRuns(failure: FailureRecord): Runs {
  return toRuns(failure.schedule, idleFrom(failure));
}

interface Parts {
  readonly explorer: Explorer;
  readonly found: FailureRecord;
  readonly options: InvestigateOptions;
}

/** @param told the execution to report, and the schedule that leads to it */
function assemble(
  { explorer, found, options }: Parts,
  told: { readonly last: FailureRecord; readonly runs: Runs },
  reproducible: boolean,
  shrink: ExploreFailure['shrink'],
): Investigated {
  const { last } = told;
  const steps = readSteps(last);
  const places = new AddressNames(explorer.state);
  const { kind, title, threads, facts } = diagnose(last, steps, places, found.step);
  const names = explorer.names;
  const rounds = last.outcome === OUTCOME_STEPS ? findRounds(last.schedule) : null;
  const counts = countsOf(last, rounds);
  return {
    kind,
    title,
    message: last.message,
    thread: names[last.culprit] ?? null,
    stack: hasStack(last) ? shownStack(readFrames(last.stack)) : [],
    threads,
    facts,
    reproducible,
    strategy: options.strategy,
    seed: found.seed >>> 0,
    ...counts,
    found: countsOf(found, null),
    maxSteps: last.outcome === OUTCOME_STEPS ? last.step : options.settings.steps,
    shrink,
    schedule: told.runs,
    hash: last.hash,
    listing: makeListing({
      ...{ steps, names, places, edited: options.race },
      idleFrom: idleFrom(last),
    }),
  };
}

/** Its stack says where it failed, not where it was stopped. */
function hasStack({ outcome, name }: FailureRecord): boolean {
  return outcome !== OUTCOME_RACE && name !== 'ExecutionAborted';
}

/** Steps and switches that a reader has to follow: of rounds without end, the first. */
function countsOf(
  failure: FailureRecord,
  rounds: Rounds | null,
): { steps: number; switches: number } {
  const way = rounds === null ? null : toRuns(failure.schedule, rounds.from + rounds.steps);
  const runs = way ?? countedRuns(failure);
  return { steps: stepsOf(runs), switches: Math.max(runs.length - 1, 0) };
}
