// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the experiment on kcompressd says of the published figures: stalls at most half, more
 * anonymous pages stolen; and where there is no gain, or a loss.
 */

import { type Figure, figureOf, figureText, signOf } from './figure.ts';
import type { KcompressdSample } from './kcompressd_lab.ts';
import type { Verdict } from './shrinker_verdicts.ts';

/** One sample, with what it was for. */
export interface TakenSample {
  readonly experiment: string;
  readonly run: number;
  readonly sample: KcompressdSample;
}

/** One policy at one setting, over the runs. Ratios are to `off` in the same run. */
export interface KcompressdCell
  extends Pick<KcompressdSample, 'policy' | 'data' | 'cost' | 'threads' | 'reserve'> {
  readonly experiment: string;
  readonly allocstall: Figure;
  /** Null where `off` has none, or was not measured; and for `off`. */
  readonly stallRatio: Figure | null;
  readonly stallTotalRatio: Figure | null;
  readonly stealRatio: Figure | null;
  readonly wallRatio: Figure | null;
  readonly stallP50Ms: Figure;
  readonly stallP99Ms: Figure;
  readonly stallTotalMs: Figure;
  readonly stealAnonPerSec: Figure;
  readonly stealKswapdPerSec: Figure;
  readonly wallMs: Figure;
  /** Folios that kcompressd took, of those that it took or had no room for; null without any. */
  readonly queuedShare: Figure | null;
}

/** The seed, one thread: half the stalls or fewer; the series before it: 3.6 times the steal. */
export const SEED_STALL_RATIO = 0.5;
export const SERIES_STEAL_RATIO = 3.6;

const keyOf = ({ experiment, sample }: TakenSample): string => {
  const { data, cost, threads, reserve } = sample;
  return [experiment, data, cost, threads, reserve].join(' ');
};

function cellOf(mine: readonly TakenSample[], off: readonly TakenSample[]): KcompressdCell {
  const [first] = mine as [TakenSample];
  const { policy, data, cost, threads, reserve } = first.sample;
  const figure = (of: (sample: KcompressdSample) => number): Figure =>
    figureOf(mine.map(({ sample }) => of(sample))) as Figure;
  const ratio = (of: (sample: KcompressdSample) => number): Figure | null => {
    const pairs = mine.flatMap(({ run, sample }) => {
      const base = off.find((one) => one.run === run);
      const value = base === undefined || policy === 'off' ? 0 : of(base.sample);
      return value > 0 ? [of(sample) / value] : [];
    });
    return figureOf(pairs);
  };
  const shares = mine.flatMap(({ sample: { queued, full } }) =>
    queued + full === 0 ? [] : [queued / (queued + full)],
  );
  return {
    ...{ experiment: first.experiment, policy, data, cost, threads, reserve },
    allocstall: figure((sample) => sample.allocstall),
    stallRatio: ratio((sample) => sample.allocstall),
    stallTotalRatio: ratio((sample) => sample.stallTotalMs),
    stealRatio: ratio((sample) => sample.stealAnonPerSec),
    wallRatio: ratio((sample) => sample.wallMs),
    stallP50Ms: figure((sample) => sample.stallP50Ms),
    stallP99Ms: figure((sample) => sample.stallP99Ms),
    stallTotalMs: figure((sample) => sample.stallTotalMs),
    stealAnonPerSec: figure((sample) => sample.stealAnonPerSec),
    stealKswapdPerSec: figure((sample) => sample.stealKswapdPerSec),
    wallMs: figure((sample) => sample.wallMs),
    queuedShare: figureOf(shares),
  };
}

/** Samples of all runs together, by setting and policy, in the order they came. */
export function kcompressdCells(taken: readonly TakenSample[]): KcompressdCell[] {
  const groups = [...new Set(taken.map(keyOf))];
  return groups.flatMap((key) => {
    const setting = taken.filter((one) => keyOf(one) === key);
    const policies = [...new Set(setting.map(({ sample }) => sample.policy))];
    const off = setting.filter(({ sample }) => sample.policy === 'off');
    return policies.map((policy) =>
      cellOf(
        setting.filter(({ sample }) => sample.policy === policy),
        off,
      ),
    );
  });
}

