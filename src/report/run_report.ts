// SPDX-License-Identifier: GPL-2.0-only
/**
 * The run report: one object that says what was run, on what, and how it went (`kreclaim.run/1`).
 * Figures that are not known are null. Times are milliseconds where the name ends in Ms,
 * nanoseconds where it has Ns; memory is in pages of 4 KiB unless the name says bytes.
 */
import type { PanicRecord } from '../../kthreads/panic.ts';
import type { FullConfig } from '../config_schema.ts';
import type { ThreadInfo } from '../thread_info.ts';
import type { DaemonReport } from './daemon_report.ts';
import type { ProfileReport } from './profile_report.ts';

export const RUN_SCHEMA = 'kreclaim.run/1';

export interface ZoneReport {
  readonly name: string;
  readonly managed: number;
  readonly free: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
}

export interface NodeReport {
  readonly nid: number;
  readonly zones: readonly ZoneReport[];
  /** Pages of each LRU list, by the kernel's name. */
  readonly lists: Readonly<Record<string, number>>;
}

export interface MemcgReport {
  /** Empty for the root. */
  readonly name: string;
  readonly path: string;
  /** Limit, null for none. */
  readonly max: number | null;
  readonly current: number;
  readonly peak: number;
  readonly swap: number;
  readonly events: Readonly<Record<string, number>>;
  /** memory.stat: sizes in bytes, events as counted. */
  readonly stat: Readonly<Record<string, number>>;
}

/** How a program ended. */
/** How a process ended; 'bus error' is a page that could not be read from swap. */
export type ProcessStatus =
  | 'done'
  | 'killed'
  | 'bus error'
  | 'fault'
  | 'stopped'
  | 'not run'
  | 'unknown';

export interface ProcessReport {
  readonly pid: number;
  /** pid of the process that forked it, 0 for one of the configuration. */
  readonly parent: number;
  readonly comm: string;
  /** The first of its CPUs. */
  readonly cpu: number;
  readonly cpus: readonly number[];
  readonly memcg: string;
  readonly status: ProcessStatus;
  /** What the program returned on its first CPU. */
  readonly result: number | null;
  /** Of a generator program: 0 .. 255; 137 killed, 139 an access outside its memory, 130 stopped */
  readonly exitCode: number | null;
  /** Accesses made. */
  readonly events: number;
  readonly faults: number;
  readonly majorFaults: number;
  readonly oomKilled: boolean;
  readonly rss: number;
  readonly swapped: number;
  readonly pageTables: number;
}

/** Simulated processes over the whole run, also those that `processes` does not list. */
export interface TasksReport {
  /** Made at run time: forked, spawned, threads. */
  readonly forks: number;
  readonly exits: number;
  /** Of those that ended: by `kill`, or by the OOM killer. */
  readonly kills: number;
  /** Most at once. */
  readonly peak: number;
  /** Not listed one by one. */
  readonly omitted: number;
}

export interface TraceReport {
  readonly name: string;
  readonly format: string;
  readonly events: number;
  readonly reads: number;
  readonly writes: number;
  readonly ifetches: number;
  /** Footprint. */
  readonly pages: number;
}

/** A built-in scenario: its options, and what its programs counted. */
export interface ScenarioReport {
  readonly name: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** `xPerSec` is per second of the time that a CPU spent on it, summed over CPUs. */
  readonly figures: Readonly<Record<string, number>>;
}

export interface LockReport {
  readonly class: string;
  readonly acquisitions: number;
  readonly contentions: number;
  readonly waitNsTotal: number;
  readonly waitNsMax: number;
  readonly holdSamples: number;
  readonly holdNsTotal: number;
  readonly holdNsMax: number;
}

export interface LatencyReport {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
  readonly max: number | null;
}

export interface IntegrityReport {
  readonly pagesVerified: number;
  readonly mismatches: number;
  /** Null where the walkers did not run: the machine panicked. */
  readonly invariantsChecked: number | null;
  readonly violations: number | null;
  /** The first mismatches and violations, a line each. */
  readonly details: readonly string[];
}

/** A deterministic run's schedule: equal hashes mean the same interleaving. */
export interface ScheduleReport {
  readonly seed: number;
  readonly strategy: string;
  /** Points at which the scheduler chose who runs. */
  readonly decisions: number;
  /** Decisions for another thread than the one that ran. */
  readonly switches: number;
  /** Of all decisions, in order: hexadecimal. */
  readonly scheduleHash: string;
  /** How far virtual time came. */
  readonly virtualMs: number;
}

/** One counter over time. `time_ms` has the instants. */
export interface SeriesReport {
  readonly name: string;
  readonly periodMs: number;
  readonly values: readonly number[];
}

export interface RunReport extends DaemonReport {
  readonly schema: typeof RUN_SCHEMA;
  readonly version: string;
  readonly mode: FullConfig['mode'];
  readonly seed: number;
  /** Resolved: given back as a configuration it makes the same machine. */
  readonly config: FullConfig;
  /** Node.js, and the host that it ran on. */
  readonly node: string;
  readonly cpus: { readonly count: number; readonly model: string };
  /** From the configuration to a machine that is up; null in deterministic mode. */
  readonly bootMs: number | null;
  readonly wallMs: number;
  readonly footprintPages: number;
  /** Metadata, in bytes. */
  readonly arenaBytes: number;
  /** Most memory of this process so far, frames included; null in deterministic mode. */
  readonly maxRssBytes: number | null;
  readonly vmstat: Readonly<Record<string, number>>;
  /** Counters that are not the kernel's. */
  readonly counters: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeReport[];
  /**
   * Groups that are online: those of the configuration, then, of those made at run time, the 64
   * that hold most.
   */
  readonly memcgs: readonly MemcgReport[];
  /** Groups made at run time that are not among them. */
  readonly memcgsOmitted: number;
  readonly processes: readonly ProcessReport[];
  /** Null where no program is a generator. */
  readonly tasks: TasksReport | null;
  readonly traces: readonly TraceReport[];
  /** The built-in scenario that was run, null for none. */
  readonly scenario: ScenarioReport | null;
  readonly threads: readonly ThreadInfo[];
  readonly lockStat: readonly LockReport[];
  /** Where the threads' time went; null where the run was not profiled. */
  readonly profile: ProfileReport | null;
  /** Path to text: /proc and /sys as the programs left them, with the groups of `memcgs`. */
  readonly proc: Readonly<Record<string, string>>;
  readonly oomReports: readonly string[];
  readonly interrupted: boolean;
  readonly panic: PanicRecord | null;
  readonly latencyNs: {
    readonly fault: LatencyReport;
    readonly majorFault: LatencyReport;
    readonly allocStall: LatencyReport;
  };
  /** Faults injected, by kind: the kinds that are on. */
  readonly faults: Readonly<Record<string, number>>;
  /** How the threads were scheduled; null in parallel mode. */
  readonly schedule: ScheduleReport | null;
  readonly integrity: IntegrityReport;
  readonly series: readonly SeriesReport[];
}

/** @returns the exit code that the report calls for: 0, 1, 3 or 130 */
export function reportExitCode(report: RunReport): number {
  if (report.panic !== null) return 3;
  const { mismatches, violations } = report.integrity;
  if (mismatches > 0 || (violations ?? 0) > 0) return 1;
  return report.interrupted ? 130 : 0;
}
