// SPDX-License-Identifier: GPL-2.0-only
/**
 * The report of a comparison (`kreclaim.compare/1`): what was compared, every run with its
 * counters, and a row for each counter. Made again from its own runs it is the same.
 */
import type { BoundResult } from './bound.ts';
import type { Counters } from './counters.ts';
import type { Row, RowVerdict } from './rows.ts';

export const COMPARE_SCHEMA = 'kreclaim.compare/1';

export type SideName = 'a' | 'b';

/**
 * complete     counted, even where an invariant was violated
 * panic        the machine panicked, hung, or did not come up
 * timeout      it was not done within --timeout
 * interrupted  somebody ended it
 */
export type RunStatus = 'complete' | 'panic' | 'timeout' | 'interrupted';

/** One run of a side. */
export interface CompareRun {
  readonly side: SideName;
  /** From 1: runs of one number were made one after the other, where the plan is paired. */
  readonly pair: number;
  readonly status: RunStatus;
  /** As `kreclaim run` would have ended. */
  readonly exitCode: number;
  /** What went wrong, in a line; null when nothing did. */
  readonly reason: string | null;
  readonly seed: number | null;
  readonly wallMs: number | null;
  /** File of the whole report, null where none was kept. */
  readonly report: string | null;
  /** Empty without a report. */
  readonly counters: Counters;
}

/** What differs between the sides. */
export interface Toggle {
  readonly name: string;
  readonly a: string;
  readonly b: string;
}

export interface ComparePlan {
  /** Scenario or traces; files where reports were compared. */
  readonly inputs: readonly string[];
  /** Runs of each side that were asked for; null for files. */
  readonly runs: number | null;
  /** ABBA: A first in odd pairs, B first in even ones. */
  readonly order: 'ABBA' | null;
  readonly paired: boolean;
  readonly jobs: number | null;
  readonly mode: string;
  /** Half width of `same`, in percent. */
  readonly same: number;
}

export interface CompareSide {
  readonly label: string;
  /** Resolved; of its first run. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** A row as it is written. Null: not known, or without limit. */
export interface RowReport {
  readonly counter: string;
  readonly a: number;
  readonly b: number;
  readonly diff: number;
  readonly diffLow: number | null;
  readonly diffHigh: number | null;
  /** In percent of A; null where A's median is zero. */
  readonly diffPct: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly runsA: number;
  readonly runsB: number;
  readonly verdict: RowVerdict;
}

export interface CompareReport {
  readonly schema: typeof COMPARE_SCHEMA;
  readonly version: string;
  readonly node: string;
  readonly cpus: { readonly count: number; readonly model: string };
  /** Null where saved reports differ in more than one thing, or in nothing. */
  readonly toggle: Toggle | null;
  readonly plan: ComparePlan;
  readonly sides: { readonly a: CompareSide; readonly b: CompareSide };
  readonly interrupted: boolean;
  readonly wallMs: number | null;
  readonly runs: readonly CompareRun[];
  /** Runs of each side that were compared. */
  readonly compared: { readonly a: number; readonly b: number };
  /** What the intervals cover, in percent, at best; null where there are none. */
  readonly confidence: number | null;
  readonly warnings: readonly string[];
  readonly rows: readonly RowReport[];
  readonly counts: Readonly<Record<RowVerdict, number>>;
  readonly failOn: readonly BoundResult[];
  readonly verdict: string;
}

const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

/** @returns the row as it is written */
export function rowReport(row: Row): RowReport {
  const { counter, a, b, diff, percent, runsA, runsB, verdict } = row;
  return {
    counter,
    a,
    b,
    diff,
    diffLow: finite(row.diffInterval?.low),
    diffHigh: finite(row.diffInterval?.high),
    diffPct: finite(percent),
    low: finite(row.percentInterval?.low),
    high: finite(row.percentInterval?.high),
    runsA,
    runsB,
    verdict,
  };
}

/** How many rows have each verdict. */
export function countVerdicts(rows: readonly { readonly verdict: RowVerdict }[]) {
  const counts: Record<RowVerdict, number> = { more: 0, less: 0, same: 0, unclear: 0 };
  for (const { verdict } of rows) counts[verdict]++;
  return counts;
}
