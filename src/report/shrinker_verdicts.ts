// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the shrinker experiments say of the published figures: signs, orders, and from which number
 * of threads on.
 */
import type { ShrinkerPolicy } from '../mm/config.ts';
import type { HotTable } from '../profile/hot_table.ts';
import { LOCK_SYMBOLS, RCU_SYMBOLS } from '../profile/seed_tables.ts';
import type { LabSample } from './shrinker_lab.ts';

/** Over the runs. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @returns null without values */
export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (i: number): number => sorted[i] as number;
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/** The policies whose hot spots were published: before the seed, and what it became. */
export const HOT_POLICIES = ['rwsem', 'lockless-fixed'] as const;

/** One policy's walkers under the profiler. */
export interface HotSide {
  readonly policy: ShrinkerPolicy;
  /** All runs together. */
  readonly table: HotTable;
  /** down_read_trylock and up_read, in percent. */
  readonly lockShare: Spread;
  readonly rcuShare: Spread;
}

/** Both policies on one shape with so many threads. */
export interface HotCell {
  readonly shape: string;
  readonly threads: number;
  readonly before: HotSide;
  readonly after: HotSide;
}

/** A policy's churn with so many threads that mount and that walk. */
export interface ChurnCell {
  readonly walkers: number;
  readonly churners: number;
  readonly policy: ShrinkerPolicy;
  readonly roundsPerSec: Spread;
  /** Its rounds per second in parts of rwsem's in the same run. */
  readonly toRwsem: Spread | null;
  readonly roundUsMax: number;
  /** All runs together. */
  readonly walks: number;
  readonly skipped: number;
  /** Walks that were not given up, per second. */
  readonly completedPerSec: Spread;
}

export interface Verdict {
  readonly holds: boolean;
  readonly text: string;
}

/** `1 thread`, `2 threads`. */
export const threadsOf = (count: number): string =>
  `${count} ${count === 1 ? 'thread' : 'threads'}`;

const percent = (value: number): string => `${value.toFixed(1)} %`;
const listed = (values: readonly number[]): string => [...new Set(values)].join(', ');
const share = (cell: HotCell): number => cell.before.lockShare.median;

const trylock = LOCK_SYMBOLS[0] as string;
const first = (side: HotSide): string => side.table.rows[0]?.symbol ?? 'nothing';

/** Hot spots: the lock's share goes, shrink_slab comes first; and the order of the lines. */
export function hotVerdict(cells: readonly HotCell[], cores: number): Verdict {
  if (cells.length === 0) return { holds: false, text: 'hot spots: not measured' };
  const gone = cells.filter(({ before, after }) => before.lockShare.min > after.lockShare.max);
  const shrinkFirst = cells.filter(({ after }) => first(after) === 'shrink_slab');
  const most = cells.reduce((best, cell) => (share(cell) > share(best) ? cell : best));
  const lockFirst = cells.filter(({ before }) => first(before) === trylock);
  const sign = gone.length === cells.length && shrinkFirst.length === cells.length;
  const where = (cell: HotCell): string => `${cell.shape}, ${threadsOf(cell.threads)}`;
  const lines = [
    `the lock's share goes to nothing in ${gone.length} of ${cells.length} cells, at most from ` +
      `${percent(share(most))} (${where(most)}); seed: 54.9 %`,
    `shrink_slab is first after it in ${shrinkFirst.length} of ${cells.length}`,
    lockFirst.length === 0
      ? `the trylock is first before it in none: that needs more than the ${cores} cores of this ` +
        `machine, or a cheaper walk (threads tried: ${listed(cells.map((c) => c.threads))})`
      : `the trylock is first before it in ${lockFirst.map(where).join('; ')}`,
  ];
  const held = sign && lockFirst.length > 0;
  const word = held ? 'held' : sign ? 'sign held, order not' : 'not held';
  return { holds: held, text: `hot spots: ${word}: ${lines.join('; ')}` };
}

/** At most this part of rwsem's rate is a collapse; from this part on, level with it. */
const COLLAPSE = 0.5;
const LEVEL = 0.9;

const change = (ratio: number): string =>
  `${ratio < 1 ? '' : '+'}${((ratio - 1) * 100).toFixed(0)} %`;

interface Crowd {
  readonly walkers: number;
  readonly churners: number;
}

/** `2 mounting`, `1 mounting beside 4 walking`. */
const crowdOf = ({ walkers, churners }: Crowd): string =>
  `${churners} mounting${walkers === 0 ? '' : ` beside ${walkers} walking`}`;

