// SPDX-License-Identifier: MIT
/**
 * The replay file: one failing execution, as JSON.
 *
 *   schema     kreclaim.replay/1; another number is another format
 *   package, node   versions that recorded it
 *   scenario   its module, relative to this file, and `sources`: sha256 of that and of what it
 *              imports of its own. Other bytes are another program: its steps are not these
 *   options    those that decide what a step is
 *   strategy, seed   how it was found; the seed is of the threads' own chance too
 *   found      how long it was before it was shrunk
 *   schedule   [thread, steps] after [thread, steps]; after the last, the running thread goes on
 *   hash, outcome, message   what came of it
 *
 * It is written beside its final name and renamed, so nobody ever reads half of one.
 */
import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { ScenarioError } from './errors.ts';
import { fileDigest, localModules, moduleDigests, portable } from './local_modules.ts';
import type { Runs } from './schedule.ts';

export const REPLAY_SCHEMA = 'kreclaim.replay/1';

/** Options that decide what a step is, and when an execution fails. */
export interface ReplayOptions {
  readonly maxSteps: number;
  readonly timeouts: 'idle' | 'any';
  readonly tickNs: number;
  readonly spinThreshold: number;
  readonly race: boolean;
  readonly plainPoints: boolean;
  readonly include: readonly string[];
}

export interface Replay {
  readonly schema: typeof REPLAY_SCHEMA;
  readonly package: string;
  readonly node: string;
  readonly scenario: string;
  /** Of the scenario's URL: empty, or from `?` on. */
  readonly query: string;
  readonly sources: Readonly<Record<string, string>>;
  readonly threads: readonly string[];
  readonly options: ReplayOptions;
  readonly strategy: string;
  readonly seed: number;
  readonly schedule: Runs;
  /** Steps and context switches before it was shrunk. */
  readonly found: { readonly steps: number; readonly switches: number };
  readonly hash: number;
  readonly outcome: string;
  readonly message: string;
}

/** What an exploration knows of a failure; the rest the file finds out itself. */
export type Recorded = Omit<
  Replay,
  'schema' | 'package' | 'node' | 'scenario' | 'query' | 'sources'
>;

/** Version of this package. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { version: unknown }).version);
}

/** Names tried when a file of that name is another scenario's. */
const NAMES_MAX = 1000;

/**
 * Writes a replay file. One of the same scenario is replaced; of any other file the name is left
 * alone and the next one free is taken.
 * @param scenario absolute path, and query @param folder absolute path
 * @returns its path
 * @throws ScenarioError where it cannot be written
 */
export function writeReplay(
  recorded: Recorded,
  scenario: { readonly file: string; readonly query: string },
  folder: string,
  name: string,
): string {
  const { file, query } = scenario;
  const path = freePath(file, folder, name);
  const replay: Replay = {
    schema: REPLAY_SCHEMA,
    package: packageVersion(),
    node: process.version,
    scenario: portable(relative(folder, file)),
    query,
    sources: moduleDigests(localModules(file), folder),
    ...recorded,
  };
  writeAtomic(path, replayText(replay));
  return path;
}

function replayText(replay: Replay): string {
  const { schedule, ...rest } = replay;
  const text = JSON.stringify({ ...rest, schedule: [] }, null, 2);
  // One line for the schedule, which is long.
  return `${text.replace(/"schedule": \[\]/, `"schedule": ${JSON.stringify(schedule)}`)}\n`;
}

/**
 * Finds out before a long run whether its outcome could be written.
 * @param option as messages name it
 * @throws ScenarioError when the folder is not there, or not to be written to
 */
export function checkFolder(option: string, folder: string): void {
  try {
    if (!statSync(folder).isDirectory()) throw new Error('it is not a folder');
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new ScenarioError(`${option}: '${folder}' cannot be written to: ${reasonOf(error)}`);
  }
}

/** @throws ScenarioError where a file of that path cannot be written */
export function checkFile(option: string, path: string): void {
  checkFolder(option, dirname(path));
  if (existsSync(path) && statSync(path).isDirectory()) {
    throw new ScenarioError(`${option}: '${path}' is a folder; give a file`);
  }
}

/** A file system error without the call and the paths. */
function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/^E[A-Z]+: /, '').split(', ')[0] as string;
}

/** Writes a file at once or not at all. @throws ScenarioError where it cannot be written */
export function writeAtomic(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new ScenarioError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
}

