// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim run` and `kreclaim demo`: boot, run, report. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import type { MachineConfig } from '../config_schema.ts';
import { oneLine, UsageError } from '../errors.ts';
import { type RunReport, reportExitCode } from '../report/run_report.ts';
import { formatSummary } from '../report/text_summary.ts';
import { runWorkload, traceWorkload } from '../run.ts';
import type { MachineProfile } from '../supervisor.ts';
import {
  allScenarioOptions,
  isScenarioFile,
  loadScenario,
  planScenario,
  type ScenarioPlan,
  scenarioNames,
  scenarioOf,
} from '../workload/scenario.ts';
import { type Scenario, type ScenarioOption, scenarioFlag } from '../workload/scenario_types.ts';
import { readTrace, type Trace } from '../workload/trace.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { addLaterOptions, refuseLaterOptions } from './later.ts';
import { addMachineOptions, type MachineFlags, machineConfig } from './machine_options.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { FLAME_HELP } from './profile_output.ts';
import { Progress, progressTarget } from './progress.ts';
import { replayLine } from './replay_line.ts';
import { type ProfileFlags, profiledRun, profileSection, wantsProfile } from './run_profile.ts';
import { seedsAction } from './seeds_action.ts';

/** What commander collects for `run`. */
export interface RunFlags extends MachineFlags, ProfileFlags {
  readonly events?: string;
  readonly seeds?: string;
  readonly jobs?: string;
  readonly json?: string;
  readonly quiet?: true;
}

/** Where `demo` writes its report when not told. */
const DEMO_REPORT = 'kreclaim-run.json';
const TRACES_HELP = 'trace files, one process and CPU each; or a scenario: its name, or its file';
const DEMO_TRACES = ['sqlite', 'sort'];

function eventsLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new UsageError(`--events: '${text}' will not do; give an integer above 0`);
}

async function readTraces(
  files: readonly string[],
  limit: number | undefined,
  { vmas }: MachineConfig = {},
): Promise<Trace[]> {
  const traces: Trace[] = [];
  const ranges = vmas === 'mixed' || vmas === 'file';
  for (const file of files) {
    traces.push(await readTrace(file, { ranges, ...(limit === undefined ? {} : { limit }) }));
  }
  return traces;
}

/** What there is to run. */
export interface Chosen {
  /** The scenario, a name or the path of a file; null for trace files. */
  readonly scenario: string | null;
  readonly options: ScenarioValues;
  readonly plan: ScenarioPlan;
  /** As given: without what a scenario has chosen. */
  readonly config: MachineConfig;
}

type ScenarioValues = Record<string, string | boolean>;

