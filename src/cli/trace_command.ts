// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim trace info|convert`: what a trace holds, and the same trace in another format.
 *
 * Actions throw `UsageError` for bad input; the program that registers them shows its message and
 * ends with its exit code.
 */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { inputError, oneLine, UsageError } from '../errors.ts';
import type { OfflinePolicy } from '../report/offline_policies.ts';
import { OFFLINE_POLICIES, offlineRefaults } from '../report/offline_policies.ts';
import type { Trace } from '../workload/trace.ts';
import { readTrace, writeTrace } from '../workload/trace.ts';
import { writeFileAtomic } from '../workload/trace_bytes.ts';
import { median, pagesWritten, workingSetCurve } from '../workload/trace_stats.ts';

/** Limits, as parts of the footprint, at which the exact policies are run. */
const POLICY_FRACS = [0.25, 0.5, 0.75, 0.9] as const;

/** Refaults of the exact policies in `frames` pages of memory. */
export interface PolicyRow extends Readonly<Record<OfflinePolicy, number>> {
  readonly frac: number;
  readonly frames: number;
}

/** What `trace info --json` prints. */
export interface TraceInfo {
  readonly schema: 'kreclaim.trace/1';
  readonly name: string;
  readonly format: string;
  readonly reduced: boolean;
  readonly events: number;
  readonly reads: number;
  readonly writes: number;
  readonly ifetches: number;
  readonly ticks: number;
  readonly pages: number;
  readonly pagesWritten: number;
  readonly vmas: readonly { readonly start: number; readonly end: number }[];
  readonly pageTables: number;
  /** Distinct pages in each of up to 40 equal stretches. */
  readonly workingSet: {
    readonly parts: number;
    readonly min: number;
    readonly median: number;
    readonly max: number;
  };
  readonly policies: readonly PolicyRow[] | null;
}

/**
 * Describes a trace.
 * @param policies run the exact policies too, at 25, 50, 75 and 90 % of the footprint
 * @context main thread; does not block; the policies take about a second for 5 million events
 */
export function describeTrace(trace: Trace, policies: boolean): TraceInfo {
  const curve = workingSetCurve(trace);
  const { reads, writes, ifetches, ticks } = trace.counts;
  return {
    schema: 'kreclaim.trace/1',
    name: trace.name,
    format: trace.format,
    reduced: trace.reduced,
    events: trace.events.length,
    reads,
    writes,
    ifetches,
    ticks,
    pages: trace.pages.length,
    pagesWritten: pagesWritten(trace),
    vmas: trace.vmas,
    pageTables: trace.pageTables,
    workingSet: {
      parts: curve.length,
      min: Math.min(...curve),
      median: median(curve),
      max: Math.max(...curve),
    },
    policies: policies ? POLICY_FRACS.map((frac) => policyRow(trace, frac)) : null,
  };
}

function policyRow(trace: Trace, frac: number): PolicyRow {
  const frames = Math.max(1, Math.floor(frac * trace.pages.length));
  const refaults = (policy: OfflinePolicy) => offlineRefaults(trace, frames, policy);
  return {
    frac,
    frames,
    lru: refaults('lru'),
    fifo: refaults('fifo'),
    clock: refaults('clock'),
    min: refaults('min'),
  };
}

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

function share(part: number, whole: number): string {
  return `${grouped.format(part)} (${((100 * part) / whole).toFixed(1)} %)`;
}

function formatInfo(info: TraceInfo): string {
  const { workingSet } = info;
  const windowed = info.reduced ? ', one event per page and window' : '';
  const mib = grouped.format((info.pages * 4096) / 2 ** 20);
  const lines = [
    `${oneLine(info.name)}: ${info.format}${windowed}`,
    `events         ${grouped.format(info.events)}`,
    `  reads        ${share(info.reads, info.events)}`,
    `  writes       ${share(info.writes, info.events)}`,
    `  ifetches     ${share(info.ifetches, info.events)}`,
    `ticks          ${grouped.format(info.ticks)}`,
    `pages          ${grouped.format(info.pages)} (${mib} MiB)`,
    `pages written  ${share(info.pagesWritten, info.pages)}`,
    `vmas           ${grouped.format(info.vmas.length)}`,
    `page tables    ${grouped.format(info.pageTables)}`,
    `working set    min ${grouped.format(workingSet.min)}, median ` +
      `${grouped.format(workingSet.median)}, max ${grouped.format(workingSet.max)} pages ` +
      `in 1/${workingSet.parts} of the events`,
  ];
  if (info.policies !== null) lines.push('', ...formatPolicies(info.policies));
  return `${lines.join('\n')}\n`;
}

