// SPDX-License-Identifier: MIT
/**
 * `explore`: what a test calls, and `exploreReport`, which the command line calls.
 *
 *   await explore(new URL('./queue.scenario.js', import.meta.url), { seconds: 5 });
 *
 * It runs the scenario under one schedule after another until one fails or the budget is used. A
 * failure is confirmed, shrunk, written to a replay file and described (see investigate.ts).
 */
import { existsSync, statSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AddressNames } from './address_names.ts';
import { OUTCOME_DIVERGED, OUTCOME_THREW } from './control.ts';
import { ScenarioError } from './errors.ts';
import {
  checkOptions,
  checkScenarioOptions,
  type ExploreOptions,
  type ResolvedOptions,
  resolveOptions,
  runSettings,
  strategySpec,
} from './explore_options.ts';
import { EXPLORE_SCHEMA, type ExploreFailure, type ExploreReport } from './explore_report.ts';
import { Explorer } from './explorer.ts';
import { failureText } from './failure_text.ts';
import { failurePage } from './html.ts';
import { type Investigated, investigate } from './investigate.ts';
import { findSyntaxError } from './local_modules.ts';
import type { LockInversion } from './lock_order.ts';
import type { StrategySpec } from './make_strategy.ts';
import type { FailureRecord, RunResult } from './messages.ts';
import {
  checkFile,
  checkFolder,
  checkSources,
  type Replay,
  readReplay,
  writeAtomic,
  writeReplay,
} from './replay_file.ts';
import { toSteps } from './schedule.ts';
import { messageClass } from './shrink.ts';
import { shownPath } from './stack_frames.ts';
import { collectBuffers } from './state.ts';

/** The scenario failed: the message is the whole report, with the line that replays it. */
export class ScenarioFailure extends Error {
  override readonly name = 'ScenarioFailure';
  readonly report: ExploreReport;

  constructor(report: ExploreReport) {
    super(report.failure?.text ?? 'the scenario failed');
    this.report = report;
  }
}

/**
 * Explores the interleavings of a scenario file.
 * @param scenario URL or path of its module
 * @returns what was run, when no schedule failed
 * @throws ScenarioFailure when one did; ScenarioError for a scenario that cannot be run, or options
 * that will not do
 */
export async function explore(
  scenario: URL | string,
  options: ExploreOptions = {},
): Promise<ExploreReport> {
  const report = await exploreReport(scenario, options);
  if (report.failure !== null) throw new ScenarioFailure(report);
  return report;
}

/** As `explore`, but a failure is part of what it returns. @throws ScenarioError */
export async function exploreReport(
  scenario: URL | string,
  options: ExploreOptions = {},
): Promise<ExploreReport> {
  checkOptions(options);
  const place = placeOf(scenario);
  if (typeof options.replayDir === 'string') checkFolder('replayDir', options.replayDir);
  if (options.html !== undefined) checkFile('html', options.html);
  const { file, query } = place;
  const replay = options.replay === undefined ? null : readReplay(options.replay);
  if (replay !== null) checkSources(replay, options.replay as string, file, query);
  try {
    return await exploreFile(place, options, replay);
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    throw new ScenarioError(error.message.replaceAll(file, shownPath(file)));
  }
}

async function exploreFile(
  place: Place,
  options: ExploreOptions,
  replay: Replay | null,
): Promise<ExploreReport> {
  const { explorer, resolved } = await openExplorer(place, options, replay);
  const stop = (): void => explorer.stop();
  options.signal?.addEventListener('abort', stop);
  try {
    return await run(explorer, { ...place, options, resolved, replay });
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await explorer.close();
  }
}

/** Where a scenario is: a query is part of what its module sees, and none of its path. */
interface Place {
  readonly file: string;
  /** Empty, or from `?` on. */
  readonly query: string;
}

