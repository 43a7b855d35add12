// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce shrinker`: the published figures of slab shrinkers beside ours. */
import { availableParallelism, loadavg } from 'node:os';
import process from 'node:process';
import { oneLine, UsageError } from '../errors.ts';
import { SEED_AFTER, SEED_BEFORE } from '../profile/seed_tables.ts';
import { EXPERIMENTS, runShrinker, type ShrinkerResult } from '../report/reproduce_shrinker.ts';
import { formatShrinker } from '../report/shrinker_text.ts';
import { churnVerdict, hotVerdict, skippedVerdict } from '../report/shrinker_verdicts.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult } from './output.ts';
import { writeFlame } from './profile_output.ts';
import { integer, integers } from './reproduce_integers.ts';

export interface ReproduceShrinkerOptions {
  readonly runs?: string;
  readonly memcgs?: string;
  readonly threads?: string;
  readonly quick?: true;
  readonly only?: string;
  readonly flame?: string;
  readonly json?: string;
}

/** The seed's groups; a sample's times; repeats. */
const DEFAULTS = { memcgs: 4000, warmMs: 300, ms: 600, runs: 5, threads: [1, 2, 4, 8] };
const QUICK = { memcgs: 200, warmMs: 50, ms: 100, runs: 1, threads: [1, 2] };

/** Exit code when a machine broke. */
const EXIT_PANIC = 3;

const MEMCGS_MAX = 60_000;
const THREADS_MAX = 32;

function planOf(options: ReproduceShrinkerOptions): typeof DEFAULTS {
  const plan = options.quick === true ? QUICK : DEFAULTS;
  const { runs, memcgs, threads } = options;
  return {
    ...plan,
    ...(runs === undefined ? {} : { runs: integer('runs', runs, 1, 99) }),
    ...(memcgs === undefined ? {} : { memcgs: integer('memcgs', memcgs, 4, MEMCGS_MAX) }),
    ...(threads === undefined ? {} : { threads: integers('threads', threads, 1, THREADS_MAX) }),
  };
}

/** @throws UsageError where nothing would run, or nothing that a flame graph shows */
function checkOnly(only: string, flame: string | undefined): void {
  const chosen = EXPERIMENTS.filter((name) => name.includes(only));
  if (chosen.length === 0) {
    const known = EXPERIMENTS.join(', ');
    throw new UsageError(`--only: no experiment '${oneLine(only, 40)}'; known are ${known}`);
  }
  if (flame === undefined || chosen.includes('hot spots')) return;
  throw new UsageError(
    `--flame: shows hot spots, which --only ${only} leaves out; drop one of them`,
  );
}

const SEED_FIGURE = {
  before: SEED_BEFORE,
  after: SEED_AFTER,
  lockShareBefore: 54.9,
  rcuShareAfter: 5.79,
  churnSrcuToBefore: 1 - 0.888,
};

/** Says so when others want the cores too: shares stand that, rates do not. */
function loadLine(load: number, cores: number): string {
  const line = `load of the machine before: ${load.toFixed(1)} on ${cores} cores`;
  return load <= cores / 2 ? line : `${line}: it was busy, and the rates of churn say little`;
}

function resultOf(result: ShrinkerResult, plan: typeof DEFAULTS, load: number) {
  const cores = availableParallelism();
  const { hot, churn, runs } = result;
  const verdicts = {
    hotSpots: hotVerdict(hot, cores),
    churn: churnVerdict(churn),
    failedTrylocks: skippedVerdict(churn),
  };
  return {
    schema: 'kreclaim.reproduce/1',
    name: 'shrinker',
    node: process.version,
    cores,
    load,
    plan,
    seedFigure: SEED_FIGURE,
    measured: { hotSpots: hot, churn },
    runs,
    verdicts,
    verdict: Object.values(verdicts)
      .map(({ text }) => text)
      .join('\n'),
    interrupted: interruptSignal.aborted,
    panic: result.failure === null ? null : oneLine(result.failure.message, 500),
  };
}

/** Runs all of it and reports. */
export async function reproduceShrinker(options: ReproduceShrinkerOptions): Promise<void> {
  const plan = planOf(options);
  const { only = '' } = options;
  checkOnly(only, options.flame);
  await checkWritable(options.json);
  await checkWritable(options.flame);
  const onSample = (done: number, total: number, what: string): void => {
    process.stderr.write(`${done} of ${total}: ${what}\n`);
  };
  const load = loadavg()[0] as number;
  const measured = await runShrinker({ ...plan, only, signal: interruptSignal, onSample });
  const result = resultOf(measured, plan, load);
  if (options.flame !== undefined && measured.tree.children.size > 0) {
    const remark = `${plan.memcgs} groups; threads that walk, by policy; functions out of line`;
    await writeFlame(measured.tree, options.flame, 'Slab shrinkers', remark);
  }
  const lines = [formatShrinker(measured), loadLine(load, result.cores), '', result.verdict];
  const text = `${lines.join('\n')}\n`;
  await emitResult(result, text, options.json);
  if (measured.failure !== null) {
    process.stderr.write(`kreclaim: ${measured.failure.message}\n`);
    process.exitCode = EXIT_PANIC;
  } else if (interruptSignal.aborted) process.exitCode = interruptedExitCode();
}
