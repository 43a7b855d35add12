// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce origin`: what trying the rmap lock did, published and here. */
import { availableParallelism, loadavg } from 'node:os';
import process from 'node:process';
import { oneLine, UsageError } from '../errors.ts';
import type { OriginFolios } from '../report/origin_lab.ts';
import { formatOrigin } from '../report/origin_text.ts';
import {
  type OriginResult,
  placementVerdict,
  runOrigin,
  waitVerdict,
} from '../report/reproduce_origin.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult } from './output.ts';
import { integer, integers } from './reproduce_integers.ts';

export interface ReproduceOriginOptions {
  readonly runs?: string;
  readonly threads?: string;
  readonly holdUs?: string;
  readonly folios?: string;
  readonly quick?: true;
  readonly json?: string;
}

const DEFAULTS = {
  ms: 1000,
  runs: 5,
  threads: [1, 2, 4],
  holdUs: [0, 100, 1000, 10_000],
  folios: 'anon' as OriginFolios,
};
const QUICK = { ms: 200, runs: 1, threads: [2], holdUs: [0, 1000] };

/** Exit code when a machine broke. */
const EXIT_PANIC = 3;
const THREADS_MAX = 16;
/** A second: in the report, holders lost their CPU for as long. */
const HOLD_US_MAX = 1_000_000;

const SEED_FIGURE = {
  before: { waits: 209, maxMs: 1632, avgMs: 151.54, sumMs: 31_672 },
  after: { waits: 0, maxMs: 0, avgMs: 0, sumMs: 0 },
  ratioBelow: 1 / 1000,
};

/** @throws UsageError */
function foliosOf(text: string): OriginFolios {
  if (text === 'anon' || text === 'file') return text;
  throw new UsageError(`--folios: '${oneLine(text, 40)}' will not do; give anon or file`);
}

function planOf(options: ReproduceOriginOptions): typeof DEFAULTS {
  const { runs, threads, holdUs, folios, quick } = options;
  return {
    ...DEFAULTS,
    ...(quick === true ? QUICK : {}),
    ...(folios === undefined ? {} : { folios: foliosOf(folios) }),
    ...(runs === undefined ? {} : { runs: integer('runs', runs, 1, 99) }),
    ...(threads === undefined ? {} : { threads: integers('threads', threads, 1, THREADS_MAX) }),
    ...(holdUs === undefined ? {} : { holdUs: integers('hold-us', holdUs, 0, HOLD_US_MAX) }),
  };
}

function loadLine(load: number, cores: number): string {
  const line = `load of the machine before: ${load.toFixed(1)} on ${cores} cores`;
  return load <= cores / 2 ? line : `${line}: it was busy, and waits are longer for it`;
}

function resultOf(result: OriginResult, plan: typeof DEFAULTS, load: number) {
  const { cells, runs, violations, failure } = result;
  const verdicts = { waits: waitVerdict(cells), placement: placementVerdict(cells) };
  return {
    schema: 'kreclaim.reproduce/1',
    name: 'origin',
    node: process.version,
    cores: availableParallelism(),
    load,
    plan,
    seedFigure: SEED_FIGURE,
    measured: { cells },
    runs,
    violations,
    verdicts,
    verdict: `${verdicts.waits.text}\n${verdicts.placement.text}`,
    interrupted: interruptSignal.aborted,
    panic: failure === null ? null : oneLine(failure.message, 500),
  };
}

/** Runs all of it and reports. @throws UsageError for options that will not do */
export async function reproduceOrigin(options: ReproduceOriginOptions): Promise<void> {
  const plan = planOf(options);
  await checkWritable(options.json);
  const onSample = (done: number, total: number, what: string): void => {
    process.stderr.write(`${done} of ${total}: ${what}\n`);
  };
  const load = loadavg()[0] as number;
  const measured = await runOrigin({ ...plan, signal: interruptSignal, onSample });
  const result = resultOf(measured, plan, load);
  const lines = [
    formatOrigin(measured.cells, plan.folios),
    loadLine(load, result.cores),
    '',
    result.verdict,
    ...measured.violations,
  ];
  await emitResult(result, `${lines.join('\n')}\n`, options.json);
  if (measured.failure !== null) {
    process.stderr.write(`kreclaim: ${measured.failure.message}\n`);
    process.exitCode = EXIT_PANIC;
  } else if (interruptSignal.aborted) process.exitCode = interruptedExitCode();
  else if (measured.violations.length > 0) process.exitCode = 1;
}