function placeOf(scenario: URL | string): Place {
  const isUrl = scenario instanceof URL || scenario.startsWith('file:');
  const text = isUrl ? '' : String(scenario);
  // A path may have a question mark in it; a query comes after what is there.
  const cut = isUrl || existsSync(text) ? -1 : text.indexOf('?');
  const file = isUrl ? fileURLToPath(scenario) : resolve(cut < 0 ? text : text.slice(0, cut));
  const query = isUrl ? new URL(scenario).search : cut < 0 ? '' : text.slice(cut);
  if (!existsSync(file)) throw new ScenarioError(`${shownPath(file)}: no such file`);
  if (!statSync(file).isFile()) throw new ScenarioError(`${shownPath(file)}: is not a file`);
  return { file, query };
}

/** What must be known before a scenario's own options can be. */
function openOptions(resolved: ResolvedOptions): Parameters<typeof Explorer.open>[1] & object {
  const { race, plainPoints, include, hangMs, maxSteps } = resolved;
  return { race, plainPoints, include, hangMs, capacity: Math.max(1 << 17, maxSteps + 1) };
}

/** Loads the scenario; again, when its own options ask for other workers. */
async function openExplorer(
  place: Place,
  options: ExploreOptions,
  replay: Replay | null,
): Promise<{ explorer: Explorer; resolved: ResolvedOptions }> {
  const explicit: ExploreOptions = { ...options, ...replay?.options };
  const first = resolveOptions(explicit, {});
  let explorer = await load(place, first);
  try {
    checkScenarioOptions(explorer.options, shownPath(place.file));
    const resolved = resolveOptions(explicit, explorer.options);
    if (JSON.stringify(openOptions(first)) !== JSON.stringify(openOptions(resolved))) {
      await explorer.close();
      explorer = await load(place, resolved);
    }
    return { explorer, resolved };
  } catch (error) {
    await explorer.close();
    throw error;
  }
}

async function load({ file, query }: Place, resolved: ResolvedOptions): Promise<Explorer> {
  try {
    return await Explorer.open(new URL(query, pathToFileURL(file)), openOptions(resolved));
  } catch (error) {
    if (!(error instanceof ScenarioError) || !/ SyntaxError: /.test(error.message)) throw error;
    throw new ScenarioError(findSyntaxError(file) ?? error.message);
  }
}

interface Task extends Place {
  readonly options: ExploreOptions;
  readonly resolved: ResolvedOptions;
  readonly replay: Replay | null;
}

async function run(explorer: Explorer, task: Task): Promise<ExploreReport> {
  const { file, options, resolved, replay } = task;
  const aborted = options.signal?.aborted === true;
  const settings = { ...runSettings(resolved), ...(aborted ? { executions: 0 } : {}) };
  const strategy = replay === null ? strategySpec(resolved) : replaySpec(explorer, task, replay);
  const result = await explorer.run({ ...settings, strategy }, options.onProgress);
  if (result.strategy.diverged === true) {
    throw new ScenarioError(
      `${file}: does something else when the same schedule is run again: ` +
        'its threads depend on more than the state that setup made',
    );
  }
  if (replay !== null) checkReplayed(result, options.replay as string, replay);
  let failure: ExploreFailure | null = null;
  if (result.failure !== null) {
    refuseMisuse(result.failure, explorer.names, file);
    const shrink = (options.shrink ?? true) && replay === null;
    const by = replay?.strategy ?? finderOf(result, resolved.strategy);
    const { race } = resolved;
    const how = { settings, shrink, race, strategy: by };
    const found = await investigate(explorer, result.failure, how);
    const origin = replay === null ? {} : { found: replay.found };
    failure = finish({ ...found, ...origin }, explorer.names, task);
  }
  const report: ExploreReport = {
    schema: EXPLORE_SCHEMA,
    mode: 'controlled',
    scenario: file,
    threads: explorer.names,
    options: resolved,
    replayed: options.replay ?? null,
    executions: result.executions,
    redundant: result.redundant,
    steps: result.steps,
    wallMs: result.wallMs,
    hash: result.hash,
    exhausted: result.exhausted,
    races: result.races,
    inversions: readable(result.inversions, explorer),
    interrupted: options.signal?.aborted ?? false,
    sharedBytes: sharedBytes(explorer.state),
    figures: result.strategy,
    failure,
  };
  if (options.html !== undefined && failure !== null)
    writeAtomic(options.html, failurePage(report));
  return report;
}

