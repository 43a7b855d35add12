// SPDX-License-Identifier: GPL-2.0-only
/** How one seed of a range went. */
import { VM_EVENTS } from '../mm/vmstat_items.ts';
import { type RunReport, reportExitCode } from '../report/run_report.ts';

/** How one seed went. */
export interface SeedResult {
  readonly seed: number;
  readonly faultSeed: number;
  /** 0 held; 1 or 3 as the command line exits. */
  readonly exitCode: number;
  /** What failed, in a line; null when nothing did. */
  readonly reason: string | null;
  /** The first lines about it. */
  readonly details: readonly string[];
  readonly decisions: number;
  readonly switches: number;
  /** Null where there was no schedule. */
  readonly scheduleHash: string | null;
  readonly faults: Readonly<Record<string, number>>;
  /** Events that were counted, by name: those of `/proc/vmstat`, and ours. */
  readonly events: Readonly<Record<string, number>>;
  readonly pagesVerified: number;
  readonly invariantsChecked: number;
  readonly wallMs: number;
}

/** @returns why a run failed, in a line, null when it did not */
export function failureReason(report: RunReport): string | null {
  const { panic, integrity } = report;
  if (panic !== null) {
    return `${panic.comm || 'the machine'} ${panic.reason}: ${panic.message.split('\n')[0]}`;
  }
  const { mismatches, violations } = integrity;
  if (mismatches > 0) return `${mismatches} pages do not hold what was stored`;
  if ((violations ?? 0) > 0) return `${violations} invariants are violated`;
  return report.interrupted ? 'interrupted: not done within the time limit' : null;
}

function eventsOf({ vmstat, counters }: RunReport): Record<string, number> {
  const rows = VM_EVENTS.map((name) => [name, vmstat[name] ?? counters[name] ?? 0] as const);
  return Object.fromEntries(rows.filter(([, count]) => count > 0));
}

/** @returns what a range keeps of a run */
export function seedResult(seed: number, report: RunReport): SeedResult {
  const { schedule, integrity, panic } = report;
  const stack = panic === null ? [] : [...panic.heldLocks, ...panic.stack.split('\n')];
  return {
    seed,
    faultSeed: report.config.faultSeed ?? seed,
    exitCode: reportExitCode(report) === 130 ? 3 : reportExitCode(report),
    reason: failureReason(report),
    details: [...stack, ...integrity.details].slice(0, 12),
    decisions: schedule?.decisions ?? 0,
    switches: schedule?.switches ?? 0,
    scheduleHash: schedule?.scheduleHash ?? null,
    faults: report.faults,
    events: eventsOf(report),
    pagesVerified: integrity.pagesVerified,
    invariantsChecked: integrity.invariantsChecked ?? 0,
    wallMs: report.wallMs,
  };
}

/** @returns the failure of a seed whose machine did not come up, or hung */
export function deadMachine(seed: number, faultSeed: number, error: Error): SeedResult {
  const [reason = '', ...details] = error.message.split('\n');
  const none = { decisions: 0, switches: 0, scheduleHash: null, faults: {}, events: {}, wallMs: 0 };
  const counts = { pagesVerified: 0, invariantsChecked: 0 };
  return { seed, faultSeed, exitCode: 3, reason, details, ...none, ...counts };
}
