// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim reproduce reference`, the rows with files: our figures beside a real kernel's, on the
 * same trace mapped the same way at the same limit.
 *
 * The reference's method: no readahead of files (read_ahead_kb 0), fault-around on, a machine so
 * large beside the group that its thresholds of dirty memory are never reached. The group's own
 * kernel pages (nodes of page caches, buffer heads) are those that the row records.
 */
import { CPU_MISMATCHES } from '../../kthreads/cpu_state.ts';
import { resolveMachine } from '../config.ts';
import type { MachineConfig } from '../config_schema.ts';
import { Machine } from '../machine.ts';
import { checkQuiescent } from '../mm/check.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import type { Mm } from '../mm/mm.ts';
import { vmEvents } from '../mm/vmstat.ts';
import { type Figure, figuresOf, foldFigures, type ModeRow } from '../workload/reference_modes.ts';
import type { Trace } from '../workload/trace.ts';
import { makeTraceFiles } from '../workload/trace_files.ts';
import { replayProcesses } from '../workload/workload.ts';
import { HUNG_TASK_S } from './reproduce_reference.ts';
import { formatTable } from './text_table.ts';

/** A figure holds within this part of the nearest kernel's median, or within so many pages. */
export const FIGURE_WITHIN = 0.1;
export const FIGURE_WITHIN_PAGES = 100;

/** One figure of a row. */
export interface ModeFigure {
  readonly name: string;
  /** By kernel. */
  readonly kernels: readonly (Figure & { readonly kernel: string })[];
  readonly ours: Figure;
  /** Our median's distance from the nearest kernel's, as a part of it. */
  readonly off: number;
  readonly within: boolean;
}

export interface ModeResult extends Omit<ModeRow, 'kernels'> {
  readonly figures: readonly ModeFigure[];
  readonly within: boolean;
  readonly mismatches: number;
  readonly violations: readonly string[];
}

/** The machine of the reference's method. */
export function modeConfig({ mode, pageCluster, limitPages, kernelPages }: ModeRow): MachineConfig {
  return {
    memcgMax: (limitPages - kernelPages) * PAGE_SIZE,
    vmas: mode === 'swapfile' ? 'anon' : mode,
    swap: mode === 'mixed' ? 'zram' : mode === 'file' ? 'none' : 'file',
    ...(pageCluster === null ? {} : { pageCluster }),
    readAheadKb: 0,
    dirtyRatio: 100,
    dirtyBackgroundRatio: 100,
    dirtyWritebackCentisecs: 0,
    lockStat: false,
    hungTask: HUNG_TASK_S,
  };
}

interface ModeRun {
  readonly figures: Record<string, number>;
  readonly mismatches: number;
  readonly violations: readonly string[];
}

/** What one machine did. @context programs ended, machine at rest */
function look(m: Mm, row: ModeRow): ModeRun {
  const vmstat = vmEvents(m);
  const { pgmajfault: majflt, pgfault } = vmstat;
  const run = { ...row, machine: '', kernel: '', policy: 'classic' as const, kmemEndPages: 0 };
  return {
    figures: figuresOf(row.mode, { ...run, majflt, minflt: pgfault - majflt, vmstat }),
    mismatches: m.cpuState[CPU_MISMATCHES] as number,
    violations: checkQuiescent(m).violations,
  };
}

async function runOnce(trace: Trace, row: ModeRow, signal: AbortSignal | undefined) {
  const given = modeConfig(row);
  const files = makeTraceFiles(replayProcesses([trace], 1, false, given.vmas));
  try {
    const { mm } = resolveMachine(given, files.processes);
    const machine = await Machine.boot(mm, signal === undefined ? {} : { signal });
    try {
      await machine.run();
      signal?.throwIfAborted();
      // The flusher may be in the middle of a pass.
      await machine.freeze();
      const seen = look(machine.mm, row);
      machine.thaw();
      return seen;
    } finally {
      await machine.shutdown();
    }
  } finally {
    files.remove();
  }
}

function judge(name: string, row: ModeRow, ours: Figure): ModeFigure {
  const kernels = row.kernels.map(({ kernel, figures }) => ({
    kernel,
    ...(figures[name] as Figure),
  }));
  const distance = (value: Figure): number => Math.abs(value.median - ours.median);
  const near = kernels.reduce((best, next) => (distance(next) < distance(best) ? next : best));
  const difference = ours.median - near.median;
  const off = near.median === 0 ? 0 : difference / near.median;
  const within = Math.abs(off) <= FIGURE_WITHIN || Math.abs(difference) <= FIGURE_WITHIN_PAGES;
  return { name, kernels, ours, off, within };
}

/**
 * Runs one row, on a machine of its own each time.
 * @param trace with its ranges, where the row needs them @param runs at least 1
 * @param signal ends the run early: the promise then rejects
 * @throws UsageError
 * @context main thread
 */
export async function reproduceModeRow(
  trace: Trace,
  row: ModeRow,
  runs: number,
  signal?: AbortSignal,
): Promise<ModeResult> {
  const done: ModeRun[] = [];
  for (let run = 0; run < runs; run++) done.push(await runOnce(trace, row, signal));
  const ours = foldFigures(done.map((run) => run.figures));
  const known = Object.entries(ours).filter(([name]) =>
    row.kernels.every((kernel) => kernel.figures[name] !== undefined),
  );
  const figures = known.map(([name, value]) => judge(name, row, value));
  const { kernels: _, ...rest } = row;
  return {
    ...rest,
    figures,
    within: figures.every((figure) => figure.within),
    mismatches: done.reduce((sum, run) => sum + run.mismatches, 0),
    violations: done.flatMap((run) => run.violations),
  };
}

function spread({ median, min, max, n }: Figure): string {
  return n === 1 || min === max ? `${median}` : `${median} (${min}-${max})`;
}

/** The table's lines, one a figure, aligned. */
export function formatModes(results: readonly ModeResult[]): string[] {
  const head = ['trace', 'mode', 'limit', 'pages', 'figure', 'kernels', 'kreclaim', 'off', 'holds'];
  const lines = results.flatMap((row) =>
    row.figures.map(({ name, kernels, ours, off, within }) => [
      row.trace,
      row.pageCluster === null ? row.mode : `${row.mode} ${row.pageCluster}`,
      String(row.frac),
      String(row.limitPages - row.kernelPages),
      name,
      kernels.map(spread).join(' / '),
      spread(ours),
      `${off >= 0 ? '+' : ''}${(100 * off).toFixed(1)} %`,
      within ? 'yes' : 'NO',
    ]),
  );
  return formatTable(head, lines, [0, 1, 4]);
}
