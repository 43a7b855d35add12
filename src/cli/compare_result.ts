// SPDX-License-Identifier: GPL-2.0-only
/** From compared runs to a report, what is shown of it, and the exit code. */
import { cpus as hostCpus } from 'node:os';
import process from 'node:process';
import { type Analysis, analyse } from '../report/compare/analysis.ts';
import type { Bound } from '../report/compare/bound.ts';
import { COMPARE_SCHEMA, type CompareReport } from '../report/compare/compare_report.ts';
import { packageVersion } from '../version.ts';
import { interruptedExitCode } from './interrupt.ts';

/** What was run, or read, before it is analysed. */
export type Compared = Pick<
  CompareReport,
  'toggle' | 'plan' | 'sides' | 'interrupted' | 'wallMs' | 'warnings' | 'runs'
>;

/** @throws UsageError for a bound on what no run counts */
export function compareReport(compared: Compared, bounds: readonly Bound[]): CompareReport {
  const { plan, runs } = compared;
  const analysis: Analysis = analyse(runs, { paired: plan.paired, same: plan.same, bounds });
  const { fullRows: _, ...rest } = analysis;
  const host = hostCpus();
  return {
    schema: COMPARE_SCHEMA,
    version: packageVersion(),
    node: process.version,
    cpus: { count: host.length, model: host[0]?.model ?? 'unknown' },
    ...compared,
    ...rest,
  };
}

/**
 * 3 where a machine panicked, 1 where an invariant did not hold, 130 interrupted or out of time, 1
 * for a bound that is broken or cannot be told, else 0.
 */
export function compareExitCode({ runs, interrupted, failOn }: CompareReport): number {
  const has = (code: number): boolean => runs.some(({ exitCode }) => exitCode === code);
  if (has(3)) return 3;
  if (has(1)) return 1;
  if (interrupted || has(interruptedExitCode())) return interruptedExitCode();
  return failOn.some(({ broken }) => broken !== false) ? 1 : 0;
}
