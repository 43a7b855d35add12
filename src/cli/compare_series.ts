// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim compare SCENARIO|TRACE... --toggle NAME=a,b`: makes the runs of both sides. */
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ktimeNs } from '../../shared/ktime.ts';
import { resolveMachine } from '../config.ts';
import type { FullConfig } from '../config_schema.ts';
import { failureReason } from '../deterministic/seed_result.ts';
import { oneLine, UsageError } from '../errors.ts';
import type { CompareRun, SideName } from '../report/compare/compare_report.ts';
import { countersOf, needsRealTime } from '../report/compare/counters.ts';
import { runSeries, type Step, stepsOf } from '../report/compare/series.ts';
import { type RunReport, reportExitCode } from '../report/run_report.ts';
import { fileError, writeFileAtomic } from '../workload/trace_bytes.ts';
import { type CompareFlags, type CompareHow, parseRuns, SAME_DEFAULT } from './compare_options.ts';
import { CompareProgress } from './compare_progress.ts';
import type { Compared } from './compare_result.ts';
import { makeRunner } from './compare_runner.ts';
import type { CompareOutcome, CompareTask } from './compare_task.ts';
import { parseToggle, toggledFlags } from './compare_toggle.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { refuseLaterOptions } from './later.ts';
import { choose, type RunFlags } from './run_command.ts';
import { parseJobs } from './seeds_action.ts';

const EXIT_PANIC = 3;

/** A side's machine, as its first run resolves it. */
interface SidePlan {
  readonly config: FullConfig;
  /** Everything that says what runs, as text. */
  readonly key: string;
}

/** @throws UsageError for what cannot run */
async function planSide(inputs: readonly string[], flags: RunFlags): Promise<SidePlan> {
  refuseLaterOptions(flags as Readonly<Record<string, unknown>>);
  const { plan, options } = await choose(inputs, flags);
  const { processes, programs, groups } = plan.workload;
  const { config } = resolveMachine(plan.config, processes, programs, groups);
  return { config, key: JSON.stringify([config, options, flags.events ?? null]) };
}

async function makeFolder(folder: string | undefined): Promise<void> {
  if (folder === undefined) return;
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw fileError(folder, error);
  }
}

/** The command line of one run: in deterministic mode every pair has a seed of its own. */
function flagsOf(flags: RunFlags, config: FullConfig, { pair }: Step): RunFlags {
  if (config.mode !== 'deterministic') return flags;
  return { ...flags, seed: String((config.seed + pair - 1) >>> 0) };
}

function runOf(step: Step, outcome: CompareOutcome, file: string | null): CompareRun {
  if (outcome.kind === 'report') return reported(step, outcome.report, file);
  const none = { seed: null, wallMs: null, report: null, counters: {} };
  const reason = oneLine(outcome.message.split('\n')[0] as string, 300);
  return outcome.kind === 'interrupted'
    ? { ...step, ...none, status: 'interrupted', exitCode: interruptedExitCode(), reason }
    : { ...step, ...none, status: 'panic', exitCode: EXIT_PANIC, reason };
}

function reported(step: Step, report: RunReport, file: string | null): CompareRun {
  const exitCode = reportExitCode(report);
  const cut = interruptSignal.aborted ? 'interrupted' : 'timeout';
  const ended = report.interrupted ? cut : 'complete';
  const status = report.panic !== null ? 'panic' : ended;
  const { seed, wallMs } = report;
  const reason = status === 'interrupted' ? 'interrupted' : failureReason(report);
  const counters = status === 'panic' ? {} : countersOf(report);
  return { ...step, status, exitCode, reason, seed, wallMs, report: file, counters };
}

async function keep(folder: string | undefined, step: Step, report: RunReport) {
  if (folder === undefined) return null;
  const file = join(folder, `${step.side}-${step.pair}.json`);
  await writeFileAtomic(file, Buffer.from(`${JSON.stringify(report, null, 2)}\n`));
  return file;
}

