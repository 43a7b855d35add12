// SPDX-License-Identifier: GPL-2.0-only
/** From the runs of both sides to rows, bounds and a verdict. */
import { UsageError } from '../../errors.ts';
import { confidenceOf } from './bootstrap.ts';
import { type Bound, type BoundResult, checkBound } from './bound.ts';
import { type CompareReport, type CompareRun, countVerdicts, rowReport } from './compare_report.ts';
import { HEADLINE } from './counters.ts';
import { nearNames } from './near_names.ts';
import { compareRows, counterNames, isTold, type Row, type Samples } from './rows.ts';

export interface AnalysisOptions {
  readonly paired: boolean;
  /** Half width of `same`, in percent. */
  readonly same: number;
  readonly bounds: readonly Bound[];
}

/** What a report has of it, and the rows with their infinite ends. */
export interface Analysis
  extends Pick<
    CompareReport,
    'compared' | 'confidence' | 'rows' | 'counts' | 'failOn' | 'verdict'
  > {
  readonly fullRows: readonly Row[];
}

/** Complete runs; of a paired plan those of complete pairs, by pair. */
function samplesOf(runs: readonly CompareRun[], paired: boolean): Samples {
  const complete = runs
    .filter(({ status }) => status === 'complete')
    .sort((x, y) => x.pair - y.pair);
  const side = (name: CompareRun['side']) => complete.filter((run) => run.side === name);
  const [a, b] = [side('a'), side('b')];
  const has = (others: readonly CompareRun[]) => (run: CompareRun) =>
    !paired || others.some(({ pair }) => pair === run.pair);
  return {
    a: a.filter(has(b)).map(({ counters }) => counters),
    b: b.filter(has(a)).map(({ counters }) => counters),
    paired,
  };
}

/** @throws UsageError for a bound on what no report counts */
function checkNames(bounds: readonly Bound[], names: readonly string[]): void {
  for (const { counter } of bounds) {
    if (names.length > 0 && !names.includes(counter)) throw unknownCounter(counter, names);
  }
}

/** The error for a counter that there is not. */
export function unknownCounter(counter: string, names: readonly string[]): UsageError {
  const near = nearNames(counter, names);
  const hint =
    near.length > 0 ? `near are ${near.join(', ')}` : 'kreclaim compare --all lists them';
  return new UsageError(`--fail-on: no counter '${counter.slice(0, 60)}'; ${hint}`);
}

function verdictText(rows: readonly Row[], confidence: number | null): string {
  if (rows.length === 0) return 'nothing to compare';
  if (confidence === null) return 'unclear: one run of a side has no interval';
  const of = (...verdicts: string[]): string[] =>
    HEADLINE.flatMap((name) => rows.filter(({ counter }) => counter === name))
      .filter(({ verdict }) => verdicts.includes(verdict))
      .map(({ counter, verdict }) => `${counter} ${verdict}`);
  const changed = of('more', 'less');
  if (changed.length > 0) return `differ: ${changed.join(', ')}`;
  const unclear = of('unclear').length;
  if (unclear === 0) return 'same, by the headline counters';
  return `no clear difference, by the headline counters; ${unclear} of them unclear`;
}

/** Compares the complete runs. @throws UsageError for a bound that cannot be checked */
export function analyse(runs: readonly CompareRun[], options: AnalysisOptions): Analysis {
  const { paired, same, bounds } = options;
  const samples = samplesOf(runs, paired);
  checkNames(bounds, counterNames(samples));
  const compared = { a: samples.a.length, b: samples.b.length };
  const fullRows = compareRows(samples, same);
  const enough = Math.min(compared.a, compared.b) >= 2;
  const confidence = enough ? confidenceOf(compared.a, compared.b, paired) : null;
  const failOn: BoundResult[] = bounds.map((bound) =>
    checkBound(
      bound,
      fullRows.find(({ counter }) => counter === bound.counter),
      enough && isTold(samples, bound.counter),
    ),
  );
  return {
    fullRows,
    compared,
    confidence,
    rows: fullRows.map(rowReport),
    counts: countVerdicts(fullRows),
    failOn,
    verdict: verdictText(fullRows, confidence),
  };
}
