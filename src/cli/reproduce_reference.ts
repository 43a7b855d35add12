// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce reference`: what a real kernel did with the traces, beside ours. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { inputError, oneLine, UsageError } from '../errors.ts';
import { formatModes, type ModeResult, reproduceModeRow } from '../report/reproduce_modes.ts';
import { formatReproduce, type ReproduceRow, reproduceRow } from '../report/reproduce_reference.ts';
import { type ReferenceRow, readReference } from '../workload/reference.ts';
import { type ModeRow, REFERENCE_MODES, readModeRows } from '../workload/reference_modes.ts';
import { readTrace, type Trace } from '../workload/trace.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult } from './output.ts';
import { integer } from './reproduce_integers.ts';

/** The bundled traces, and what a real kernel did with them. */
const BUNDLED = fileURLToPath(new URL('../../../traces/', import.meta.url));

const MAPPINGS: readonly string[] = ['anon', ...REFERENCE_MODES];
/** Repeats of rows that a second thread has a part in. */
const RUNS_DEFAULT = 3;

export interface ReproduceReferenceOptions {
  readonly traces?: string;
  readonly reference?: string;
  readonly mapping?: string;
  readonly runs?: string;
}

/** Rows to run, of one trace. */
interface Plan {
  readonly anon: ReferenceRow[];
  readonly modes: ModeRow[];
}

interface Done {
  readonly anon: ReproduceRow[];
  readonly modes: ModeResult[];
}

function mappings(text = 'all'): ReadonlySet<string> {
  if (text === 'all') return new Set(MAPPINGS);
  const given = text.split(',').map((part) => part.trim());
  const stray = given.find((part) => !MAPPINGS.includes(part));
  if (stray === undefined) return new Set(given);
  throw new UsageError(
    `--mapping: '${oneLine(stray, 40)}' will not do; give some of ${MAPPINGS.join(', ')}, or all`,
  );
}

/** Rows of classic kernels, by trace, in the file's order. */
async function plansOf(file: string, wanted: ReadonlySet<string>): Promise<Map<string, Plan>> {
  const plans = new Map<string, Plan>();
  const planOf = (trace: string): Plan => {
    const plan = plans.get(trace) ?? { anon: [], modes: [] };
    plans.set(trace, plan);
    return plan;
  };
  if (wanted.has('anon')) {
    for (const row of await readReference(file)) {
      const classic = row.kernels.some((kernel) => kernel.policy === 'classic');
      if (classic) planOf(row.trace).anon.push(row);
    }
  }
  for (const row of await readModeRows(file)) {
    if (wanted.has(row.mode)) planOf(row.trace).modes.push(row);
  }
  if (plans.size > 0) return plans;
  const reason = 'no row of a classic kernel under a limit';
  throw inputError({ file, reason, hint: 'give a file of kernel runs, or another --mapping' });
}

/**
 * Drops the rows whose trace is not in the folder, and says so. @throws UsageError when none is
 * left
 */
function keepPresent(plans: Map<string, Plan>, dir: string): void {
  for (const name of [...plans.keys()]) {
    if (existsSync(traceFile(dir, name))) continue;
    process.stderr.write(`${oneLine(name, 40)}: no such trace in ${dir}, left out\n`);
    plans.delete(name);
  }
  if (plans.size > 0) return;
  const hint = 'give the folder with --traces';
  throw inputError({ file: dir, reason: 'holds no trace of the reference (NAME.ftrc.gz)', hint });
}

function traceFile(dir: string, name: string): string {
  return join(dir, `${name}.ftrc.gz`);
}

/** Private mappings and zram leave nothing to chance: one CPU alone has a part in them. */
function runsOf(row: ModeRow, runs: number): number {
  return row.mode === 'mixed' ? 1 : runs;
}

