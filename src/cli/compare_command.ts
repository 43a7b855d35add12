// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim compare`: A against B, repeated, with confidence intervals. */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import { oneLine, UsageError } from '../errors.ts';
import { NODE_STAT_NAMES, ZONE_STAT_NAMES } from '../mm/proc_vmstat.ts';
import { VM_EVENTS } from '../mm/vmstat_items.ts';
import { unknownCounter } from '../report/compare/analysis.ts';
import type { Bound } from '../report/compare/bound.ts';
import { boundText, formatCompare } from '../report/compare/compare_text.ts';
import { fixedNames, mayCount } from '../report/compare/counters.ts';
import { isScenarioFile } from '../workload/scenario.ts';
import { type CompareFlags, parseHow, parseRuns } from './compare_options.ts';
import { compareExitCode, compareReport } from './compare_result.ts';
import { compareSaved } from './compare_saved.ts';
import { compareSeries } from './compare_series.ts';
import { addLaterOptions } from './later.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { addRunOptions } from './run_command.ts';

const HELP = `
  kreclaim compare quick --toggle swappiness=10,100
  kreclaim compare mine.json --toggle scale=1,2
  kreclaim compare a.ftrc.gz b.ftrc.gz --toggle memory=50%,60% --runs 20 --json c.json
  kreclaim compare A1.json A2.json --against B1.json B2.json
  kreclaim compare c.json --all --fail-on 'pgscan>5%'

Verdicts: more or less, the 95 % interval of B against A is on one side of zero; same, it is
within --same; unclear, neither. Exit codes: 1 where a --fail-on is broken, else as run's.
docs/compare.md says how to read it.`;

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** Whether a file's text begins as those that `--json` writes. */
function startsAsReport(path: string): boolean {
  try {
    return /^\s*\{\s*"schema"\s*:\s*"kreclaim\./.test(readFileSync(path, 'utf8'));
  } catch {
    // What cannot be read is complained of by whoever reads it.
    return false;
  }
}

/** JSON is a report; with a toggle, what is none is a scenario file. */
function isReport(input: string, flags: CompareFlags): boolean {
  if (!/\.json(\.gz)?$/i.test(input)) return false;
  return flags.toggle === undefined || !isScenarioFile(input) || startsAsReport(input);
}

/** What goes with runs, and not with reports. @throws UsageError */
function checkSavedOptions(command: Command, flags: CompareFlags): void {
  const fit = ['against', 'same', 'failOn', 'json', 'all', 'quiet'];
  for (const name of Object.keys(flags)) {
    if (fit.includes(name) || command.getOptionValueSource(name) !== 'cli') continue;
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(`--${flag}: goes with a scenario or traces, not with reports`);
  }
}

/** @returns whether the inputs are reports @throws UsageError where only some are */
function areReports(inputs: readonly string[], flags: CompareFlags): boolean {
  const reports = inputs.filter((input) => isReport(input, flags));
  if (reports.length === 0) {
    if (flags.against !== undefined) {
      throw new UsageError('--against: goes with reports: compare A.json... --against B.json...');
    }
    if (flags.toggle !== undefined) return false;
    throw new UsageError(
      'compare: what differs? give --toggle NAME=A,B, such as swappiness=10,100',
    );
  }
  if (reports.length === inputs.length) return true;
  const other = inputs.find((input) => !isReport(input, flags)) as string;
  throw new UsageError(`compare: '${oneLine(other, 60)}' beside reports; give reports alone`);
}

/** Before minutes are spent on runs. @throws UsageError */
function checkCounters(bounds: readonly Bound[]): void {
  const own = [...ZONE_STAT_NAMES, ...NODE_STAT_NAMES, ...VM_EVENTS];
  for (const { counter } of bounds) {
    if (!mayCount(counter, own)) throw unknownCounter(counter, fixedNames(own));
  }
}

const tooFew = (): UsageError =>
  new UsageError('--fail-on: needs an interval, and so two complete runs of each side');

async function compareAction(
  inputs: string[],
  flags: CompareFlags,
  command: Command,
): Promise<void> {
  const reports = areReports(inputs, flags);
  const { same, bounds } = parseHow(flags);
  if (reports) checkSavedOptions(command, flags);
  else checkCounters(bounds);
  if (!reports && bounds.length > 0 && parseRuns(flags.runs) < 2) throw tooFew();
  await checkWritable(flags.json);
  const compared = reports
    ? await compareSaved(inputs, flags, same)
    : await compareSeries(inputs, flags, command, { same, bounds });
  const report = compareReport(compared, bounds);
  if (reports && bounds.length > 0 && report.confidence === null) throw tooFew();
  await emitResult(report, formatCompare(report, flags.all === true), flags.json);
  process.exitCode = compareExitCode(report);
  for (const result of report.failOn) {
    if (result.broken !== false) process.stderr.write(`kreclaim: ${boundText(result)}\n`);
  }
}

/** Adds `compare` to the program. */
export function registerCompareCommand(program: Command): void {
  const compare = program
    .command('compare')
    .description('A against B, repeated, with confidence intervals')
    .argument('<scenario|trace|report...>', 'a scenario, traces, or reports that --json wrote')
    .option('--toggle <name=a,b>', 'an option of run, or a sysctl, with its two values', collect)
    .option('--runs <n>', 'runs of each side, A and B in turn (default: 10)')
    .option('--jobs <n>', 'machines at once (default: 1; half the cores if deterministic)')
    .option('--against <report...>', 'the reports of B, where those before it are of A')
    .option('--same <percent>', 'what counts as no difference (default: 2)')
    .option('--fail-on <bound>', "exit 1 when broken: 'pgscan>5%', 'eventsPerSec<5%'", collect)
    .option('--keep-reports <dir>', 'keep the whole report of every run there')
    .option('--all', 'show every counter');
  addRunOptions(compare);
  addLaterOptions(compare);
  compare
    .option('--json <file>', JSON_HELP)
    .option('-q, --quiet', 'show no progress')
    .addHelpText('after', HELP)
    .action(compareAction);
}
