// SPDX-License-Identifier: GPL-2.0-only
/**
 * The functions that take the time, as `perf top` lists them: share of all samples on a core, in
 * which the function was the innermost.
 */
import { formatNumber, formatTable } from '../report/text_table.ts';
import { asleepSamplesOf, type CallNode, samplesOf } from './call_tree.ts';
import { isFolded, kernelName } from './kernel_names.ts';

export interface HotRow {
  /** The kernel's name where there is one, else ours. */
  readonly symbol: string;
  /** Our functions, the hottest first, folded ones left out. */
  readonly functions: readonly string[];
  /** Module of the hottest, without its folder; empty for V8's own. */
  readonly file: string;
  readonly samples: number;
  /** Of all samples on a core, 0 .. 100. */
  readonly percent: number;
}

export interface HotTable {
  /** By share, falling. */
  readonly rows: readonly HotRow[];
  /** Samples on a core. */
  readonly samples: number;
  /** Samples asleep, which are in no row. */
  readonly asleep: number;
}

/** What Node itself does (modules, buffers, files) is one row: nobody tunes it here. */
const NODE = '(node)';
/** Fewer samples than these say little. */
const SAMPLES_FEW = 200;

/** Published shares, in percent, by the kernel's name. */
export type Shares = Readonly<Record<string, number>>;

interface Group {
  samples: number;
  readonly functions: Map<string, { samples: number; readonly file: string }>;
}

const fileOf = (url: string): string => {
  const file = url.slice(url.lastIndexOf('/') + 1).replace(/\.js$/, '.ts');
  return url.startsWith('node:') ? '' : file;
};

/** @param root merged profiles @param threads only threads whose name starts with one of these */
export function hotTable(root: CallNode, threads: readonly string[] = ['']): HotTable {
  const groups = new Map<string, Group>();
  let samples = 0;
  let asleep = 0;
  const visit = (node: CallNode, owner: CallNode): void => {
    // V8 tells native code and its collector apart, but not who called them.
    const charged = isFolded(node.name, node.url) ? owner : node;
    if (node.self > 0) {
      const own = kernelName(charged.name, charged.url) ?? charged.name;
      const symbol = charged.url.startsWith('node:') ? NODE : own;
      const group = groups.get(symbol) ?? { samples: 0, functions: new Map() };
      groups.set(symbol, group);
      group.samples += node.self;
      const known = group.functions.get(charged.name) ?? { samples: 0, file: fileOf(charged.url) };
      group.functions.set(charged.name, known);
      known.samples += node.self;
    }
    for (const child of node.children.values()) visit(child, charged);
  };
  for (const thread of root.children.values()) {
    if (!threads.some((start) => thread.name.startsWith(start))) continue;
    samples += samplesOf(thread);
    asleep += asleepSamplesOf(thread);
    visit(thread, thread);
  }
  const rows = [...groups].map(([symbol, group]) => hotRow(symbol, group, samples));
  rows.sort((a, b) => b.samples - a.samples || (a.symbol < b.symbol ? -1 : 1));
  return { rows, samples, asleep };
}

function hotRow(symbol: string, group: Group, samples: number): HotRow {
  const functions = [...group.functions].sort(([, a], [, b]) => b.samples - a.samples);
  return {
    symbol,
    functions: functions.map(([name]) => name),
    file: functions[0]?.[1].file ?? '',
    samples: group.samples,
    percent: (100 * group.samples) / samples,
  };
}

/** The same table with its first rows only. */
export function topRows(table: HotTable, rows: number): HotTable {
  return { ...table, rows: table.rows.slice(0, rows) };
}

/** What a table was made of, and whether that is much: one line. */
export function madeOf({ samples, asleep }: HotTable): string {
  const rest = asleep === 0 ? '' : `, and ${formatNumber(asleep)} asleep, left out`;
  const few = samples < SAMPLES_FEW ? `; fewer than ${SAMPLES_FEW} say little` : '';
  return `  ${formatNumber(samples)} samples on a core${rest}${few}`;
}

/** Share of some symbols together, in percent; 0 for those without a sample. */
export function shareOf(table: HotTable, symbols: readonly string[]): number {
  return table.rows.reduce((sum, row) => sum + (symbols.includes(row.symbol) ? row.percent : 0), 0);
}

/**
 * Prints a table beside published shares.
 * @param published null for none; what it names and was not seen here stands at the end
 * @param least rows below so many percent are left out, unless published
 */
export function formatHotTable(
  table: HotTable,
  published: Shares | null = null,
  least = 0.3,
): string[] {
  const shown = table.rows.filter(
    (row) => row.percent >= least || published?.[row.symbol] !== undefined,
  );
  const seen = new Set(shown.map((row) => row.symbol));
  const missing = Object.keys(published ?? {}).filter((symbol) => !seen.has(symbol));
  const share = (symbol: string): string => published?.[symbol]?.toFixed(2) ?? '-';
  const head = ['here %', ...(published === null ? [] : ['seed %']), 'symbol', 'functions', 'file'];
  const rows = [
    ...shown.map((row) => [
      row.percent.toFixed(1),
      ...(published === null ? [] : [share(row.symbol)]),
      row.symbol,
      row.functions.slice(0, 3).join(', '),
      row.file,
    ]),
    ...missing.map((symbol) => ['-', share(symbol), symbol, '', '']),
  ];
  const text = published === null ? [1, 2, 3] : [2, 3, 4];
  return formatTable(head, rows, text);
}
