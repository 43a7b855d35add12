// SPDX-License-Identifier: GPL-2.0-only
/** The shrinker experiments as text: the seed's tables beside ours, then what was swept. */
import { formatHotTable } from '../profile/hot_table.ts';
import { SEED_AFTER, SEED_BEFORE } from '../profile/seed_tables.ts';
import type { ShrinkerResult } from './reproduce_shrinker.ts';
import { type ChurnCell, type HotCell, type Spread, threadsOf } from './shrinker_verdicts.ts';
import { formatNumber, formatTable } from './text_table.ts';

const shares = (spread: Spread): string =>
  `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}..${spread.max.toFixed(2)})`;

const rates = ({ median, min, max }: Spread): string =>
  `${formatNumber(median)} (${formatNumber(min)}..${formatNumber(max)})`;

const ratio = (spread: Spread | null): string =>
  spread === null
    ? '-'
    : `${spread.median.toFixed(2)} (${spread.min.toFixed(2)}..${spread.max.toFixed(2)})`;

/** Cells whose tables are printed: of the seed's shape, and of all, where the lock takes most. */
export function shownCells(cells: readonly HotCell[]): HotCell[] {
  const most = (among: readonly HotCell[]): HotCell =>
    among.reduce((a, b) => (b.before.lockShare.median > a.before.lockShare.median ? b : a));
  const [first] = cells;
  if (first === undefined) return [];
  return [...new Set([most(cells.filter(({ shape }) => shape === first.shape)), most(cells)])];
}

function tablesPart(cell: HotCell): string[] {
  const { shape, threads, before, after } = cell;
  const where = `${shape}, ${threadsOf(threads)}`;
  const samples = (count: number): string => `${formatNumber(count)} samples`;
  return [
    `Before (rwsem), ${where}, ${samples(before.table.samples)}:`,
    ...formatHotTable(before.table, SEED_BEFORE),
    '',
    `After (lockless-fixed), ${where}, ${samples(after.table.samples)}:`,
    ...formatHotTable(after.table, SEED_AFTER),
    '',
  ];
}

function sweepPart(cells: readonly HotCell[]): string[] {
  const first = (rows: HotCell['before']['table']['rows']): string =>
    rows[0] === undefined ? '-' : `${rows[0].symbol} ${rows[0].percent.toFixed(1)}`;
  const head = [
    'shape',
    'threads',
    'lock % before',
    'after',
    'RCU % after',
    'first before',
    'after',
  ];
  const rows = cells.map(({ shape, threads, before, after }) => [
    shape,
    String(threads),
    shares(before.lockShare),
    shares(after.lockShare),
    shares(after.rcuShare),
    first(before.table.rows),
    first(after.table.rows),
  ]);
  return [
    'Share of the lock, seed 54.90 before; of RCU, seed 5.79 after:',
    ...formatTable(head, rows, [0, 5, 6]),
    '',
  ];
}

function churnPart(cells: readonly ChurnCell[]): string[] {
  const head = [
    'mounting',
    'walking',
    'policy',
    'rounds/s',
    'to rwsem',
    'longest us',
    'given up',
    'walks done/s',
  ];
  const rows = cells.map((cell) => [
    String(cell.churners),
    String(cell.walkers),
    cell.policy,
    rates(cell.roundsPerSec),
    ratio(cell.toRwsem),
    formatNumber(cell.roundUsMax),
    cell.walks === 0 ? '-' : `${((100 * cell.skipped) / cell.walks).toFixed(1)} %`,
    cell.walks === 0 ? '-' : rates(cell.completedPerSec),
  ]);
  return ['Mount and unmount:', ...formatTable(head, rows, [2]), ''];
}

/** All of it, one string with newlines; parts that have no sample are left out. */
export function formatShrinker(result: ShrinkerResult): string {
  const lines = [
    ...shownCells(result.hot).flatMap(tablesPart),
    ...(result.hot.length === 0 ? [] : sweepPart(result.hot)),
    ...(result.churn.length === 0 ? [] : churnPart(result.churn)),
  ];
  return lines.join('\n');
}
