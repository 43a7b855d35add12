// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim run` and `kreclaim demo`: boot, run, report. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { MachineConfig } from '../config_schema.ts';
import { UsageError } from '../errors.ts';
import { type RunReport, reportExitCode } from '../report/run_report.ts';
import { formatSummary } from '../report/text_summary.ts';
import { runWorkload, traceWorkload } from '../run.ts';
import { SCENARIOS } from '../workload/scenario.ts';
import { readTrace, type Trace } from '../workload/trace.ts';
import { interruptSignal } from './interrupt.ts';
import { addLaterOptions, notYet, refuseLaterOptions } from './later.ts';
import { addMachineOptions, type MachineFlags, machineConfig } from './machine_options.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { Progress, progressTarget } from './progress.ts';
import { replayLine } from './replay_line.ts';
import { seedsAction } from './seeds_action.ts';

interface RunFlags extends MachineFlags {
  readonly events?: string;
  readonly seeds?: string;
  readonly jobs?: string;
  readonly json?: string;
  readonly quiet?: true;
}

/** Where `demo` writes its report when not told. */
const DEMO_REPORT = 'kreclaim-run.json';
const DEMO_TRACES = ['sqlite', 'sort'];

function eventsLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new UsageError(`--events: '${text}' will not do; give an integer above 0`);
}

async function readTraces(files: readonly string[], limit: number | undefined): Promise<Trace[]> {
  const traces: Trace[] = [];
  for (const file of files) {
    traces.push(await readTrace(file, limit === undefined ? {} : { limit }));
  }
  return traces;
}

interface Chosen {
  /** The built-in scenario, whose traces the seed draws; null for trace files. */
  readonly scenario: string | null;
  readonly traces: Trace[];
  readonly config: MachineConfig;
}

/** Reads the traces, or makes those of a built-in scenario. */
async function choose(inputs: readonly string[], flags: RunFlags): Promise<Chosen> {
  const config = await machineConfig(flags);
  const limit = eventsLimit(flags.events);
  const [first = ''] = inputs;
  const scenario = Object.hasOwn(SCENARIOS, first) ? SCENARIOS[first] : undefined;
  if (scenario !== undefined && inputs.length === 1 && !existsSync(first)) {
    const seed = typeof config.seed === 'number' ? config.seed : 1;
    const traces = scenario.traces(seed, limit);
    return { scenario: first, traces, config: { ...scenario.config, ...config } };
  }
  if (/\.(json|ya?ml)$/i.test(first)) notYet(`a scenario file (${first})`);
  return { scenario: null, traces: await readTraces(inputs, limit), config };
}

function accesses(traces: readonly Trace[], config: MachineConfig): number {
  const cpus = config.share === true ? 1 : (config.cpus ?? traces.length);
  let events = 0;
  for (let cpu = 0; cpu < cpus; cpu++) events += traces[cpu % traces.length]?.events.length ?? 0;
  return events;
}

async function runAndReport(chosen: Chosen, flags: RunFlags): Promise<void> {
  const { traces, config } = chosen;
  const workload = traceWorkload(traces, config);
  await checkWritable(flags.json);
  const total = accesses(traces, config);
  const progress = flags.quiet ? null : new Progress(progressTarget(), total);
  const report = await runWorkload(workload, config, {
    signal: interruptSignal,
    onBoot: (m) => progress?.boot(m),
    onSample: (sample) => progress?.show(sample),
  }).finally(() => progress?.end());
  await emitResult(report, `${formatSummary(report)}${replayHint(report)}`, flags.json);
  process.exitCode = reportExitCode(report);
}

/** How to run a deterministic run that failed again; empty for the others. */
function replayHint(report: RunReport): string {
  const failed = reportExitCode(report) === 1 || reportExitCode(report) === 3;
  if (report.mode !== 'deterministic' || !failed) return '';
  const { seed, faults, faultSeed } = report.config;
  return `\nreplay: ${replayLine(process.argv.slice(2), seed, faults, faultSeed ?? seed)}\n`;
}

async function runAction(inputs: string[], flags: RunFlags): Promise<void> {
  refuseLaterOptions(flags as Readonly<Record<string, unknown>>);
  if (flags.seeds === undefined) {
    if (flags.jobs !== undefined) throw new UsageError('--jobs: goes with --seeds A..B');
    await runAndReport(await choose(inputs, flags), flags);
    return;
  }
  if (flags.seed !== undefined) throw new UsageError('--seed: give it or --seeds, not both');
  const { scenario, traces, config } = await choose(inputs, flags);
  const input = {
    config: { mode: 'deterministic', ...config } as const,
    scenario,
    traces: scenario === null ? traces : null,
    events: eventsLimit(flags.events) ?? null,
  };
  await seedsAction(input, { ...flags, seeds: flags.seeds }, process.argv.slice(2));
}

/** A trace that comes with the package. */
export function bundledTrace(name: string): string {
  return fileURLToPath(new URL(`../../../traces/${name}.ftrc.gz`, import.meta.url));
}

async function demoAction(flags: RunFlags): Promise<void> {
  const traces = await readTraces(DEMO_TRACES.map(bundledTrace), undefined);
  const json = flags.json ?? DEMO_REPORT;
  const config: MachineConfig = { memory: '50%' };
  await runAndReport({ scenario: null, traces, config }, { ...flags, json });
  if (json === '-') return;
  process.stdout.write(
    `\nreport: ${json} (kreclaim cat ${json} /proc/vmstat shows a part of it)\n`,
  );
}

/** Adds `run` and `demo` to the program. */
export function registerRunCommands(program: Command): void {
  const scenarios = Object.entries(SCENARIOS).map(
    ([name, { description }]) => `\nScenario ${name}: ${description}.`,
  );
  const run = program
    .command('run')
    .description('boot a machine, run traces or a scenario on it, report')
    .argument('<trace|scenario...>', 'trace files, one process and CPU each; or a scenario: quick')
    .option('--events <n>', 'take only the first N events of each trace');
  addMachineOptions(run);
  run
    .option('--seeds <a..b>', 'run each seed of a range, deterministic, until one fails')
    .option('--jobs <n>', 'machines at once with --seeds (default: half the cores)');
  addLaterOptions(run);
  run
    .option('--json <file>', JSON_HELP)
    .option('-q, --quiet', 'show no progress')
    .addHelpText('after', scenarios.join(''))
    .action(runAction);
  program
    .command('demo')
    .description('replay the two bundled traces on two CPUs, in half of their footprint')
    .option('--json <file>', `${JSON_HELP} (default: ${DEMO_REPORT})`)
    .option('-q, --quiet', 'show no progress')
    .action(demoAction);
}