/** Predictions know threads and words by number. */
function readable(inversions: readonly LockInversion[], explorer: Explorer): LockInversion[] {
  const places = new AddressNames(explorer.state);
  return inversions.map((inversion) => ({
    ...inversion,
    message: inversion.message
      .replace(/\bthread (\d+) takes/g, (_, t) => `${explorer.names[Number(t)]} takes`)
      .replace(/the lock at (\d+)/g, (_, address) => places.name(Number(address), 4)),
  }));
}

function sharedBytes(state: unknown): number {
  return collectBuffers(state).shared.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** @throws ScenarioError when the harness stopped a thread for what it may not do */
function refuseMisuse(failure: FailureRecord, names: readonly string[], file: string): void {
  if (failure.outcome !== OUTCOME_THREW || failure.name !== 'ScenarioError') return;
  throw new ScenarioError(`${file}: thread ${names[failure.culprit]}: ${failure.message}`);
}

/** Of strategies in turn, the one that ran last. */
function finderOf(result: RunResult, strategy: string): string {
  const { last } = result.strategy;
  return typeof last === 'string' ? last : strategy;
}

function replaySpec(explorer: Explorer, task: Task, replay: Replay): StrategySpec {
  const { names } = explorer;
  if (names.join() !== replay.threads.join()) {
    const was = replay.threads.join(', ');
    throw new ScenarioError(
      `${task.options.replay}: is of threads ${was}; not of ${names.join(', ')}`,
    );
  }
  return { kind: 'replay', schedule: toSteps(replay.schedule), seed: replay.seed };
}

/** @throws ScenarioError when a replay did not go as recorded */
function checkReplayed(result: RunResult, path: string, replay: Replay): void {
  const { failure } = result;
  const why = 'does it depend on more than its schedule, or is this another Node?';
  if (failure === null) {
    throw new ScenarioError(
      `${path}: diverged: did not fail (recorded: ${replay.outcome}); ${why}`,
    );
  }
  if (failure.outcome === OUTCOME_DIVERGED) {
    const who = replay.threads[failure.culprit] ?? 'a thread';
    const what = `thread ${who} cannot take step ${failure.step}`;
    throw new ScenarioError(`${path}: diverged: ${what}; ${why}`);
  }
  if (failure.hash === replay.hash) return;
  if (messageClass(failure.message) === messageClass(replay.message)) return;
  throw new ScenarioError(`${path}: diverged: failed in another way (${failure.message}); ${why}`);
}

/** Writes the replay file and the text. */
function finish(found: Investigated, names: readonly string[], task: Task): ExploreFailure {
  const { file, query, options, resolved, replay } = task;
  let replayFile = replay === null ? null : (options.replay as string);
  let { facts } = found;
  if (replay === null && found.reproducible && options.replayDir !== false) {
    const { timeouts, tickNs, spinThreshold, race, plainPoints, include } = resolved;
    const recorded = {
      threads: names,
      options: {
        maxSteps: found.maxSteps,
        timeouts,
        tickNs,
        spinThreshold,
        race,
        plainPoints,
        include,
      },
      strategy: found.strategy,
      seed: found.seed,
      found: found.found,
      schedule: found.schedule,
      hash: found.hash,
      outcome: found.kind,
      message: found.message,
    };
    const name = options.replayName ?? `${basename(file).replace(/\.\w+$/, '')}.replay.json`;
    try {
      replayFile = writeReplay(recorded, { file, query }, resolve(options.replayDir ?? '.'), name);
    } catch (error) {
      // What was found is worth more than its file.
      if (!(error instanceof ScenarioError)) throw error;
      facts = [...facts, `no replay file: ${error.message}`];
    }
  }
  const replayLine = replayFile === null ? null : lineOf(`${file}${query}`, replayFile);
  const failure = { ...found, facts, replayFile, replayLine };
  return { ...failure, text: failureText(failure, file, names) };
}

/** The command that replays a file, from the working directory. */
function lineOf(file: string, replayFile: string): string {
  const paths = [file, replayFile].map((path) => {
    const shown = relative(process.cwd(), resolve(path));
    return /^[\w./@+-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
  });
  return `kreclaim explore ${paths[0]} --replay ${paths[1]}`;
}
