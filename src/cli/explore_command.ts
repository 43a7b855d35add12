// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim explore FILE`: the interleavings of a scenario file. */
import process from 'node:process';
import type { Command } from 'commander';
import { oneLine, UsageError } from '../errors.ts';
import {
  type ExploreOptions,
  type ExploreReport,
  exploreReport,
  ScenarioError,
  STRATEGIES,
  summaryText,
} from '../harness/index.ts';
import { exploreByLitmus, exploreByTorture } from './explore_modes.ts';
import { ExploreMeter, type ExploreProgress } from './explore_progress.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { progressTarget } from './progress.ts';

const MODES = ['controlled', 'torture', 'litmus'];

/** Options of every mode. */
const MODE_FLAGS = ['mode', 'seconds', 'seed', 'hangMs', 'json', 'quiet'];

/** Options that are numbers, as the command line has them, and as `explore` does. */
const NUMBERS = {
  iterations: 'iterations',
  seconds: 'seconds',
  seed: 'seed',
  depth: 'depth',
  preemptions: 'preemptions',
  maxSteps: 'maxSteps',
  spinThreshold: 'spinThreshold',
  switchChance: 'switchChance',
  hangMs: 'hangMs',
} as const;

interface ExploreFlags extends Readonly<Partial<Record<keyof typeof NUMBERS, string>>> {
  readonly strategy?: string;
  readonly timeouts?: string;
  readonly race?: true;
  readonly include?: string[];
  readonly replay?: string;
  readonly replayDir?: string;
  readonly shrink: boolean;
  readonly html?: string;
  readonly json?: string;
  readonly mode: string;
  readonly quiet?: true;
}

function numberFlags(flags: ExploreFlags): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const [flag, name] of Object.entries(NUMBERS)) {
    const text = flags[flag as keyof typeof NUMBERS];
    if (text === undefined) continue;
    const value = /^-?\d+(\.\d+)?(e\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value)) {
      throw new UsageError(`${flagOf(name)}: '${oneLine(text, 40)}' is not a number`);
    }
    numbers[name] = value;
  }
  return numbers;
}

/** `maxSteps` as `--max-steps`. */
function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function exploreOptions(flags: ExploreFlags): ExploreOptions {
  const { strategy, timeouts, race, include, replay, replayDir, shrink, html } = flags;
  return {
    ...numberFlags(flags),
    ...(strategy === undefined ? {} : { strategy: strategy as 'mix' }),
    ...(timeouts === undefined ? {} : { timeouts: timeouts as 'any' }),
    ...(race === undefined ? {} : { race }),
    ...(include === undefined ? {} : { include }),
    ...(replay === undefined ? {} : { replay }),
    ...(replayDir === undefined ? {} : { replayDir }),
    ...(html === undefined ? {} : { html }),
    shrink,
    signal: interruptSignal,
  };
}

/** Torture and litmus take what they share with a controlled run. */
async function otherMode(file: string, flags: ExploreFlags): Promise<void> {
  for (const [name, value] of Object.entries(flags)) {
    if (MODE_FLAGS.includes(name) || (name === 'shrink' && value === true)) continue;
    const flag = name === 'shrink' ? '--no-shrink' : flagOf(name);
    throw new UsageError(`${flag}: not in --mode ${flags.mode}; leave it out`);
  }
  const { seconds, seed, hangMs } = numberFlags(flags);
  const options = {
    ...(seconds === undefined ? {} : { seconds }),
    ...(seed === undefined ? {} : { seed }),
    ...(hangMs === undefined ? {} : { hangMs }),
  };
  await checkWritable(flags.json);
  if (flags.mode === 'torture') return exploreByTorture(file, options, flags.json);
  return exploreByLitmus(file, options, flags.json);
}

async function exploreAction(file: string, flags: ExploreFlags): Promise<void> {
  if (!MODES.includes(flags.mode)) {
    throw new UsageError(`--mode: '${oneLine(flags.mode, 40)}'; give one of ${MODES.join(', ')}`);
  }
  if (flags.mode !== 'controlled') return otherMode(file, flags);
  const options = exploreOptions(flags);
  await checkWritable(flags.json);
  const meter = flags.quiet ? null : new ExploreMeter(progressTarget());
  let report: ExploreReport;
  try {
    const onProgress = (progress: ExploreProgress) => meter?.show(progress);
    report = await exploreReport(file, { ...options, onProgress });
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    const option = /^(\w+): /.exec(error.message)?.[1];
    const named = option !== undefined && option in options;
    throw new UsageError(named ? error.message.replace(/^\w+/, flagOf(option)) : error.message);
  } finally {
    meter?.end();
  }
  const { failure } = report;
  const text = [summaryText(report), ...(failure === null ? [] : ['', failure.text])].join('\n');
  await emitResult(jsonOf(report), `${text}\n`, flags.json);
  if (failure !== null) process.exitCode = 1;
  if (report.interrupted) process.exitCode = interruptedExitCode();
}

/** The report without what only the text needs. */
function jsonOf(report: ExploreReport): object {
  if (report.failure === null) return report;
  const { listing: _, ...failure } = report.failure;
  return { ...report, failure };
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

const MORE_HELP = [
  '',
  "A query after FILE is the module's own: 'x.scenario.mjs?variant=two' is how scenarios of this",
  'project choose a variant or a plant; docs/exploration.md lists them.',
  '',
  'Exit code: 0 held, 1 a schedule failed, 2 bad input, 130 interrupted.',
].join('\n');

/** Adds `explore` to the program. */
export function registerExploreCommand(program: Command): void {
  program
    .command('explore')
    .description('run a scenario file under one schedule of its threads after another')
    .argument('<file>', 'a module that exports setup, two or more thread functions, and check')
    .option('--strategy <name>', `${STRATEGIES.join(', ')} (default: mix, pct and random in turn)`)
    .option('--iterations <n>', 'executions, at most (default: 10000; dfs: no bound)')
    .option('--seconds <s>', 'time, at most (default: 10; dfs: 60)')
    .option('--seed <n>', 'seed of the first execution (default: 1)')
    .option('--depth <d>', 'pct: ordering constraints that a bug needs (default: 3)')
    .option('--preemptions <n>', 'dfs: preemptions of one execution, at most (default: no bound)')
    .option('--max-steps <n>', 'steps of one execution, more are a failure (default: 100000)')
    .option('--timeouts <when>', 'waits time out when idle, or at any step: idle, any')
    .option('--switch-chance <p>', 'random: chance to leave a thread, per step')
    .option('--spin-threshold <n>', 'unchanged re-reads that make a spinner (default: 4; dfs: 16)')
    .option('--race', 'look for data races on plain accesses')
    .option('--include <package>', 'race: look into this package too; may be repeated', collect)
    .option('--replay <file>', 'run the one schedule of a replay file')
    .option('--replay-dir <dir>', 'where the replay file of a failure goes (default: here)')
    .option('--no-shrink', 'report the schedule as it was found')
    .option('--hang-ms <ms>', 'a thread that makes no operation for so long hangs (default: 10000)')
    .option('--mode <mode>', MODES.join(', '), 'controlled')
    .option('--html <file>', 'write a failure as a page')
    .option('--json <file>', JSON_HELP)
    .option('-q, --quiet', 'show no progress')
    .addHelpText('after', MORE_HELP)
    .action(exploreAction);
}