function formatPolicies(rows: readonly PolicyRow[]): string[] {
  const cell = (value: number | string) =>
    (typeof value === 'number' ? grouped.format(value) : value).padStart(11);
  const lines = [`refaults${['memory', 'frames', ...OFFLINE_POLICIES].map(cell).join('')}`];
  for (const row of rows) {
    const counts = OFFLINE_POLICIES.map((policy) => row[policy]);
    lines.push(' '.repeat(8) + [`${row.frac * 100} %`, row.frames, ...counts].map(cell).join(''));
  }
  return lines;
}

function parseEvents(text: string): number {
  const events = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (events >= 1) return events;
  throw new UsageError(`--events: '${oneLine(text, 40)}' is not a count; give an integer above 0`);
}

/**
 * Shows a result: as JSON alone on standard output for `-`, else as text, and as JSON in the file
 * where one is named.
 */
async function emit(result: object, text: string, json: string | undefined): Promise<void> {
  const encoded = `${JSON.stringify(result, null, 2)}\n`;
  if (json !== undefined && json !== '-') await writeFileAtomic(json, Buffer.from(encoded));
  process.stdout.write(json === '-' ? encoded : text);
}

interface InfoOptions {
  readonly events?: number;
  readonly policies?: boolean;
  readonly json?: string;
}

function limitOf(options: { readonly events?: number }): { limit?: number } {
  return options.events === undefined ? {} : { limit: options.events };
}

async function infoAction(input: string, options: InfoOptions): Promise<void> {
  const trace = await readTrace(input, limitOf(options));
  const info = describeTrace(trace, options.policies === true);
  await emit(info, formatInfo(info), options.json);
}

/** The output when none is named: NAME.ftrc.gz here, where there is no such file yet. */
function defaultOutput(trace: Trace): string {
  const file = `${trace.name}.ftrc.gz`;
  if (!existsSync(file)) return file;
  throw inputError({ file, reason: 'exists', hint: 'name the output to overwrite it' });
}

interface ConvertOptions {
  readonly events?: number;
  readonly json?: string;
}

async function convertAction(
  input: string,
  output: string | undefined,
  options: ConvertOptions,
): Promise<void> {
  const trace = await readTrace(input, limitOf(options));
  const target = output ?? defaultOutput(trace);
  const bytes = await writeTrace(target, trace);
  const events = trace.events.length;
  const result = { schema: 'kreclaim.trace.convert/1', output: target, bytes, events };
  const text =
    `${oneLine(target, 4096)}: ${grouped.format(events)} events, ` +
    `${grouped.format(bytes)} bytes\n`;
  await emit(result, text, options.json);
}

/**
 * Adds the command `trace` with its subcommands to `program`.
 * @context main thread, before the program parses its arguments
 */
export function registerTraceCommand(program: Command): void {
  const trace = program.command('trace').description('describe and convert page-access traces');
  const eventsHelp = 'take only the first N events';
  const jsonHelp = "write the result as JSON to FILE, or '-' for standard output";
  trace
    .command('info')
    .description('what a trace holds: events, pages, VMAs, working set')
    .argument('<trace>', 'FTRC, CSV, lackey text or oracleGeneral; plain or gzip')
    .option('--events <n>', eventsHelp, parseEvents)
    .option('--policies', 'refaults of exact LRU, FIFO, CLOCK and MIN at four memory sizes')
    .option('--json <file>', jsonHelp)
    .action(infoAction);
  trace
    .command('convert')
    .description('write a trace in another format; the name of the output chooses it')
    .argument('<trace>', 'FTRC, CSV, lackey text or oracleGeneral; plain or gzip')
    .argument('[output]', '.ftrc, .ftrc.gz, .csv or .csv.gz (default: NAME.ftrc.gz here)')
    .option('--events <n>', eventsHelp, parseEvents)
    .option('--json <file>', jsonHelp)
    .action(convertAction);
}
