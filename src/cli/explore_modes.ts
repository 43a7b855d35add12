// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim explore FILE --mode torture|litmus`: the same file on real threads, at full speed. A
 * scenario file for torture; a litmus test (one, or a list `tests`) for litmus.
 */
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../errors.ts';
import {
  formatLitmus,
  formatTorture,
  LitmusUsageError,
  litmusNames,
  litmusReport,
  ScenarioError,
  tortureReport,
} from '../harness/index.ts';
import { interruptedExitCode, interruptSignal } from './interrupt.ts';
import { emitResult } from './output.ts';

/** The options of `explore` that these modes share. */
export interface ModeOptions {
  readonly seconds?: number;
  readonly seed?: number;
  readonly hangMs?: number;
}

const DEFAULT_SECONDS = 10;

/** An error of use as the command line has it: one line. */
function usage(error: unknown): never {
  if (error instanceof ScenarioError || error instanceof LitmusUsageError) {
    const [line = ''] = error.message.split('\n');
    throw new UsageError(
      line.replace(/^(seconds|seed): /, '--$1: ').replace(/^hangMs: /, '--hang-ms: '),
    );
  }
  throw error;
}

function exitWith(failed: boolean): void {
  if (failed) process.exitCode = 1;
  else if (interruptSignal.aborted) process.exitCode = interruptedExitCode();
}

/** Runs a scenario on real threads. */
export async function exploreByTorture(
  file: string,
  options: ModeOptions,
  json: string | undefined,
): Promise<void> {
  const seconds = options.seconds ?? DEFAULT_SECONDS;
  const all = { ...options, seconds, signal: interruptSignal };
  const result = await tortureReport(file, all).catch(usage);
  const report = { schema: 'kreclaim.scenario-torture/1', ...result };
  await emitResult(report, formatTorture(result), json);
  exitWith(result.failure !== null);
}

/** Runs a litmus test, or every test of a list for its share of the time. */
export async function exploreByLitmus(
  file: string,
  options: ModeOptions,
  json: string | undefined,
): Promise<void> {
  const url = pathToFileURL(file);
  const names = await litmusNames(url).catch(usage);
  const seconds = (options.seconds ?? DEFAULT_SECONDS) / Math.max(names.length, 1);
  const results = [];
  for (const name of names) {
    if (interruptSignal.aborted) break;
    const input = name === null ? url : { module: url, test: name };
    const all = { ...options, seconds, signal: interruptSignal };
    results.push(await litmusReport(input, all).catch(usage));
  }
  const text = results.map(formatLitmus).join('');
  await emitResult({ schema: 'kreclaim.litmus/1', tests: results }, text, json);
  exitWith(results.some(({ passed }) => !passed));
}
