// SPDX-License-Identifier: GPL-2.0-only
/**
 * What differs between two sides of runs: a row for each counter that is not zero everywhere, those
 * that differ most first.
 */
import { Bootstrap, confidenceOf, type Difference } from './bootstrap.ts';
import { type Counters, isOfKind } from './counters.ts';

/**
 * more, less   the whole interval is on that side of zero
 * same         the whole interval is within the threshold: no difference worth the name
 * unclear      neither: more runs would tell; so few that chance alone would often seem to tell
 */
export type RowVerdict = 'more' | 'less' | 'same' | 'unclear';

/** One counter. Differences are B less A; percents are of A. Infinite ends are kept here. */
export interface Row extends Difference {
  readonly counter: string;
  /** Runs that know it. */
  readonly runsA: number;
  readonly runsB: number;
  readonly verdict: RowVerdict;
}

/** What to compare. */
export interface Samples {
  /** By run. */
  readonly a: readonly Counters[];
  readonly b: readonly Counters[];
  /** Run k of A belongs with run k of B. */
  readonly paired: boolean;
}

/** Where intervals cover less at best, in percent, nothing is told, unless no run differs. */
const CONFIDENCE_LEAST = 90;

/**
 * @param same half width, in percent, of what counts as no difference
 * @param confidence what the interval covers at best, in percent
 */
export function verdictOf(difference: Difference, same: number, confidence: number): RowVerdict {
  const interval = difference.percentInterval;
  if (interval === null) return 'unclear';
  const { low, high } = interval;
  const few = confidence < CONFIDENCE_LEAST;
  if (low >= -same && high <= same && (!few || low === high)) return 'same';
  if (few) return 'unclear';
  if (low > 0) return 'more';
  return high < 0 ? 'less' : 'unclear';
}

/**
 * How large, halving as doubling: where it is sure, the end of the interval that is nearer to zero.
 */
function effectOf({ percent, percentInterval, verdict }: Row): number {
  const { low, high } = percentInterval ?? { low: percent, high: percent };
  const near = verdict === 'more' ? low : verdict === 'less' ? high : percent;
  return Math.abs(Math.log(1 + Math.max(near, -100) / 100));
}

const VERDICT_ORDER: readonly RowVerdict[] = ['more', 'unclear', 'same'];
const placeOf = ({ verdict }: Row): number =>
  VERDICT_ORDER.indexOf(verdict === 'less' ? 'more' : verdict);

function compareBySize(x: Row, y: Row): number {
  const place = placeOf(x) - placeOf(y);
  if (place !== 0) return place;
  const [effectX, effectY] = [effectOf(x), effectOf(y)];
  if (effectX !== effectY) return effectY - effectX;
  return x.counter < y.counter ? -1 : 1;
}

/** A counter's values by run; null where it is not known. What is of a kind is then zero. */
function valuesOf(runs: readonly Counters[], name: string): (number | null)[] {
  const absent = isOfKind(name) ? 0 : null;
  return runs.map((counters) =>
    Object.hasOwn(counters, name) ? (counters[name] ?? null) : absent,
  );
}

const known = (value: number | null): value is number => value !== null;

/** Keeps the pairs that know a counter on both sides, or the runs that do. */
function knownValues(samples: Samples, name: string): readonly [number[], number[]] {
  const a = valuesOf(samples.a, name);
  const b = valuesOf(samples.b, name);
  if (!samples.paired) return [a.filter(known), b.filter(known)];
  const both = a.map((value, k) => known(value) && known(b[k] as number | null));
  return [a.filter((_, k) => both[k]) as number[], b.filter((_, k) => both[k]) as number[]];
}

/**
 * Are there intervals for a counter, or nothing that one could be for? A counter that some runs
 * know, but not two of each side, tells nothing.
 */
export function isTold(samples: Samples, name: string): boolean {
  const [a, b] = knownValues(samples, name);
  if (Math.min(a.length, b.length) >= 2) return true;
  return [...valuesOf(samples.a, name), ...valuesOf(samples.b, name)].every((one) => !known(one));
}

/** @returns the counters that any run names, those too that are zero everywhere */
export function counterNames({ a, b }: Samples): string[] {
  return [...new Set([...a, ...b].flatMap((counters) => Object.keys(counters)))];
}

/**
 * Compares two sides.
 * @param same half width, in percent, of what counts as no difference
 * @returns rows by effect; none where a side has no run
 */
export function compareRows(samples: Samples, same: number): Row[] {
  const bootstraps = new Map<string, Bootstrap>();
  const rows: Row[] = [];
  for (const counter of counterNames(samples)) {
    const [a, b] = knownValues(samples, counter);
    if (a.length === 0 || b.length === 0) continue;
    if (a.every((value) => value === 0) && b.every((value) => value === 0)) continue;
    const key = `${a.length} ${b.length}`;
    const bootstrap = bootstraps.get(key) ?? new Bootstrap(a.length, b.length, samples.paired);
    bootstraps.set(key, bootstrap);
    const difference = bootstrap.difference(a, b);
    const confidence = confidenceOf(a.length, b.length, samples.paired);
    const verdict = verdictOf(difference, same, confidence);
    rows.push({ counter, runsA: a.length, runsB: b.length, ...difference, verdict });
  }
  return rows.sort(compareBySize);
}
