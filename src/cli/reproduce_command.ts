// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce NAME`: a figure that was published, beside ours. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { inputError, oneLine, UsageError } from '../errors.ts';
import { formatReproduce, type ReproduceRow, reproduceRow } from '../report/reproduce_reference.ts';
import { type ReferenceRow, readReference } from '../workload/reference.ts';
import { readTrace } from '../workload/trace.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { notYet } from './later.ts';
import { checkWritable, emitResult, JSON_HELP } from './output.ts';
import { FLAME_HELP } from './profile_output.ts';
import { type ReproduceOriginOptions, reproduceOrigin } from './reproduce_origin.ts';
import { type ReproduceShrinkerOptions, reproduceShrinker } from './reproduce_shrinker.ts';

const NAMES = [
  'reference',
  'kshrinkd',
  'kcompressd',
  'mglru',
  'klruscand',
  'shrinker',
  'origin',
  'all',
];

/** The bundled traces, and what a real kernel did with them. */
const BUNDLED = fileURLToPath(new URL('../../../traces/', import.meta.url));

interface ReproduceOptions extends ReproduceShrinkerOptions, ReproduceOriginOptions {
  readonly traces?: string;
  readonly reference?: string;
}

/** Rows of classic kernels, by trace, in the file's order. */
async function referenceRows(file: string): Promise<Map<string, ReferenceRow[]>> {
  const byTrace = new Map<string, ReferenceRow[]>();
  for (const row of await readReference(file)) {
    if (!row.kernels.some((kernel) => kernel.policy === 'classic')) continue;
    const rows = byTrace.get(row.trace) ?? [];
    rows.push(row);
    byTrace.set(row.trace, rows);
  }
  if (byTrace.size > 0) return byTrace;
  const hint = 'give a file of kernel runs';
  throw inputError({ file, reason: 'no row of a classic kernel under a limit', hint });
}

/**
 * Drops the rows whose trace is not in the folder, and says so. @throws UsageError when none is
 * left
 */
function keepPresent(byTrace: Map<string, ReferenceRow[]>, dir: string): void {
  for (const name of [...byTrace.keys()]) {
    if (existsSync(traceFile(dir, name))) continue;
    process.stderr.write(`${oneLine(name, 40)}: no such trace in ${dir}, left out\n`);
    byTrace.delete(name);
  }
  if (byTrace.size > 0) return;
  const hint = 'give the folder with --traces';
  throw inputError({ file: dir, reason: 'holds no trace of the reference (NAME.ftrc.gz)', hint });
}

function traceFile(dir: string, name: string): string {
  return join(dir, `${name}.ftrc.gz`);
}

/** Runs every row; an interrupt ends the list where it is. */
async function runRows(byTrace: Map<string, ReferenceRow[]>, dir: string): Promise<ReproduceRow[]> {
  const done: ReproduceRow[] = [];
  const total = [...byTrace.values()].reduce((sum, rows) => sum + rows.length, 0);
  for (const [name, rows] of byTrace) {
    const trace = await readTrace(traceFile(dir, name));
    for (const row of rows) {
      if (interruptSignal.aborted) return done;
      process.stderr.write(`${done.length + 1} of ${total}: ${oneLine(name, 40)} at ${row.frac}\n`);
      try {
        done.push(await reproduceRow(trace, row, interruptSignal));
      } catch (error) {
        if (!interruptSignal.aborted) throw error;
        return done;
      }
    }
  }
  return done;
}

function verdictOf(rows: readonly ReproduceRow[]): string {
  const holding = rows.filter((row) => row.within).length;
  return (
    `${holding} of ${rows.length} rows hold: ` +
    `refaults within 5 % or 50 faults of the nearer kernel, ` +
    'pages scanned per page reclaimed within 15 %'
  );
}

