// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce kshrinkd`: the seed's figures beside ours. */
import { availableParallelism, loadavg } from 'node:os';
import process from 'node:process';
import { oneLine, UsageError } from '../errors.ts';
import { coverageText } from '../report/figure.ts';
import { formatKshrinkd } from '../report/kshrinkd_text.ts';
import {
  isolationVerdict,
  KSHRINKD_SEED,
  killVerdict,
  misplacedVerdict,
  refaultVerdict,
  stealScanVerdict,
} from '../report/kshrinkd_verdicts.ts';
import {
  KSHRINKD_EXPERIMENTS,
  type KshrinkdResult,
  runKshrinkd,
} from '../report/reproduce_kshrinkd.ts';
import { interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult } from './output.ts';
import { exitOf, loadLine } from './reproduce_ending.ts';
import { integer, integers } from './reproduce_integers.ts';

export interface ReproduceKshrinkdOptions {
  readonly runs?: string;
  readonly holdUs?: string;
  readonly oneIn?: string;
  readonly launches?: string;
  readonly only?: string;
  readonly quick?: true;
  readonly json?: string;
}

const DEFAULTS = {
  runs: 5,
  held: [4, 8, 16],
  holdUs: [100, 1000, 5000, 20_000],
  oneIn: [4, 1],
  launches: 48,
};
const QUICK = { runs: 1, held: [8], holdUs: [5000], oneIn: [1], launches: 16 };

const HOLD_US_MAX = 1_000_000;
const ONE_IN_MAX = 1_000_000;
const LAUNCHES_MAX = 1_000_000;

function planOf(options: ReproduceKshrinkdOptions): typeof DEFAULTS {
  const { runs, holdUs, oneIn, launches } = options;
  const hold = holdUs === undefined ? {} : { holdUs: integers('hold-us', holdUs, 0, HOLD_US_MAX) };
  return {
    ...(options.quick === true ? QUICK : DEFAULTS),
    ...hold,
    ...(runs === undefined ? {} : { runs: integer('runs', runs, 1, 99) }),
    ...(oneIn === undefined ? {} : { oneIn: integers('one-in', oneIn, 1, ONE_IN_MAX) }),
    ...(launches === undefined ? {} : { launches: integer('launches', launches, 1, LAUNCHES_MAX) }),
  };
}

/** @throws UsageError where nothing would run */
function checkOnly(only: string): void {
  if (KSHRINKD_EXPERIMENTS.some((name) => name.includes(only))) return;
  const known = KSHRINKD_EXPERIMENTS.join(', ');
  throw new UsageError(`--only: no experiment '${oneLine(only, 40)}'; known are ${known}`);
}

function resultOf(result: KshrinkdResult, plan: typeof DEFAULTS, load: number) {
  const { isolations, monkey, runs, violations, failure } = result;
  const verdicts = {
    isolations: isolationVerdict(isolations),
    stealScan: stealScanVerdict(monkey),
    misplaced: misplacedVerdict(monkey),
    refaults: refaultVerdict(monkey),
    kills: killVerdict(monkey),
  };
  return {
    schema: 'kreclaim.reproduce/1',
    name: 'kshrinkd',
    node: process.version,
    cores: availableParallelism(),
    load,
    plan,
    seedFigure: KSHRINKD_SEED,
    measured: { isolations, monkey },
    runs,
    violations,
    verdicts,
    verdict: Object.values(verdicts)
      .map(({ text }) => text)
      .join('\n'),
    interrupted: interruptSignal.aborted,
    panic: failure === null ? null : oneLine(failure.message, 500),
  };
}

/** Runs all of it and reports. @throws UsageError for options that will not do */
export async function reproduceKshrinkd(options: ReproduceKshrinkdOptions): Promise<void> {
  const plan = planOf(options);
  const { only = '' } = options;
  checkOnly(only);
  await checkWritable(options.json);
  const onSample = (done: number, total: number, what: string): void => {
    process.stderr.write(`${done} of ${total}: ${what}\n`);
  };
  const load = loadavg()[0] as number;
  const measured = await runKshrinkd({ ...plan, only, signal: interruptSignal, onSample });
  const result = resultOf(measured, plan, load);
  const lines = [
    formatKshrinkd(measured),
    coverageText(plan.runs),
    loadLine(load, result.cores, 'locks are held for longer'),
    '',
    result.verdict,
    ...measured.violations,
  ];
  await emitResult(result, `${lines.join('\n')}\n`, options.json);
  process.exitCode = exitOf(measured);
}
