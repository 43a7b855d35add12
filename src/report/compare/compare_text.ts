// SPDX-License-Identifier: GPL-2.0-only
/** A comparison as plain text for a terminal. */
import { oneLine } from '../../errors.ts';
import { formatBytes } from '../../size.ts';
import { type Cell, formatNs, formatNumber, formatTable } from '../text_table.ts';
import { CONFIDENCE } from './bootstrap.ts';
import type { BoundResult } from './bound.ts';
import type { CompareReport, RowReport } from './compare_report.ts';
import { HEADLINE } from './counters.ts';

/** Rows that differ, beside the headline, that the short table shows. */
const ROWS_SHOWN = 20;
/** Runs of each side from which on intervals cover what they should, where paired. */
const RUNS_ENOUGH = 6;
const RUNS_ENOUGH_UNPAIRED = 4;

function valueText(counter: string, value: number): string {
  if (/Ns(\.|$)/.test(counter)) return formatNs(value);
  if (counter === 'maxRssBytes') return formatBytes(value);
  const whole = Number.isInteger(value) || Math.abs(value) >= 100;
  return formatNumber(value, whole ? 0 : 1);
}

function percentText(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : 1;
  const text = formatNumber(value, digits);
  return value > 0 ? `+${text}` : text;
}

function diffText({ a, b, diffPct }: RowReport): string {
  if (diffPct !== null) return `${percentText(diffPct)} %`;
  return a === 0 && b !== 0 ? 'from 0' : '-';
}

function intervalText({ low, high, diffLow }: RowReport): string {
  if (diffLow === null) return '-';
  if (low === null && high === null) return 'without limit';
  return `${low === null ? '..' : percentText(low)} to ${high === null ? '..' : percentText(high)}`;
}

function cells(row: RowReport): Cell[] {
  const { counter, a, b, verdict } = row;
  return [
    counter,
    valueText(counter, a),
    valueText(counter, b),
    diffText(row),
    intervalText(row),
    verdict,
  ];
}

function pickRows(report: CompareReport, all: boolean): RowReport[] {
  const { rows } = report;
  if (all) return [...rows];
  const headline = HEADLINE.flatMap((name) => rows.filter(({ counter }) => counter === name));
  const others = rows.filter(
    ({ counter, verdict }) =>
      !HEADLINE.includes(counter) && (verdict === 'more' || verdict === 'less'),
  );
  return [...headline, ...others.slice(0, ROWS_SHOWN)];
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

function headLines(report: CompareReport): string[] {
  const { plan, sides, compared, interrupted, toggle } = report;
  const what =
    toggle === null
      ? `A: ${oneLine(sides.a.label)}; B: ${oneLine(sides.b.label)}`
      : `${oneLine(toggle.name)}: A ${oneLine(toggle.a)}, B ${oneLine(toggle.b)}`;
  const runs = plan.paired
    ? `${plural(compared.a, 'pair')} of runs`
    : `${plural(compared.a, 'run')} of A, ${compared.b} of B`;
  const order = plan.order === null ? '' : `, ${plan.order}`;
  const asked = plan.runs === null || plan.runs === compared.a ? '' : ` of ${plan.runs} asked for`;
  const where = oneLine(plan.inputs.join(' '), 80);
  const head = `${what}; ${where}; ${plan.mode}; ${runs}${asked}${order}`;
  return [interrupted ? `${head}, interrupted` : head];
}

function confidenceLine({ plan, confidence, compared }: CompareReport): string[] {
  const least = Math.min(compared.a, compared.b);
  if (least === 0) return ['no complete runs of both sides: nothing to compare'];
  if (confidence === null) return ['one run has no interval: give --runs 2 or more, better 6'];
  if (confidence >= CONFIDENCE) return [];
  const percent = confidence.toFixed(0);
  const enough = plan.paired ? RUNS_ENOUGH : RUNS_ENOUGH_UNPAIRED;
  const runs = plan.paired ? `--runs ${enough}` : `${enough} runs of each side`;
  return [`intervals of so few runs cover ${percent} % at best; ${runs} makes it ${CONFIDENCE} %`];
}

function leftOutLines({ runs }: CompareReport): string[] {
  return runs
    .filter(({ reason }) => reason !== null)
    .map(({ side, pair, status, reason }) => {
      const what = status === 'complete' ? 'failed' : 'left out';
      return `run ${pair} of ${side.toUpperCase()} ${what}: ${oneLine(reason as string, 200)}`;
    });
}

function tableLines(report: CompareReport, all: boolean): string[] {
  const { rows, confidence, counts, plan } = report;
  if (rows.length === 0) return [];
  const picked = pickRows(report, all);
  const interval = confidence === null ? 'interval' : `${confidence.toFixed(0)} % interval`;
  const title = ['counter', 'A', 'B', 'difference', interval, 'verdict'];
  const table = formatTable(title, picked.map(cells), [0, 5]);
  const { more, less, same, unclear } = counts;
  const rest = all ? '' : '; --all shows all';
  return [
    ...table,
    '',
    `${plural(rows.length, 'counter')}: ${more} more, ${less} less, ` +
      `${same} same (within ${plan.same} %), ${unclear} unclear${rest}`,
  ];
}

/** What a bound came to, in a line. */
export function boundText({ bound, broken, near }: BoundResult): string {
  if (broken === null) return `${bound}: cannot be told: too few runs of a side know it`;
  if (!broken) return `${bound}: holds`;
  const unit = bound.endsWith('%') ? ' %' : '';
  const by = near === null ? 'from 0' : `${formatNumber(near, unit === '' ? 0 : 1)}${unit}`;
  return `${bound}: broken, the interval's near end is ${by}`;
}

/** @param all every counter, not only those that differ @returns lines, each ended by a newline */
export function formatCompare(report: CompareReport, all: boolean): string {
  const lines = [
    ...headLines(report),
    ...report.warnings.map((warning) => `warning: ${warning}`),
    ...leftOutLines(report),
    ...confidenceLine(report),
    '',
    ...tableLines(report, all),
    ...report.failOn.map((result) => `fail-on ${boundText(result)}`),
    `verdict: ${report.verdict}`,
  ];
  return `${lines.join('\n')}\n`;
}