/** `fixed, compressible x16`, with what is unusual about it. */
export function settingOf(cell: KcompressdCell): string {
  const { experiment, policy, data, cost, threads, reserve } = cell;
  const many = threads > 1 ? `, ${threads} threads` : '';
  const core = experiment === 'one core' ? ', one core' : '';
  const free = experiment === 'reserve' ? `, reserve ${reserve}` : '';
  return `${policy}, ${data} x${cost}${many}${core}${free}`;
}

const ratioText = (cell: KcompressdCell): string =>
  `${figureText(cell.stallRatio, 2)} (${settingOf(cell)})`;

/** Stalls: where the published half is reached. */
export function stallVerdict(cells: readonly KcompressdCell[]): Verdict {
  const seen = cells.filter(({ stallRatio }) => stallRatio !== null);
  if (seen.length === 0) return { holds: false, text: 'allocation stalls: not measured' };
  const median = (cell: KcompressdCell): number => (cell.stallRatio as Figure).median;
  const halved = seen.filter((cell) => median(cell) <= SEED_STALL_RATIO);
  const best = seen.reduce((a, b) => (median(b) < median(a) ? b : a));
  const word = halved.length > 0 ? `held in ${halved.length} of ${seen.length} cells` : 'not held';
  const where = halved.length > 0 ? `: ${halved.map(settingOf).join('; ')}` : '';
  const text =
    `allocation stalls: ${word}: on to off at most 0.5 (seed: 50 % fewer or better)${where}; ` +
    `the best is ${ratioText(best)}`;
  return { holds: halved.length > 0, text };
}

/** Steal: more anonymous pages a second than without it. */
export function stealVerdict(cells: readonly KcompressdCell[]): Verdict {
  const seen = cells.filter(({ stealRatio }) => stealRatio !== null);
  if (seen.length === 0) return { holds: false, text: 'pgsteal_anon: not measured' };
  const median = (cell: KcompressdCell): number => (cell.stealRatio as Figure).median;
  const best = seen.reduce((a, b) => (median(b) > median(a) ? b : a));
  const more = seen.filter((cell) => signOf(cell.stealRatio as Figure) === 'more');
  const holds = median(best) >= SERIES_STEAL_RATIO;
  const text =
    `pgsteal_anon: ${holds ? 'held' : 'not held'}: at best ` +
    `${figureText(best.stealRatio, 2)} times the rate without it (${settingOf(best)}; published ` +
    'for 4 threads in zram: 3.6); more, beyond ' +
    `the spread of the runs, in ${more.length} of ${seen.length} cells`;
  return { holds, text };
}

/** No gain or a loss: said of every cell where it is so; held where cheap or one core shows it. */
export function nullVerdict(cells: readonly KcompressdCell[]): Verdict {
  const seen = cells.filter(({ stallRatio }) => stallRatio !== null);
  if (seen.length === 0) return { holds: false, text: 'no gain: not measured' };
  const cheapest = Math.min(...seen.map(({ cost }) => cost));
  const expected = (cell: KcompressdCell): boolean =>
    cell.experiment === 'one core' || (cell.experiment === 'cost' && cell.cost === cheapest);
  const sign = (cell: KcompressdCell): string => signOf(cell.stallRatio as Figure);
  const gained = (cell: KcompressdCell): boolean =>
    sign(cell) === 'fewer' ||
    (sign(cell) === 'one run' && (cell.stallRatio as Figure).median <= SEED_STALL_RATIO);
  const none = seen.filter((cell) => !gained(cell));
  const worse = none.filter((cell) => sign(cell) === 'more');
  const where = none.filter(expected);
  const all = seen.filter(expected);
  const list = (which: readonly KcompressdCell[]): string =>
    which.length === 0 ? 'none' : which.map(ratioText).join('; ');
  const word = all.length === 0 ? 'not measured' : where.length > 0 ? 'held' : 'not held';
  const text =
    `no gain: ${word} where it is expected (cheap compression, ` +
    `one busy core) in ${where.length} of ${all.length} cells: ${list(where)}; elsewhere: ` +
    `${list(none.filter((cell) => !expected(cell)))}; a loss beyond the spread of the runs: ` +
    list(worse);
  return { holds: where.length > 0, text };
}
