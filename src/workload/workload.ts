// SPDX-License-Identifier: GPL-2.0-only
/**
 * A workload: which programs run in which address spaces on which CPUs.
 *
 * The footprint of a program is the number of pages that it touches; that of a workload is the sum
 * over address spaces.
 */
import { UsageError } from '../errors.ts';
import type { ModuleRef, ProcessFile, VmaSpec } from '../mm/config.ts';
import { CPUS_MAX, PTRS_PER_TABLE, VPN_MAX } from '../mm/limits.ts';
import type { ReplayArgs } from './replay_program.ts';
import type { Trace } from './trace.ts';
import { mapTrace, type VmaKinds } from './vma_kinds.ts';

/** One process. */
export interface ProcessSpec {
  /** Name, cut to 15 characters. */
  readonly comm: string;
  /** Simulated CPUs that run it, each of them one thread of it. */
  readonly cpus: readonly number[];
  readonly program: ModuleRef & { readonly args?: unknown };
  /** Passed to the program: structured-clonable; may stand in `program` instead. */
  readonly args?: unknown;
  /**
   * The program is a generator function: it starts on the first of `cpus`, and the processes that
   * it forks take turns on all of them. Default false.
   */
  readonly generator?: boolean;
  /** Mapped before the program starts. */
  readonly vmas: readonly VmaSpec[];
  /** What those of `vmas` map that map a file: needed if there are any. */
  readonly file?: ProcessFile;
  /** Pages of a file to be made for it when it runs, which is then its `file`. Default none. */
  readonly filePages?: number;
  /** Pages that it touches. Default: all pages of its VMAs. */
  readonly footprintPages?: number;
  /**
   * Page tables that an address space of it needs, also those that are forked. Default: what all
   * pages of the VMAs need.
   */
  readonly pageTables?: number;
  /**
   * Rows that all processes and threads which it makes need at once, beyond its own. Default: for
   * each of `tasksMax` as many as for the largest generator.
   */
  readonly rows?: { readonly vmas: number; readonly pageTables: number };
  /** The group that it begins in. Default: that of `memcgMax`, or the root. */
  readonly group?: string;
}

/** A memory group that exists at boot. Limits in pages, null for none. */
export interface GroupSpec {
  /** 1 to 31 printable ASCII characters, no slash. */
  readonly name: string;
  readonly maxPages: number | null;
  readonly highPages?: number | null;
  readonly swapMaxPages?: number | null;
  readonly minPages?: number;
  readonly lowPages?: number;
}

/** A generator program that processes fork by its name. */
export interface ProgramSpec extends ModuleRef {
  readonly name: string;
  /** What each instance sees as `proc.shared`: structured-clonable. */
  readonly shared?: unknown;
}

/** The module of the trace replayer. */
export const REPLAY_PROGRAM: ModuleRef = {
  module: new URL('./replay_program.js', import.meta.url).href,
  export: 'replay',
};

export function vmaPages(vmas: readonly VmaSpec[]): number {
  return vmas.reduce((pages, vma) => pages + (vma.end - vma.start), 0);
}

/** Tables of all four levels that VMAs may need. */
export function vmaTables(vmas: readonly VmaSpec[]): number {
  let tables = 1;
  for (let span = PTRS_PER_TABLE; span < VPN_MAX; span *= PTRS_PER_TABLE) {
    for (const { start, end } of vmas) {
      tables += Math.floor((end - 1) / span) - Math.floor(start / span) + 1;
    }
  }
  return tables;
}

function replayer(trace: Trace, cpus: readonly number[], kinds: VmaKinds): ProcessSpec {
  const { events, regions, vmas, pageTables, filePages } = mapTrace(trace, kinds);
  const args: ReplayArgs = { events, regions };
  return {
    comm: trace.name,
    cpus,
    program: REPLAY_PROGRAM,
    args,
    vmas,
    footprintPages: trace.pages.length,
    pageTables,
    ...(filePages > 0 ? { filePages } : {}),
  };
}

/**
 * Processes that replay traces: one for each CPU, the traces taken in turn, or, shared, one whose
 * CPUs split the events.
 * @param cpus default: one for each trace @param kinds how their pages are mapped
 * @throws UsageError when the CPUs do not fit the traces, or the kinds of pages are not known
 */
export function replayProcesses(
  traces: readonly Trace[],
  cpus: number | undefined,
  share: boolean,
  kinds: VmaKinds = 'anon',
): ProcessSpec[] {
  if (traces.length === 0) throw new UsageError('no trace given');
  const count = cpus ?? traces.length;
  if (count > CPUS_MAX) throw new UsageError(`cpus: ${count} will not do; give 1..${CPUS_MAX}`);
  const all = Array.from({ length: count }, (_, cpu) => cpu);
  if (share) {
    if (traces.length === 1) return [replayer(traces[0] as Trace, all, kinds)];
    throw new UsageError(`share: takes one trace, and ${traces.length} are given`);
  }
  if (count < traces.length) {
    const need = `give ${traces.length}, one for each trace, or fewer traces`;
    throw new UsageError(`cpus: ${count} will not do for ${traces.length} traces; ${need}`);
  }
  return all.map((cpu) => replayer(traces[cpu % traces.length] as Trace, [cpu], kinds));
}
