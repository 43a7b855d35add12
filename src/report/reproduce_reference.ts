// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim reproduce reference`: our refaults and pages scanned per page reclaimed beside a real
 * kernel's, on the same trace at the same limit.
 *
 * The reference's method: one CPU, a group with a limit, anonymous memory, classic LRU, swap to
 * zram without readahead, the node so large that only the limit matters. The reference's group also
 * held a few pages of the kernel's own (page tables, kernel objects), so that many less are given
 * to the program here.
 */

import { CPU_MISMATCHES } from '../../kthreads/cpu_state.ts';
import { resolveMachine } from '../config.ts';
import { Machine } from '../machine.ts';
import { checkQuiescent } from '../mm/check.ts';
import type { MmConfig } from '../mm/config.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import type { Mm } from '../mm/mm.ts';
import { vmEvents } from '../mm/vmstat.ts';
import type { ReferenceKernel, ReferenceRow } from '../workload/reference.ts';
import type { Trace } from '../workload/trace.ts';
import { replayProcesses } from '../workload/workload.ts';
import { type OfflinePolicy, offlineRefaults } from './offline_policies.ts';

/** Pages of the limit that the reference's kernel used itself: its rows record 1 to 5. */
export const KERNEL_PAGES = 2;
/** A row holds within this part of the nearer kernel's refaults, or within so many faults. */
export const REFAULTS_WITHIN = 0.05;
export const REFAULTS_WITHIN_FAULTS = 50;
/** A busy machine may keep one thread off its core for long, in s. */
export const HUNG_TASK_S = 30;
/** And within this part of that kernel's pages scanned per page reclaimed. */
export const SCAN_WITHIN = 0.15;

export interface ReproduceRow {
  readonly trace: string;
  readonly mode: 'anon';
  readonly frac: number;
  readonly limitPages: number;
  readonly refaults: number;
  readonly scanPerSteal: number | null;
  readonly activate: number;
  readonly deactivate: number;
  /** Classic kernels of the reference. */
  readonly kernel: readonly ReferenceKernel[];
  readonly lru: number;
  readonly clock: number;
  readonly min: number;
  /** Our distance from the nearer kernel, as a part of its figure. */
  readonly refaultsOff: number;
  readonly scanOff: number | null;
  readonly within: boolean;
  readonly mismatches: number;
  readonly violations: readonly string[];
}

/** The machine of the reference's method for one trace. @param limitPages the group's limit */
export function referenceConfig(trace: Trace, limitPages: number): MmConfig {
  const memcgMax = (limitPages - KERNEL_PAGES) * PAGE_SIZE;
  const given = { memcgMax, lockStat: false, hungTask: HUNG_TASK_S };
  return resolveMachine(given, replayProcesses([trace], 1, false)).mm;
}

/** The kernel whose refaults are nearest to ours. */
function nearest(kernels: readonly ReferenceKernel[], refaults: number): ReferenceKernel {
  const off = (kernel: ReferenceKernel): number => Math.abs(kernel.refaults.median - refaults);
  return kernels.reduce((best, kernel) => (off(kernel) < off(best) ? kernel : best));
}

/** Sets what a machine did beside the reference's row. @context programs ended, machine at rest */
function judge(m: Mm, trace: Trace, row: ReferenceRow): ReproduceRow {
  const events = vmEvents(m);
  const kernels = row.kernels.filter((kernel) => kernel.policy === 'classic');
  const refaults = events.pgmajfault;
  const scanPerSteal = events.pgsteal_anon === 0 ? null : events.pgscan_anon / events.pgsteal_anon;
  const near = nearest(kernels, refaults);
  const faultsOff = refaults - near.refaults.median;
  const refaultsOff = near.refaults.median === 0 ? 0 : faultsOff / near.refaults.median;
  const scanOff =
    scanPerSteal === null || near.scanPerSteal === null
      ? null
      : (scanPerSteal - near.scanPerSteal) / near.scanPerSteal;
  const refaultsOk =
    Math.abs(refaultsOff) <= REFAULTS_WITHIN || Math.abs(faultsOff) <= REFAULTS_WITHIN_FAULTS;
  const exact = (policy: OfflinePolicy): number =>
    row.offline?.[policy] ?? offlineRefaults(trace, row.limitPages, policy);
  return {
    trace: row.trace,
    mode: 'anon',
    frac: row.frac,
    limitPages: row.limitPages,
    refaults,
    scanPerSteal,
    activate: events.pgactivate,
    deactivate: events.pgdeactivate,
    kernel: kernels,
    lru: exact('lru'),
    clock: exact('clock'),
    min: exact('min'),
    refaultsOff,
    scanOff,
    within: refaultsOk && (scanOff === null || Math.abs(scanOff) <= SCAN_WITHIN),
    mismatches: m.cpuState[CPU_MISMATCHES] as number,
    violations: checkQuiescent(m).violations,
  };
}

/**
 * Runs one cell of the table on a machine of its own.
 * @param signal ends the run early: the promise then rejects
 * @context main thread
 */
export async function reproduceRow(
  trace: Trace,
  row: ReferenceRow,
  signal?: AbortSignal,
): Promise<ReproduceRow> {
  const config = referenceConfig(trace, row.limitPages);
  const machine = await Machine.boot(config, signal === undefined ? {} : { signal });
  try {
    await machine.run();
    signal?.throwIfAborted();
    return judge(machine.mm, trace, row);
  } finally {
    await machine.shutdown();
  }
}

const percent = (part: number): string => `${part >= 0 ? '+' : ''}${(100 * part).toFixed(1)} %`;
const ratio = (value: number | null): string => (value === null ? '-' : value.toFixed(2));

/** The table, one line a row, aligned. */
export function formatReproduce(rows: readonly ReproduceRow[]): string {
  const head = [
    'trace',
    'limit',
    'pages',
    'MIN',
    'LRU',
    'CLOCK',
    'kernels',
    'kreclaim',
    'off',
    'scan/steal',
    'kernels',
    'off',
    'holds',
  ];
  const table = rows.map((row) => [
    row.trace,
    String(row.frac),
    String(row.limitPages),
    String(row.min),
    String(row.lru),
    String(row.clock),
    row.kernel.map((kernel) => kernel.refaults.median).join(' / '),
    String(row.refaults),
    percent(row.refaultsOff),
    ratio(row.scanPerSteal),
    row.kernel.map((kernel) => ratio(kernel.scanPerSteal)).join(' / '),
    row.scanOff === null ? '-' : percent(row.scanOff),
    row.within ? 'yes' : 'NO',
  ]);
  const widths = head.map((title, i) =>
    Math.max(title.length, ...table.map((cells) => (cells[i] as string).length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number),
      )
      .join('  ');
  return [line(head), ...table.map(line)].join('\n');
}