function freePath(scenario: string, folder: string, name: string): string {
  const stem = name.replace(/(\.replay)?\.json$/, '');
  for (let n = 1; n < NAMES_MAX; n++) {
    const path = join(folder, n === 1 ? name : `${stem}.${n}.replay.json`);
    if (!existsSync(path) || scenarioOf(path) === scenario) return path;
  }
  throw new ScenarioError(`${join(folder, name)}: exists, and is not of this scenario`);
}

/** @returns path of the scenario that a replay file is of; null when it is none */
function scenarioOf(path: string): string | null {
  try {
    return resolve(dirname(path), readReplay(path).scenario);
  } catch {
    return null;
  }
}

/** @throws ScenarioError, one line, for a file that is not there, damaged, or another's */
export function readReplay(path: string): Replay {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ScenarioError(`${path}: ${code === 'ENOENT' ? 'no such file' : message}`);
  }
  return checkReplay(parseJson(text, path), path);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const before = text.slice(0, faultyFrom(text)).split('\n');
    const where = `line ${before.length} column ${(before.at(-1) ?? '').length + 1}`;
    throw new ScenarioError(`${path}: ${where}: not JSON, so not a replay file`);
  }
}

/** Offset of what makes a text no JSON: Node says it in some versions and for some errors only. */
function faultyFrom(text: string): number {
  let low = 0;
  let high = text.length;
  // The longest beginning that could still become JSON.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (mayGoOn(text.slice(0, middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

function mayGoOn(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? -1);
    return /end of JSON|Unterminated/.test(message) || position >= text.length;
  }
}

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown): boolean => typeof value === 'string';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  package: isText,
  node: isText,
  scenario: isText,
  query: isText,
  sources: (value) => isObject(value) && Object.values(value).every(isText),
  threads: (value) => isTexts(value) && (value as string[]).length >= 2,
  options: isObject,
  'options.maxSteps': isCount,
  'options.timeouts': (value) => value === 'idle' || value === 'any',
  'options.tickNs': (value) => typeof value === 'number' && value >= 0,
  'options.spinThreshold': isCount,
  'options.race': isFlag,
  'options.plainPoints': isFlag,
  'options.include': isTexts,
  strategy: isText,
  seed: isCount,
  schedule: Array.isArray,
  found: isObject,
  'found.steps': isCount,
  'found.switches': isCount,
  hash: isCount,
  outcome: isText,
  message: isText,
};

function checkReplay(value: unknown, path: string): Replay {
  if (!isObject(value) || !isText(value.schema)) {
    throw new ScenarioError(`${path}: schema: missing, so not a replay file`);
  }
  if (value.schema !== REPLAY_SCHEMA) {
    const found = JSON.stringify(value.schema).slice(0, 60);
    throw new ScenarioError(`${path}: schema: ${found}, this version reads ${REPLAY_SCHEMA}`);
  }
  for (const [name, holds] of Object.entries(FIELDS)) {
    const [outer = '', inner] = name.split('.');
    const field = inner === undefined ? value[outer] : (value[outer] as Fields)[inner];
    if (!holds(field)) throw new ScenarioError(`${path}: ${name}: missing or damaged`);
  }
  const replay = value as unknown as Replay;
  replay.schedule.forEach((run, i) => {
    const good = Array.isArray(run) && run.length === 2 && isCount(run[0]) && isCount(run[1]);
    if (!good || run[0] >= replay.threads.length) {
      throw new ScenarioError(`${path}: schedule[${i}]: not [thread, steps] of its threads`);
    }
  });
  return replay;
}

/**
 * Finds out whether a replay is of a scenario as it is now.
 * @param path of the replay file @param scenario absolute path @param query of its URL
 * @throws ScenarioError when it is of another, or its source has changed
 */
export function checkSources(replay: Replay, path: string, scenario: string, query: string): void {
  const folder = dirname(resolve(path));
  const recorded = resolve(folder, replay.scenario);
  const digest = replay.sources[replay.scenario];
  const moved = recorded !== scenario && fileDigest(scenario) !== digest;
  if (moved || query !== replay.query) {
    throw new ScenarioError(
      `${path}: is a replay of ${replay.scenario}${replay.query}, another scenario`,
    );
  }
  const base = resolve(scenario, relative(recorded, folder));
  for (const [name, was] of Object.entries(replay.sources)) {
    const file = resolve(base, name);
    if (fileDigest(file) === was) continue;
    const what = existsSync(file) ? 'has changed since' : 'is not there any more';
    throw new ScenarioError(`${path}: ${name} ${what}: this replay does not fit it; explore again`);
  }
}
