// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bounds of a comparison, for scripts: `pgscan>5%` is broken when B is surely more than 5 % above
 * A. Surely: the end of the interval that is nearer to A is beyond the bound.
 *
 *   pgscan>5%           B is more than 5 % above A
 *   eventsPerSec<5%     B is more than 5 % below A; -5% says the same
 *   allocstall>100      B is more than 100 above A
 */
import { oneLine, UsageError } from '../../errors.ts';
import type { Row } from './rows.ts';

export interface Bound {
  /** As it was given. */
  readonly text: string;
  readonly counter: string;
  readonly above: boolean;
  /** At least 0. */
  readonly amount: number;
  readonly percent: boolean;
}

export interface BoundResult {
  readonly bound: string;
  /** Null where too few complete runs know the counter. */
  readonly broken: boolean | null;
  /** Near end of the interval, in the bound's unit; null where it is without limit. */
  readonly near: number | null;
}

const BOUND = /^\s*([^\s<>=]+)\s*([<>])\s*([+-]?\d+(?:\.\d+)?(?:e\d+)?)\s*(%?)\s*$/;

/** @throws UsageError for what is no bound */
export function parseBound(text: string): Bound {
  const match = BOUND.exec(text);
  const above = match?.[2] === '>';
  const given = Number(match?.[3]);
  if (match !== null && (!above || given >= 0)) {
    const amount = Math.abs(given);
    return { text: text.trim(), counter: match[1] as string, above, amount, percent: !!match[4] };
  }
  const hint = "give COUNTER>N%, COUNTER>N, COUNTER<N% or COUNTER<N, such as 'pgscan>5%'";
  throw new UsageError(`--fail-on: '${oneLine(text, 60)}' will not do; ${hint}`);
}

/**
 * @param row of its counter; undefined where that is zero everywhere, and no bound is broken
 * @param enough runs enough for an interval know it, or none does
 */
export function checkBound(bound: Bound, row: Row | undefined, enough: boolean): BoundResult {
  if (!enough) return { bound: bound.text, broken: null, near: null };
  const interval = bound.percent ? row?.percentInterval : row?.diffInterval;
  if (interval == null) return { bound: bound.text, broken: false, near: 0 };
  const near = bound.above ? interval.low : interval.high;
  const broken = bound.above ? near > bound.amount : near < -bound.amount;
  return { bound: bound.text, broken, near: Number.isFinite(near) ? near : null };
}