async function reproduceReference(options: ReproduceOptions): Promise<void> {
  await checkWritable(options.json);
  const dir = options.traces ?? BUNDLED;
  const byTrace = await referenceRows(options.reference ?? join(BUNDLED, 'reference.json'));
  keepPresent(byTrace, dir);
  const rows = await runRows(byTrace, dir);
  const broken = rows.filter((row) => row.mismatches > 0 || row.violations.length > 0);
  const verdict = verdictOf(rows);
  const result = {
    schema: 'kreclaim.reproduce/1',
    name: 'reference',
    seedFigure: null,
    measured: { rows: rows.length, within: rows.filter((row) => row.within).length },
    runs: [],
    rows,
    verdict,
    interrupted: interruptSignal.aborted,
  };
  const wrong = broken.flatMap((row) => [
    `${row.trace} at ${row.frac}: ${row.mismatches} mismatches`,
    ...row.violations,
  ]);
  const text = [formatReproduce(rows), '', verdict, ...wrong].join('\n');
  await emitResult(result, `${text}\n`, options.json);
  if (interruptSignal.aborted) process.exitCode = interruptedExitCode();
  else if (broken.length > 0) process.exitCode = 1;
}

/** Options, and the names that take them; `json` goes with all. */
const NAMES_OF: Readonly<Partial<Record<keyof ReproduceOptions, readonly string[]>>> = {
  traces: ['reference'],
  reference: ['reference'],
  runs: ['shrinker', 'origin'],
  threads: ['shrinker', 'origin'],
  quick: ['shrinker', 'origin'],
  memcgs: ['shrinker'],
  only: ['shrinker'],
  flame: ['shrinker'],
  holdUs: ['origin'],
};

/** @throws UsageError for an option that this name does not take */
function checkOptions(name: string, options: ReproduceOptions): void {
  for (const [key, names] of Object.entries(NAMES_OF)) {
    if (options[key as keyof ReproduceOptions] === undefined || names.includes(name)) continue;
    const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(`--${flag}: goes with reproduce ${names.join(' or ')}`);
  }
}

async function reproduceAction(name: string, options: ReproduceOptions): Promise<void> {
  checkOptions(name, options);
  if (name === 'reference') {
    await reproduceReference(options);
    return;
  }
  if (name === 'shrinker') {
    await reproduceShrinker(options);
    return;
  }
  if (name === 'origin') {
    await reproduceOrigin(options);
    return;
  }
  if (NAMES.includes(name)) notYet(`reproduce ${name}`);
  const known = NAMES.join(', ');
  throw new UsageError(`reproduce: no '${oneLine(name, 40)}'; give one of ${known}`);
}

const EXIT_HELP =
  '\nExit code: 0 measured, whatever the verdict; 1 an invariant or integrity failed, 2 bad ' +
  'usage, 3 a machine broke, 130 interrupted, with what was measured.';

/** Adds `reproduce` to the program. */
export function registerReproduceCommand(program: Command): void {
  program
    .command('reproduce')
    .description("published figures beside ours; reference: the real kernel's")
    .argument('<name>', NAMES.join(', '))
    .option('--traces <dir>', 'reference: traces other than the bundled ones')
    .option('--reference <file>', "reference: the real kernel's figures for them")
    .option('--runs <n>', 'shrinker, origin: repeats (default: 5)')
    .option('--memcgs <n>', 'shrinker: groups (default: 4000)')
    .option(
      '--threads <list>',
      'shrinker: numbers of walking threads (default: 1,2,4,8); origin: of forking ones (1,2,4)',
    )
    .option('--hold-us <list>', 'origin: a holder sleeps so long (default: 0,100,1000,10000)')
    .option('--quick', 'shrinker, origin: short samples, one run: shows that it runs, not how fast')
    .option(
      '--only <text>',
      'shrinker: only the experiment whose name contains TEXT: hot spots, churn',
    )
    .option('--flame <file>', `shrinker: ${FLAME_HELP}`)
    .option('--json <file>', JSON_HELP)
    .addHelpText('after', EXIT_HELP)
    .action(reproduceAction);
}
