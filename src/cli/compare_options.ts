// SPDX-License-Identifier: GPL-2.0-only
/** Options of `compare` that say how to compare, from text to values. */
import { oneLine, UsageError } from '../errors.ts';
import { type Bound, parseBound } from '../report/compare/bound.ts';
import type { RunFlags } from './run_command.ts';

/** What commander collects for `compare`. */
export interface CompareFlags extends RunFlags {
  readonly toggle?: readonly string[];
  readonly runs?: string;
  readonly against?: readonly string[];
  readonly same?: string;
  readonly failOn?: readonly string[];
  readonly keepReports?: string;
  readonly all?: true;
}

/** How to compare. */
export interface CompareHow {
  /** Half width of `same`, in percent; null where not told. */
  readonly same: number | null;
  readonly bounds: readonly Bound[];
}

/** Half width of `same` when not told, in percent. */
export const SAME_DEFAULT = 2;
const RUNS_DEFAULT = 10;
const RUNS_MAX = 1000;

/** @returns pairs of runs @throws UsageError */
export function parseRuns(text: string | undefined): number {
  if (text === undefined) return RUNS_DEFAULT;
  const runs = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (runs >= 1 && runs <= RUNS_MAX) return runs;
  const shown = oneLine(text, 40);
  throw new UsageError(`--runs: '${shown}' will not do; give an integer in 1..${RUNS_MAX}`);
}

function parseSame(text: string | undefined): number | null {
  if (text === undefined) return null;
  const match = /^(\d{1,3}(?:\.\d+)?)\s*%?$/.exec(text.trim());
  if (match !== null) return Number(match[1]);
  throw new UsageError(`--same: '${oneLine(text, 40)}' will not do; give percent, such as 2`);
}

/** @throws UsageError */
export function parseHow(flags: CompareFlags): CompareHow {
  return { same: parseSame(flags.same), bounds: (flags.failOn ?? []).map(parseBound) };
}