/** Runs the rows of one trace; an interrupt ends the list where it is. */
async function runPlan(
  trace: Trace,
  plan: Plan,
  runs: number,
  done: Done,
  note: (what: string) => void,
): Promise<void> {
  for (const row of plan.anon) {
    note(`anon at ${row.frac}`);
    done.anon.push(await reproduceRow(trace, row, interruptSignal));
  }
  for (const row of plan.modes) {
    note(`${row.mode} at ${row.frac}`);
    const times = runsOf(row, runs);
    done.modes.push(await reproduceModeRow(trace, row, times, interruptSignal));
  }
}

async function runPlans(plans: Map<string, Plan>, dir: string, runs: number): Promise<Done> {
  const done: Done = { anon: [], modes: [] };
  const all = [...plans.values()];
  const total = all.reduce((sum, { anon, modes }) => sum + anon.length + modes.length, 0);
  for (const [name, plan] of plans) {
    const ranges = plan.modes.some((row) => row.mode === 'mixed');
    const trace = await readTrace(traceFile(dir, name), { ranges });
    const note = (what: string): void => {
      interruptSignal.throwIfAborted();
      const at = done.anon.length + done.modes.length + 1;
      process.stderr.write(`${at} of ${total}: ${oneLine(name, 40)} ${what}\n`);
    };
    try {
      await runPlan(trace, plan, runs, done, note);
    } catch (error) {
      if (!interruptSignal.aborted) throw error;
      return done;
    }
  }
  return done;
}

function verdictsOf({ anon, modes }: Done): string[] {
  const holding = (rows: readonly { within: boolean }[]): string =>
    `${rows.filter((row) => row.within).length} of ${rows.length}`;
  const verdicts: string[] = [];
  if (anon.length > 0) {
    verdicts.push(
      `${holding(anon)} rows hold: ` +
        `refaults within 5 % or 50 faults of the nearer kernel, ` +
        'pages scanned per page reclaimed within 15 %',
    );
  }
  if (modes.length > 0) {
    const figures = modes.flatMap((row) => row.figures);
    verdicts.push(
      `${holding(figures)} figures of files and swap files hold: ` +
        'within 10 % or 100 pages of the nearest kernel',
    );
  }
  return verdicts;
}

function textOf(done: Done, wrong: readonly string[]): string {
  const tables: string[] = [];
  if (done.anon.length > 0) tables.push(formatReproduce(done.anon), '');
  if (done.modes.length > 0) tables.push(...formatModes(done.modes), '');
  return `${[...tables, ...verdictsOf(done), ...wrong].join('\n')}\n`;
}

/** @throws UsageError @context main thread; minutes */
export async function reproduceReference(
  options: ReproduceReferenceOptions & { readonly json?: string },
): Promise<void> {
  const wanted = mappings(options.mapping);
  const runs = options.runs === undefined ? RUNS_DEFAULT : integer('runs', options.runs, 1, 100);
  await checkWritable(options.json);
  const dir = options.traces ?? BUNDLED;
  const plans = await plansOf(options.reference ?? join(BUNDLED, 'reference.json'), wanted);
  keepPresent(plans, dir);
  const done = await runPlans(plans, dir, runs);
  const all = [...done.anon, ...done.modes];
  const broken = all.filter((row) => row.mismatches > 0 || row.violations.length > 0);
  const result = {
    schema: 'kreclaim.reproduce/1',
    name: 'reference',
    seedFigure: null,
    measured: { rows: all.length, within: all.filter((row) => row.within).length },
    runs: [],
    rows: done.anon,
    modes: done.modes,
    verdict: verdictsOf(done).join('; '),
    interrupted: interruptSignal.aborted,
  };
  const wrong = broken.flatMap((row) => [
    `${row.trace} at ${row.frac}: ${row.mismatches} mismatches`,
    ...row.violations,
  ]);
  await emitResult(result, textOf(done, wrong), options.json);
  if (interruptSignal.aborted) process.exitCode = interruptedExitCode();
  else if (broken.length > 0) process.exitCode = 1;
}