interface SeriesPlan {
  readonly inputs: readonly string[];
  readonly flags: CompareFlags;
  readonly sides: Record<SideName, { readonly flags: RunFlags; readonly plan: SidePlan }>;
  readonly mode: string;
  readonly jobs: number;
  readonly pairs: number;
}

async function makeRuns(plan: SeriesPlan): Promise<CompareRun[]> {
  const { inputs, flags, sides, mode, jobs, pairs } = plan;
  const steps = stepsOf(pairs);
  const progress = flags.quiet === true ? null : new CompareProgress(steps.length);
  const runner = await makeRunner(mode, jobs);
  const run = async (step: Step): Promise<CompareRun> => {
    const side = sides[step.side];
    const task: CompareTask = { inputs, flags: flagsOf(side.flags, side.plan.config, step) };
    const outcome = await runner.run(task, interruptSignal);
    if (outcome.kind === 'usage') throw new UsageError(outcome.message);
    const report = outcome.kind === 'report' ? outcome.report : null;
    const file = report === null ? null : await keep(flags.keepReports, step, report);
    return runOf(step, outcome, file);
  };
  try {
    return await runSeries({
      steps,
      jobs,
      signal: interruptSignal,
      run,
      onRun: (result, done) => progress?.show(result, done),
    });
  } finally {
    progress?.end();
    await runner.close();
  }
}

/** @throws UsageError for what cannot be run or compared, before the first run where it can tell */
export async function compareSeries(
  inputs: readonly string[],
  flags: CompareFlags,
  command: Command,
  { same, bounds }: CompareHow,
): Promise<Compared> {
  const toggle = parseToggle(flags.toggle ?? []);
  const pairs = parseRuns(flags.runs);
  const { toggle: _, runs: __, failOn: ___, ...run } = flags;
  const sideFlags = toggledFlags(command, run, toggle);
  const a = { flags: sideFlags.a, plan: await planSide(inputs, sideFlags.a) };
  const b = { flags: sideFlags.b, plan: await planSide(inputs, sideFlags.b) };
  if (a.plan.key === b.plan.key && toggle.a !== toggle.b) {
    const values = `${toggle.name}=${toggle.a},${toggle.b}`;
    throw new UsageError(`--toggle: '${oneLine(values, 60)}' makes the same machine twice`);
  }
  const modes = [...new Set([a.plan.config.mode, b.plan.config.mode])];
  const mode = modes.length === 1 ? (modes[0] as string) : 'parallel';
  const real = bounds.find(({ counter }) => needsRealTime(counter));
  if (real !== undefined && modes.includes('deterministic')) {
    throw new UsageError(`--fail-on: ${real.counter} needs real time, and so parallel mode`);
  }
  const half = Math.max(1, Math.floor(availableParallelism() / 2));
  const free = flags.jobs === undefined && mode === 'parallel';
  const jobs = free ? 1 : Math.min(parseJobs(flags.jobs, half), 2 * pairs);
  await makeFolder(flags.keepReports);
  const startNs = ktimeNs();
  const runs = await makeRuns({ inputs, flags, sides: { a, b }, mode, jobs, pairs });
  const shared = 'machines at once share the cores: times are not those of one alone';
  return {
    toggle,
    plan: {
      inputs,
      runs: pairs,
      order: 'ABBA',
      paired: true,
      jobs,
      mode: modes.join(', '),
      same: same ?? SAME_DEFAULT,
    },
    sides: {
      a: { label: `${toggle.name}=${toggle.a}`, config: { ...a.plan.config } },
      b: { label: `${toggle.name}=${toggle.b}`, config: { ...b.plan.config } },
    },
    interrupted: interruptSignal.aborted,
    wallMs: (ktimeNs() - startNs) / 1e6,
    warnings: jobs > 1 && mode === 'parallel' ? [`${jobs} ${shared}`] : [],
    runs,
  };
}
