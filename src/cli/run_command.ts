// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim run` and `kreclaim demo`: boot, run, report. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { MachineConfig } from '../config_schema.ts';
import { UsageError } from '../errors.ts';
import { reportExitCode } from '../report/run_report.ts';
import { formatSummary } from '../report/text_summary.ts';
import { runWorkload, traceWorkload } from '../run.ts';
import { readTrace, type Trace } from '../workload/trace.ts';
import { interruptSignal } from './interrupt.ts';
import { addLaterOptions, notYet, refuseLaterOptions } from './later.ts';
import { addMachineOptions, type MachineFlags, machineConfig } from './machine_options.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { Progress, progressTarget } from './progress.ts';
import { SCENARIOS } from './scenario.ts';

interface RunFlags extends MachineFlags {
  readonly events?: string;
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
    return { traces: scenario.traces(seed, limit), config: { ...scenario.config, ...config } };
  }
  if (/\.(json|ya?ml)$/i.test(first)) notYet(`a scenario file (${first})`);
  return { traces: await readTraces(inputs, limit), config };
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
  await emitResult(report, formatSummary(report), flags.json);
  process.exitCode = reportExitCode(report);
}

async function runAction(inputs: string[], flags: RunFlags): Promise<void> {
  refuseLaterOptions(flags as Readonly<Record<string, unknown>>);
  await runAndReport(await choose(inputs, flags), flags);
}

/** A trace that comes with the package. */
export function bundledTrace(name: string): string {
  return fileURLToPath(new URL(`../../../traces/${name}.ftrc.gz`, import.meta.url));
}

async function demoAction(flags: RunFlags): Promise<void> {
  const traces = await readTraces(DEMO_TRACES.map(bundledTrace), undefined);
  const json = flags.json ?? DEMO_REPORT;
  await runAndReport({ traces, config: { memory: '50%' } }, { ...flags, json });
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
