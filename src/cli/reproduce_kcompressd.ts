// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim reproduce kcompressd`: the seed's figures beside ours. */
import { availableParallelism, loadavg } from 'node:os';
import process from 'node:process';
import { oneLine, UsageError } from '../errors.ts';
import { coverageText } from '../report/figure.ts';
import { KCOMPRESSD_SHAPE } from '../report/kcompressd_lab.ts';
import { formatKcompressd } from '../report/kcompressd_text.ts';
import {
  nullVerdict,
  SEED_STALL_RATIO,
  SERIES_STEAL_RATIO,
  stallVerdict,
  stealVerdict,
} from '../report/kcompressd_verdicts.ts';
import { canUseOneCore } from '../report/one_core.ts';
import {
  KCOMPRESSD_EXPERIMENTS,
  type KcompressdResult,
  runKcompressd,
} from '../report/reproduce_kcompressd.ts';
import { interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult } from './output.ts';
import { exitOf, loadLine } from './reproduce_ending.ts';
import { integer, integers } from './reproduce_integers.ts';

export interface ReproduceKcompressdOptions {
  readonly runs?: string;
  readonly cost?: string;
  readonly threads?: string;
  readonly only?: string;
  readonly quick?: true;
  readonly json?: string;
}

const DEFAULTS = {
  runs: 5,
  costs: [1, 16, 64, 256],
  threads: [2, 4],
  reserves: [100, 300, 1000],
  bursts: 40,
};
const QUICK = { runs: 1, costs: [1], threads: [2], reserves: [300], bursts: 4 };

const COST_MAX = 1000;
const THREADS_MAX = 4;

function planOf(options: ReproduceKcompressdOptions): typeof DEFAULTS {
  const { runs, cost, threads } = options;
  const plan = {
    ...(options.quick === true ? QUICK : DEFAULTS),
    ...(runs === undefined ? {} : { runs: integer('runs', runs, 1, 99) }),
    ...(cost === undefined ? {} : { costs: integers('cost', cost, 1, COST_MAX) }),
    ...(threads === undefined ? {} : { threads: integers('threads', threads, 1, THREADS_MAX) }),
  };
  return { ...plan, costs: [...new Set(plan.costs)].sort((a, b) => a - b) };
}

/** @throws UsageError where nothing would run */
function checkOnly(only: string, oneCore: boolean): void {
  const chosen = KCOMPRESSD_EXPERIMENTS.filter((name) => name.includes(only));
  if (chosen.length === 0) {
    const known = KCOMPRESSD_EXPERIMENTS.join(', ');
    throw new UsageError(`--only: no experiment '${oneLine(only, 40)}'; known are ${known}`);
  }
  if (oneCore || chosen.some((name) => name !== 'one core')) return;
  throw new UsageError('--only one core: needs taskset of util-linux, which is not here');
}

const SEED_FIGURE = { stallRatioAtMost: SEED_STALL_RATIO, seriesStealRatio: SERIES_STEAL_RATIO };

function resultOf(result: KcompressdResult, plan: typeof DEFAULTS, load: number, oneCore: boolean) {
  const { cells, codec, scanUs, runs, violations, failure } = result;
  const verdicts = {
    stalls: stallVerdict(cells),
    steal: stealVerdict(cells),
    noGain: nullVerdict(cells),
  };
  return {
    schema: 'kreclaim.reproduce/1',
    name: 'kcompressd',
    node: process.version,
    cores: availableParallelism(),
    load,
    plan: { ...plan, oneCore, ...KCOMPRESSD_SHAPE },
    seedFigure: SEED_FIGURE,
    measured: { cells, codec, scanUs },
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
export async function reproduceKcompressd(options: ReproduceKcompressdOptions): Promise<void> {
  const plan = planOf(options);
  const { only = '' } = options;
  const oneCore = canUseOneCore();
  checkOnly(only, oneCore);
  await checkWritable(options.json);
  const onSample = (done: number, total: number, what: string): void => {
    process.stderr.write(`${done} of ${total}: ${what}\n`);
  };
  const load = loadavg()[0] as number;
  const signal = interruptSignal;
  const measured = await runKcompressd({ ...plan, only, oneCore, signal, onSample });
  const result = resultOf(measured, plan, load, oneCore);
  const lines = [
    formatKcompressd(measured),
    ...(oneCore ? [] : ['One core: not measured, as there is no taskset here']),
    coverageText(plan.runs),
    loadLine(load, result.cores, 'stalls are more and longer'),
    '',
    result.verdict,
    ...measured.violations,
  ];
  await emitResult(result, `${lines.join('\n')}\n`, options.json);
  process.exitCode = exitOf(measured);
}
