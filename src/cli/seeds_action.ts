// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim run ... --seeds A..B`: a range of seeds, one machine each, until one fails. */
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { parseConfig } from '../config_schema.ts';
import type { SeedResult } from '../deterministic/seed_result.ts';
import type { SeedsInput } from '../deterministic/seed_task.ts';
import { runSeeds, type SeedsReport } from '../deterministic/seeds.ts';
import { oneLine, UsageError } from '../errors.ts';
import { formatNumber } from '../report/text_table.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { checkWritable, emitResult } from './output.ts';
import { progressTarget } from './progress.ts';
import { replayLine } from './replay_line.ts';

const SEED_MAX = 2 ** 32 - 1;
/** A line of progress comes after so many seeds where there is no terminal. */
const LINE_SEEDS = 50;

export interface SeedsFlags {
  readonly seeds: string;
  readonly jobs?: string;
  readonly json?: string;
  readonly quiet?: true;
}

/** @returns first and last seed @throws UsageError */
export function parseSeeds(text: string): { from: number; to: number } {
  const match = /^(\d{1,10})\.\.(\d{1,10})$/.exec(text.trim());
  const from = Number(match?.[1]);
  const to = Number(match?.[2]);
  if (match !== null && from <= to && to <= SEED_MAX) return { from, to };
  const shown = oneLine(text, 40);
  throw new UsageError(`--seeds: '${shown}' will not do; give A..B with A <= B below 2^32`);
}

/** @returns machines at once; `most` when not told @throws UsageError */
export function parseJobs(text: string | undefined, most = availableParallelism()): number {
  if (text === undefined) return most;
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new UsageError(`--jobs: '${oneLine(text, 40)}' will not do; give an integer above 0`);
}

/** Shows how far the range is: one line redrawn on a terminal, one in a while elsewhere. */
class SeedsProgress {
  readonly #total: number;
  readonly #target = progressTarget();
  #drawn = false;

  constructor(total: number) {
    this.#total = total;
  }

  show(result: SeedResult, done: number): void {
    const { stream, live } = this.#target;
    if (!live && done % LINE_SEEDS !== 0) return;
    const seconds = (result.wallMs / 1000).toFixed(1);
    const line = `${done} of ${this.#total} seeds; seed ${result.seed} took ${seconds} s`;
    stream.write(live ? `\r\x1b[K${line}` : `${line}\n`);
    this.#drawn = live;
  }

  end(): void {
    if (this.#drawn) this.#target.stream.write('\r\x1b[K');
  }
}

function failureLines(report: SeedsReport, args: readonly string[]): string[] {
  const { failure } = report;
  if (failure === null) return [];
  const faults = parseConfig(report.config).faults;
  return [
    `seed ${failure.seed} failed: ${failure.reason}`,
    ...failure.details.map((line) => `  ${line}`),
    `replay: ${replayLine(args, failure.seed, faults, failure.faultSeed)}`,
  ];
}

function summary(report: SeedsReport, args: readonly string[]): string {
  const { runs, decisions, switches, faults, events } = report;
  const seconds = (report.wallMs / 1000).toFixed(1);
  const outcome = report.failure !== null ? 'one failed' : 'none failed';
  const pages = runs.reduce((sum, run) => sum + run.pagesVerified, 0);
  const checked = runs.reduce((sum, run) => sum + run.invariantsChecked, 0);
  const count = (name: string): number => events[name] ?? 0;
  const out = count('pswpout') + count('zswpout') + count('swpout_zero');
  const back = count('pswpin') + count('zswpin') + count('swpin_zero');
  const injected = Object.entries(faults).map(([name, count]) => `${name} ${formatNumber(count)}`);
  return [
    `seeds ${report.from}..${report.to}: ${runs.length} run, ${outcome}` +
      `${report.interrupted ? ', interrupted' : ''}; ${seconds} s`,
    `${formatNumber(decisions)} decisions (${formatNumber(report.decisionsPerSec)}/s), ` +
      `${formatNumber(switches)} switches; ${formatNumber(pages)} pages read back, ` +
      `${formatNumber(checked)} invariants checked`,
    `${formatNumber(count('pgfault'))} page faults, ` +
      `${formatNumber(out)} pages out, ${formatNumber(back)} back in`,
    `faults injected: ${injected.length === 0 ? 'none' : injected.join(', ')}`,
    ...failureLines(report, args),
    '',
  ].join('\n');
}

/** Runs the range, shows the result, and sets the exit code. @param args of the command line */
export async function seedsAction(
  input: SeedsInput,
  flags: SeedsFlags,
  args: readonly string[],
): Promise<void> {
  const { from, to } = parseSeeds(flags.seeds);
  const jobs = Math.min(parseJobs(flags.jobs), to - from + 1);
  parseConfig(input.config);
  await checkWritable(flags.json);
  const progress = flags.quiet === true ? null : new SeedsProgress(to - from + 1);
  const report = await runSeeds({
    from,
    to,
    jobs,
    input,
    signal: interruptSignal,
    onResult: (result, done) => progress?.show(result, done),
  }).finally(() => progress?.end());
  await emitResult(report, summary(report, args), flags.json);
  const interrupted = report.interrupted ? interruptedExitCode() : 0;
  process.exitCode = report.failure?.exitCode ?? interrupted;
}