/** What of the command line is the scenarios' own. */
function scenarioOptions(flags: RunFlags): ScenarioValues {
  const given = flags as unknown as Readonly<Record<string, string | boolean | undefined>>;
  const values: ScenarioValues = {};
  for (const { name } of allScenarioOptions()) {
    const value = given[name];
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** Whether it is the name of a scenario, or of a scenario file. */
const isScenario = (input: string): boolean =>
  isScenarioFile(input) || (!existsSync(input) && scenarioOf(input) !== undefined);

/** Reads the traces, or makes those of a scenario. @throws UsageError */
export async function choose(inputs: readonly string[], flags: RunFlags): Promise<Chosen> {
  const config = await machineConfig(flags);
  const limit = eventsLimit(flags.events);
  const options = scenarioOptions(flags);
  const [first = ''] = inputs;
  if (inputs.length === 1 && isScenario(first)) {
    if ((config.vmas ?? 'anon') !== 'anon') {
      throw new UsageError(`--vmas: goes with traces, not with the scenario ${first}`);
    }
    const scenario = await loadScenario(first, limit);
    const seed = typeof config.seed === 'number' ? config.seed : 1;
    const plan = planScenario(scenario, { config, options, seed, events: limit, name: first });
    return { scenario: first, options, plan, config };
  }
  checkNames(inputs);
  const [stray] = Object.keys(options);
  if (stray !== undefined) {
    throw new UsageError(`${scenarioFlag(stray)}: goes with a scenario, not with traces`);
  }
  if (/\.ya?ml$/i.test(first)) {
    throw new UsageError(`${oneLine(first)}: scenario files are JSON; give NAME.json`);
  }
  const traces = await readTraces(inputs, limit, config);
  return { scenario: null, options, plan: tracePlan(traces, config), config };
}

/** @throws UsageError for several scenarios, or what is neither a file nor a scenario */
function checkNames(inputs: readonly string[]): void {
  const names = inputs.filter((input) => !existsSync(input));
  if (inputs.length > 1 && inputs.some(isScenario)) {
    throw new UsageError(`run: '${oneLine(inputs.join(' '), 80)}': one scenario at a time, alone`);
  }
  const unknown = names.find((name) => !/[./\\]/.test(name));
  if (unknown === undefined) return;
  const known = scenarioNames().join(', ');
  throw new UsageError(
    `'${oneLine(unknown, 80)}': no such file or scenario; scenarios are ${known}`,
  );
}

function tracePlan(traces: readonly Trace[], config: MachineConfig): ScenarioPlan {
  return { workload: traceWorkload(traces, config), config };
}

function accesses({ workload, config }: ScenarioPlan): number {
  const { traces = [], processes } = workload;
  const cpus = config.share === true ? 1 : processes.length;
  let events = 0;
  for (let cpu = 0; cpu < cpus; cpu++) events += traces[cpu % traces.length]?.events.length ?? 0;
  return events;
}

async function runAndReport(chosen: Pick<Chosen, 'plan'>, flags: RunFlags): Promise<void> {
  const { workload, config, progress: note } = chosen.plan;
  const profiled = wantsProfile(flags, flags.seeds, config.mode);
  await checkWritable(flags.json);
  await checkWritable(flags.flame);
  const total = accesses(chosen.plan);
  const progress = flags.quiet ? null : new Progress(progressTarget(), total, note);
  const run = (profile?: MachineProfile): Promise<RunReport> =>
    runWorkload(workload, config, {
      signal: interruptSignal,
      onBoot: (m) => progress?.boot(m),
      onSample: (sample) => progress?.show(sample),
      ...(profile === undefined ? {} : { profile }),
    }).finally(() => progress?.end());
  const report = profiled ? await profiledRun(run, flags.flame) : await run();
  const text = `${formatSummary(report)}${profileSection(report.profile)}${replayHint(report)}`;
  await emitResult(report, text, flags.json);
  // A run that its --timeout ended counts as interrupted too.
  const code = reportExitCode(report);
  process.exitCode = report.interrupted && code === 130 ? interruptedExitCode() : code;
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
  wantsProfile(flags, flags.seeds, undefined);
  if (flags.seed !== undefined) throw new UsageError('--seed: give it or --seeds, not both');
  const { scenario, options, plan, config } = await choose(inputs, flags);
  const input = {
    config: { mode: 'deterministic', ...config } as const,
    scenario,
    traces: scenario === null ? (plan.workload.traces ?? []) : null,
    events: eventsLimit(flags.events) ?? null,
    options,
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
  await runAndReport({ plan: tracePlan(traces, config) }, { ...flags, json });
  if (json === '-') return;
  process.stdout.write(
    `\nreport: ${json} (kreclaim cat ${json} /proc/vmstat shows a part of it)\n`,
  );
}

function scenarioHelp(name: string): string {
  const { description, options, remarks = [] } = scenarioOf(name) as Scenario;
  const own = options.map((option) => `  ${optionText(option).padEnd(22)} ${option.description}`);
  const lines = remarks.map((line) => `  ${line}`);
  return [`\nScenario ${name}: ${description}.`, ...own, ...lines].join('\n');
}

function optionText({ name, value }: ScenarioOption): string {
  return `${scenarioFlag(name)} ${value}`.trim();
}

/** Adds what says how to run: the machine's options, and those of scenarios, hidden from help. */
export function addRunOptions(command: Command): void {
  command.option('--events <n>', 'take only the first N events of each trace');
  addMachineOptions(command);
  for (const option of allScenarioOptions()) {
    command.addOption(new Option(optionText(option), option.description).hideHelp());
  }
}

/** Adds `run` and `demo` to the program. */
export function registerRunCommands(program: Command): void {
  const run = program
    .command('run')
    .description('boot a machine, run traces or a scenario on it, report')
    .argument('<trace|scenario...>', TRACES_HELP);
  addRunOptions(run);
  run
    .option('--seeds <a..b>', 'run each seed of a range, deterministic, until one fails')
    .option('--jobs <n>', 'machines at once with --seeds (default: one on each core)')
    .option('--profile', "where each kind of threads' time goes, sampled: slower than without")
    .option('--flame <file>', FLAME_HELP);
  addLaterOptions(run);
  run
    .option('--json <file>', JSON_HELP)
    .option('-q, --quiet', 'show no progress')
    .addHelpText('after', () => scenarioNames().map(scenarioHelp).join(''))
    .action(runAction);
  program
    .command('demo')
    .description('replay the two bundled traces on two CPUs, in half of their footprint')
    .option('--json <file>', `${JSON_HELP} (default: ${DEMO_REPORT})`)
    .option('-q, --quiet', 'show no progress')
    .action(demoAction);
}
