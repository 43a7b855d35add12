// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim torture [GROUP]`: every primitive on real threads, with checkers, for a time. */
import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { Command } from 'commander';
import { oneLine, UsageError } from '../errors.ts';
import { RECLAIM_TYPES, runReclaim } from '../torture/reclaim.ts';
import {
  formatTortureReport,
  TORTURE_SCHEMA,
  type TortureReport,
  typeLines,
} from '../torture/report.ts';
import { allHeld, type GroupOptions, type GroupReport, runTypes } from '../torture/run.ts';
import { packageVersion } from '../version.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { progressTarget } from './progress.ts';

/** Groups, in the order of a full run. */
const GROUPS = ['locks', 'rcu', 'rings', 'shrinker', 'reclaim'];
const DEFAULT_SECONDS = 60;

interface TortureFlags {
  readonly seconds?: string;
  readonly seed?: string;
  readonly threads?: string;
  readonly only?: string;
  readonly json?: string;
  readonly list?: true;
  readonly quiet?: true;
}

interface Bound {
  readonly low: number;
  readonly high: number;
  readonly integer: boolean;
}

/** @throws UsageError, one line */
function numberFlag(name: string, text: string | undefined, fallback: number, b: Bound): number {
  if (text === undefined) return fallback;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  const fits = value >= b.low && value <= b.high && (!b.integer || Number.isInteger(value));
  if (fits) return value;
  const what = b.integer ? 'an integer' : 'a number';
  const shown = oneLine(text, 40);
  throw new UsageError(`--${name}: '${shown}' will not do; give ${what} in ${b.low}..${b.high}`);
}

function chooseGroups(group: string | undefined): string[] {
  if (group === undefined || group === 'all') return GROUPS;
  if (GROUPS.includes(group)) return [group];
  const known = [...GROUPS, 'all'].join(', ');
  throw new UsageError(`torture: no group '${oneLine(group, 40)}'; give one of ${known}`);
}

/** The module of a group's types; the reclaim group has machines for types. */
function moduleOf(group: string): URL {
  if (group === 'locks') return new URL('../torture/locks.js', import.meta.url);
  if (group === 'rcu') return new URL('../torture/rcu.js', import.meta.url);
  if (group === 'shrinker') return new URL('../torture/shrinker.js', import.meta.url);
  return new URL('../torture/rings.js', import.meta.url);
}

async function typeNames(group: string): Promise<readonly string[]> {
  if (group === 'reclaim') return RECLAIM_TYPES;
  const module = (await import(moduleOf(group).href)) as { types: { name: string }[] };
  return module.types.map(({ name }) => name);
}

/** Types by name, and the groups that have any of them. */
async function chooseTypes(
  groups: readonly string[],
  only: string | undefined,
): Promise<Map<string, readonly string[] | null>> {
  const chosen = new Map<string, readonly string[] | null>();
  const left = new Set(only?.split(','));
  for (const group of groups) {
    if (only === undefined) chosen.set(group, null);
    else {
      const names = (await typeNames(group)).filter((name) => left.has(name));
      for (const name of names) left.delete(name);
      if (names.length > 0) chosen.set(group, names);
    }
  }
  const [unknown] = left;
  if (unknown === undefined) return chosen;
  const known = (await Promise.all(groups.map(typeNames))).flat().join(', ');
  throw new UsageError(`--only: no type '${oneLine(unknown, 40)}'; known are ${known}`);
}

/** What runs now: redrawn in place on a terminal; elsewhere a line for each type that is done. */
class TortureProgress {
  readonly #target = progressTarget();
  readonly #quiet: boolean;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  /** What is about to be done, for those who see no redrawn line. */
  begin(groups: readonly string[], seconds: number, threads: number, seed: number): void {
    if (this.#quiet) return;
    const how = `${seconds} s, ${threads} threads each or what a type needs, seed ${seed}`;
    this.#target.stream.write(`torture: ${groups.join(', ')}: ${how}\n`);
  }

  phase(group: string, type: string, phase: string): void {
    if (this.#quiet || !this.#target.live) return;
    this.#target.stream.write(`\r\x1b[K${group} ${type}: ${phase}`);
  }

  done(group: string, lines: readonly string[]): void {
    if (this.#quiet) return;
    this.end();
    this.#target.stream.write(`${lines[0] ?? group}\n`);
  }

  end(): void {
    if (this.#target.live && !this.#quiet) this.#target.stream.write('\r\x1b[K');
  }
}

function runGroup(
  group: string,
  options: GroupOptions,
  progress: TortureProgress,
): Promise<GroupReport> {
  const shown: GroupOptions = {
    ...options,
    onPhase: (type, phase) => progress.phase(group, type, phase),
    onType: (report) => progress.done(group, typeLines(group, report)),
  };
  return group === 'reclaim' ? runReclaim(shown) : runTypes(group, moduleOf(group), shown);
}

async function listTypes(groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    process.stdout.write(`${group}: ${(await typeNames(group)).join(' ')}\n`);
  }
}

async function tortureAction(group: string | undefined, flags: TortureFlags): Promise<void> {
  const groups = chooseGroups(group);
  if (flags.list) return listTypes(groups);
  const time = { low: 0.1, high: 1e6, integer: false };
  const seconds = numberFlag('seconds', flags.seconds, DEFAULT_SECONDS, time);
  const seed = numberFlag('seed', flags.seed, 1, { low: 0, high: 2 ** 32 - 1, integer: true });
  const cores = availableParallelism();
  const most = { low: 2, high: 60, integer: true };
  const threads = numberFlag('threads', flags.threads, Math.min(2 * cores, 60), most);
  const chosen = await chooseTypes(groups, flags.only);
  await checkWritable(flags.json);
  const progress = new TortureProgress(flags.quiet === true);
  progress.begin([...chosen.keys()], seconds, threads, seed);
  const reports: GroupReport[] = [];
  for (const [name, only] of chosen) {
    const share = seconds / chosen.size;
    const options = { seconds: share, threads, seed, only, signal: interruptSignal };
    reports.push(await runGroup(name, options, progress));
  }
  progress.end();
  const interrupted = interruptSignal.aborted;
  const passed = allHeld(reports.flatMap(({ types }) => types));
  const report: TortureReport = {
    schema: TORTURE_SCHEMA,
    version: packageVersion(),
    seed,
    seconds,
    threads,
    node: process.version,
    cpus: cores,
    passed,
    interrupted,
    groups: reports,
  };
  await emitResult(report, formatTortureReport(report), flags.json);
  if (passed === false) process.exitCode = 1;
  else if (interrupted) process.exitCode = interruptedExitCode();
}

/** Adds `torture` to the program. */
export function registerTortureCommand(program: Command): void {
  program
    .command('torture')
    .description('every primitive on real threads at full speed, with checkers')
    .argument('[group]', `${GROUPS.join(', ')}; default: all of them`)
    .option('--seconds <s>', `time of the whole, shared fairly (default: ${DEFAULT_SECONDS})`)
    .option('--seed <n>', 'seed of delays and draws (default: 1)')
    .option(
      '--threads <n>',
      'threads of each type, more where it needs them (default: twice the cores)',
    )
    .option('--only <types>', 'only these types, such as mutex,rwsem')
    .option('--list', 'name the types and end')
    .option('--json <file>', JSON_HELP)
    .option('-q, --quiet', 'show no progress')
    .addHelpText(
      'after',
      '\nEach type runs its broken variant first, which its checkers must catch.' +
        '\nExit code: 0 held, 1 a check failed or a broken variant was missed, 2 bad usage, ' +
        '130 interrupted.',
    )
    .action(tortureAction);
}
