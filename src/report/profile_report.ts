// SPDX-License-Identifier: GPL-2.0-only
/**
 * A run's profile by kinds of threads: kswapd, the programs' CPUs, the rest, and all together. Each
 * kind has the functions that took most of its time on a core.
 */
import type { CallNode } from '../profile/call_tree.ts';
import { formatHotTable, type HotTable, hotTable, madeOf, topRows } from '../profile/hot_table.ts';

export interface ProfileTable extends HotTable {
  readonly kind: 'kswapd' | 'programs' | 'rest' | 'all';
  /** Names of the threads, in their order. */
  readonly threads: readonly string[];
}

/** What a run report has of a profile. */
export interface ProfileReport {
  /** Time between two samples of a thread, in us. */
  readonly intervalUs: number;
  /** Kinds that have threads; 20 rows each. */
  readonly tables: readonly ProfileTable[];
}

const ROWS_MAX = 20;

function kindOf(comm: string): ProfileTable['kind'] {
  if (comm.startsWith('kswapd')) return 'kswapd';
  return /^cpu\d+$/.test(comm) ? 'programs' : 'rest';
}

function tableOf(root: CallNode, kind: ProfileTable['kind'], threads: string[]): ProfileTable {
  const mine = new Map([...root.children].filter(([, { name }]) => threads.includes(name)));
  return { kind, threads, ...topRows(hotTable({ ...root, children: mine }), ROWS_MAX) };
}

/** @param root merged profiles of a machine's threads */
export function profileReport(root: CallNode, intervalUs: number): ProfileReport {
  const comms = [...root.children.values()].map(({ name }) => name);
  const kinds = ['kswapd', 'programs', 'rest'] as const;
  const tables = kinds
    .map((kind) => ({ kind, threads: comms.filter((comm) => kindOf(comm) === kind) }))
    .filter(({ threads }) => threads.length > 0)
    .map(({ kind, threads }) => tableOf(root, kind, threads));
  return { intervalUs, tables: [...tables, tableOf(root, 'all', comms)] };
}

/** The tables as text: all threads together first. */
export function profileLines({ tables }: ProfileReport): string[] {
  const order = [...tables].sort((a, b) => Number(b.kind === 'all') - Number(a.kind === 'all'));
  return order.flatMap((table, at) => {
    const who = table.kind === 'all' ? 'all threads' : table.threads.join(', ');
    const title = `profile of ${who}`;
    const lines = table.samples === 0 ? [] : formatHotTable(table);
    return [...(at === 0 ? [] : ['']), title, ...lines, madeOf(table)];
  });
}