/** Churn: SRCU collapses against the rwsem, reference counts are level with it. */
export function churnVerdict(cells: readonly ChurnCell[]): Verdict {
  const ratio = (policy: ShrinkerPolicy, crowd: string): number | null =>
    cells.find((cell) => cell.policy === policy && crowdOf(cell) === crowd)?.toRwsem?.median ??
    null;
  const measured = cells.filter(({ policy }) => policy === 'rwsem');
  const crowds = measured.filter((cell) => {
    const crowd = crowdOf(cell);
    return ratio('srcu', crowd) !== null && ratio('lockless-fixed', crowd) !== null;
  });
  if (crowds.length === 0) return { holds: false, text: 'churn: not measured' };
  const of = (policy: ShrinkerPolicy, crowd: Crowd): number =>
    ratio(policy, crowdOf(crowd)) as number;
  const collapsed = crowds.filter((crowd) => of('srcu', crowd) <= COLLAPSE);
  const both = collapsed.filter((crowd) => of('lockless-fixed', crowd) >= LEVEL);
  const alone = crowds.filter(({ walkers }) => walkers === 0);
  const beside = crowds.filter(({ walkers }) => walkers > 0);
  const changes = (policy: ShrinkerPolicy, which: readonly Crowd[]): string =>
    which.map((crowd) => change(of(policy, crowd))).join(', ');
  const lines = [alone, beside].flatMap((which) => {
    if (which.length === 0) return [];
    const counts = listed(which.map(({ walkers, churners }) => walkers || churners));
    const crowd =
      which === alone ? `${counts} threads that mount` : `one beside ${counts} that walk`;
    return [
      `with ${crowd}, against rwsem srcu is ${changes('srcu', which)} (published: -88.8 %), ` +
        `lockless-fixed ${changes('lockless-fixed', which)} (published: level)`,
    ];
  });
  const word =
    both.length > 0
      ? `held in ${both.length} of ${crowds.length} cells`
      : collapsed.length > 0
        ? 'half held'
        : 'not held';
  return { holds: both.length > 0, text: `churn: ${word}: ${lines.join('; ')}` };
}

/** Trylocks that fail: some under the rwsem, none without it. */
export function skippedVerdict(cells: readonly ChurnCell[]): Verdict {
  const walked = cells.filter(({ walks }) => walks > 0);
  const rwsem = walked.filter(({ policy }) => policy === 'rwsem');
  const others = walked.filter(({ policy }) => policy.startsWith('lockless'));
  if (rwsem.length === 0 || others.length === 0) {
    return { holds: false, text: 'failed trylocks: not measured' };
  }
  const parts = rwsem.map(
    ({ walkers, skipped, walks }) => `${percent((100 * skipped) / walks)} at ${walkers}`,
  );
  const free = others.reduce((sum, { skipped }) => sum + skipped, 0);
  const holds = rwsem.every(({ skipped }) => skipped > 0) && free === 0;
  const text =
    `failed trylocks: ${holds ? 'held' : 'not held'}: of the walks under rwsem beside a thread ` +
    `that mounts, ${parts.join(', ')} walking threads are given up; lockless ${free}`;
  return { holds, text };
}

/** Shares of one run's table. */
export function sharesOf(table: HotTable): { readonly lock: number; readonly rcu: number } {
  const sum = (symbols: readonly string[]): number =>
    table.rows.reduce((all, row) => all + (symbols.includes(row.symbol) ? row.percent : 0), 0);
  return { lock: sum(LOCK_SYMBOLS), rcu: sum(RCU_SYMBOLS) };
}

/** A churn sample that took part in a run. */
export interface ChurnRun {
  readonly run: number;
  readonly sample: LabSample;
}

/** Puts the samples of all runs together, by crowd and policy, in the order they came. */
export function churnCells(runs: readonly ChurnRun[]): ChurnCell[] {
  const rounds = ({ sample }: ChurnRun): number => sample.roundsPerSec as number;
  const keyOf = ({ sample }: ChurnRun): string => `${crowdOf(sample)} ${sample.policy}`;
  return [...new Set(runs.map(keyOf))].map((key) => {
    const mine = runs.filter((one) => keyOf(one) === key);
    const { walkers, churners, policy } = (mine[0] as ChurnRun).sample;
    const crowd = crowdOf({ walkers, churners });
    const ratios = mine.flatMap((one) => {
      const rwsem = runs.find(
        ({ run, sample: s }) => run === one.run && crowdOf(s) === crowd && s.policy === 'rwsem',
      );
      return rwsem === undefined ? [] : [rounds(one) / rounds(rwsem)];
    });
    const sum = (value: (sample: LabSample) => number): number =>
      mine.reduce((all, { sample }) => all + value(sample), 0);
    return {
      walkers,
      churners,
      policy,
      roundsPerSec: spreadOf(mine.map(rounds)) as Spread,
      toRwsem: spreadOf(ratios),
      roundUsMax: Math.max(...mine.map(({ sample }) => sample.roundUsMax as number)),
      walks: sum(({ walks }) => walks),
      skipped: sum(({ skipped }) => skipped),
      completedPerSec: spreadOf(mine.map(({ sample }) => completed(sample))) as Spread,
    };
  });
}

function completed({ walks, skipped, walksPerSec }: LabSample): number {
  return walks === 0 ? 0 : (walksPerSec * (walks - skipped)) / walks;
}
