// SPDX-License-Identifier: GPL-2.0-only
/**
 * A figure over repeated runs: its median, and how far that may be off by the runs alone, by the
 * bootstrap that `compare` uses. With one run there is no interval.
 */
import { Bootstrap, confidenceOf, type Interval } from './compare/bootstrap.ts';
import { formatNumber } from './text_table.ts';

export interface Figure {
  readonly median: number;
  /** 95 %, less with fewer than six runs; null with one. */
  readonly interval: Interval | null;
  readonly runs: number;
}

/** Draws, by number of runs: they are the same for all figures. */
const bootstraps = new Map<number, Bootstrap>();

/** @returns null without values */
export function figureOf(values: readonly number[]): Figure | null {
  const runs = values.length;
  if (runs === 0) return null;
  const bootstrap = bootstraps.get(runs) ?? new Bootstrap(runs, runs, true);
  bootstraps.set(runs, bootstrap);
  const { b, diffInterval } = bootstrap.difference(new Array(runs).fill(0), values);
  return { median: b, interval: diffInterval, runs };
}

/** What intervals of so many runs can cover at best, for people: few runs tell little. */
export function coverageText(runs: number): string {
  if (runs < 2) return 'One run: no intervals.';
  const percent = confidenceOf(runs, runs, true).toFixed(0);
  return `Medians of ${runs} runs, with intervals that cover ${percent} % at best.`;
}

/** What a ratio of B to A says, with less being better. */
export type Sign = 'fewer' | 'more' | 'no difference' | 'one run';

/** @returns the side of 1 on which all of the interval lies */
export function signOf({ interval }: Figure): Sign {
  if (interval === null) return 'one run';
  if (interval.high < 1) return 'fewer';
  return interval.low > 1 ? 'more' : 'no difference';
}

/** `12.3 (11.0..14.2)`, without an interval `12.3`; `-` for null. */
export function figureText(figure: Figure | null, digits = 0): string {
  if (figure === null) return '-';
  const { median, interval } = figure;
  const text = formatNumber(median, digits);
  if (interval === null) return text;
  return `${text} (${formatNumber(interval.low, digits)}..${formatNumber(interval.high, digits)})`;
}
