// SPDX-License-Identifier: GPL-2.0-only
/** What the experiments on kshrinkd say of the published figures. */
import { type Figure, figureText, signOf } from './figure.ts';
import type { IsolationCell, MonkeyCell } from './reproduce_kshrinkd.ts';
import type { Verdict } from './shrinker_verdicts.ts';

/** Published: seed 000, 300 hours; its second version, two hours on two phones. */
export const KSHRINKD_SEED = {
  stealKshrinkd: 262_577,
  scanKshrinkd: 795_503,
  stealPercent: 33.0,
  misplacedPerSec: [0.243, 44, 106],
  refaultRatio: [0.966, 0.971],
  killRatio: [0.947, 0.976],
} as const;

/** At most so many of 32 are nothing; at least such a part of the first is what it was. */
const NOTHING = 1;
const STEADY = 0.9;

/** @returns number of the first isolation that finds nothing, from 1; null when none does */
export function firstEmpty(reclaimable: readonly number[]): number | null {
  const at = reclaimable.findIndex((count) => count <= NOTHING);
  return at < 0 ? null : at + 1;
}

/** Do all isolations find about as much as the first? */
export function isSteady(reclaimable: readonly number[]): boolean {
  const first = reclaimable[0] ?? 0;
  return first > 0 && reclaimable.every((count) => count >= STEADY * first);
}

const shares = (cells: readonly IsolationCell[]): string =>
  cells.map(({ held }) => `${held} of 32`).join(', ');

/**
 * The demonstration: the tail's isolations find less and less, the head misplaces and kshrinkd does
 * neither. The tail is to be out where a quarter or more of the folios are contended, as the
 * author's were.
 */
export function isolationVerdict(cells: readonly IsolationCell[]): Verdict {
  const of = (policy: string): IsolationCell[] => cells.filter((cell) => cell.policy === policy);
  const [tail, head] = [of('tail'), of('head')];
  const daemons = [...of('kshrinkd'), ...of('kshrinkd-fixed')];
  if (tail.length === 0 || head.length === 0 || daemons.length === 0) {
    return { holds: false, text: 'isolations: not measured' };
  }
  const out = tail.filter(({ reclaimable }) => firstEmpty(reclaimable) !== null);
  const falls = tail.every(({ reclaimable }) => {
    return (reclaimable.at(-1) as number) < (reclaimable[0] as number) / 2;
  });
  const misplaces = head.every(({ misplaced }) => misplaced.median > 0);
  const neither = daemons.filter(
    ({ reclaimable, misplaced }) => isSteady(reclaimable) && misplaced.median === 0,
  );
  const quarter = tail.filter(({ held }) => held >= 8);
  const decays = falls && quarter.every((cell) => out.includes(cell));
  const holds = decays && misplaces && neither.length === daemons.length;
  const text =
    `isolations: ${holds ? 'held' : 'not held'}: tail falls to nothing at ` +
    `${out.length === 0 ? 'no share' : shares(out)} contended (tried: ${shares(tail)}); head ` +
    `${misplaces ? 'puts the contended at the head each time' : 'does not misplace everywhere'}; ` +
    `kshrinkd and kshrinkd-fixed do neither in ${neither.length} of ${daemons.length} cells`;
  return { holds, text };
}

const place = ({ policy, holdUs, oneIn }: MonkeyCell): string =>
  `${policy}, one in ${oneIn} holds ${holdUs} us`;

/** steal / scan: where the published third falls on the sweep. */
export function stealScanVerdict(cells: readonly MonkeyCell[]): Verdict {
  const seen = cells.filter(({ stealPercent }) => stealPercent !== null);
  if (seen.length === 0) return { holds: false, text: 'steal / scan: not measured' };
  const percent = (cell: MonkeyCell): number => (cell.stealPercent as Figure).median;
  const least = seen.reduce((a, b) => (percent(b) < percent(a) ? b : a));
  const most = seen.reduce((a, b) => (percent(b) > percent(a) ? b : a));
  const seed = KSHRINKD_SEED.stealPercent;
  const holds = percent(least) <= seed && percent(most) >= seed;
  const where = holds ? 'within the sweep' : percent(least) > seed ? 'below all' : 'above all';
  const text =
    `steal / scan: ${holds ? 'held' : 'not held'}: the seed's 33.0 % is ${where}: from ` +
    `${figureText(least.stealPercent, 1)} % (${place(least)}) to ` +
    `${figureText(most.stealPercent, 1)} % (${place(most)})`;
  return { holds, text };
}

/** Misplaced folios a second: head has some, kshrinkd none. */
export function misplacedVerdict(cells: readonly MonkeyCell[]): Verdict {
  const rate = (cell: MonkeyCell): number => cell.misplacedPerSec.median;
  const heads = cells.filter(({ policy }) => policy === 'head');
  const seeds = cells.filter(({ policy }) => policy === 'kshrinkd');
  if (heads.length === 0 || seeds.length === 0) {
    return { holds: false, text: 'misplaced: not measured' };
  }
  const rates = heads.map(rate);
  const some = rates.some((value) => value > 0);
  const holds = some && seeds.every((cell) => rate(cell) === 0);
  const text =
    `misplaced: ${holds ? 'held' : 'not held'}: head puts ${Math.min(...rates).toFixed(1)} to ` +
    `${Math.max(...rates).toFixed(1)} contended folios a second at the head (published: 0.243, ` +
    `44 and 106), kshrinkd ${Math.max(...seeds.map(rate)).toFixed(1)} at most`;
  return { holds, text };
}

function ratioVerdict(
  name: string,
  published: readonly [number, number],
  cells: readonly MonkeyCell[],
  of: (cell: MonkeyCell) => Figure | null,
): Verdict {
  const seen = cells.filter((cell) => of(cell) !== null);
  if (seen.length === 0) return { holds: false, text: `${name}: not measured` };
  const figure = (cell: MonkeyCell): Figure => of(cell) as Figure;
  const fewer = seen.filter((cell) => signOf(figure(cell)) === 'fewer');
  const more = seen.filter((cell) => signOf(figure(cell)) === 'more');
  const within = seen.filter((cell) => {
    const { interval } = figure(cell);
    return interval !== null && interval.low <= published[1] && interval.high >= published[0];
  });
  const medians = seen.map((cell) => figure(cell).median);
  // One cell of many is fewer by chance.
  const holds = 2 * fewer.length > seen.length && more.length === 0;
  const text =
    `${name}: ${holds ? 'held' : 'not held'}: medians of kshrinkd to head ` +
    `${Math.min(...medians).toFixed(3)} to ${Math.max(...medians).toFixed(3)} (published: ` +
    `${published.join(' to ')}); beyond the spread of the runs fewer in ${fewer.length} of ` +
    `${seen.length} cells, more in ${more.length}; intervals of ${within.length} take in the ` +
    'published';
  return { holds, text };
}

/** Refaults with kshrinkd, in parts of those without. */
export function refaultVerdict(cells: readonly MonkeyCell[]): Verdict {
  return ratioVerdict('refaults', KSHRINKD_SEED.refaultRatio, cells, (cell) => cell.refaultRatio);
}

/** Kills with kshrinkd, in parts of those without. */
export function killVerdict(cells: readonly MonkeyCell[]): Verdict {
  return ratioVerdict('kills', KSHRINKD_SEED.killRatio, cells, (cell) => cell.killRatio);
}
