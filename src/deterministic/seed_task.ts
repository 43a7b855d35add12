// SPDX-License-Identifier: GPL-2.0-only
/** One seed of a range: what a pool thread runs. Each task is a machine with a host of its own. */
import { workerData } from 'piscina';
import type { MachineConfig } from '../config_schema.ts';
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import { type RunReport, reportExitCode } from '../report/run_report.ts';
import { runWorkload, traceWorkload } from '../run.ts';
import { type PlanInput, planScenario, type ScenarioPlan } from '../workload/scenario.ts';
import type { Trace } from '../workload/trace.ts';

/** What the seeds of a range have in common. */
export interface SeedsInput {
  readonly config: MachineConfig;
  /** Traces to replay, or a scenario whose traces the seed draws. */
  readonly traces: readonly Trace[] | null;
  readonly scenario: string | null;
  /** Events of each trace of a scenario. */
  readonly events: number | null;
  /** The scenario's own options. */
  readonly options?: PlanInput['options'];
}

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

function resultOf(seed: number, report: RunReport): SeedResult {
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
    pagesVerified: integrity.pagesVerified,
    invariantsChecked: integrity.invariantsChecked ?? 0,
    wallMs: report.wallMs,
  };
}

function deadMachine(seed: number, faultSeed: number, error: Error): SeedResult {
  const [reason = '', ...details] = error.message.split('\n');
  const none = { decisions: 0, switches: 0, scheduleHash: null, faults: {}, wallMs: 0 };
  const counts = { pagesVerified: 0, invariantsChecked: 0 };
  return { seed, faultSeed, exitCode: 3, reason, details, ...none, ...counts };
}

/** What a seed runs: the traces, or what it draws of the scenario. @throws UsageError */
function planSeed(input: SeedsInput, config: MachineConfig): ScenarioPlan {
  const { scenario, traces, options = {}, events } = input;
  if (scenario === null) return { workload: traceWorkload(traces ?? [], config), config };
  return planScenario(scenario, { config, options, ...(events === null ? {} : { events }) });
}

/**
 * Runs one seed.
 * @returns how it went; a machine that did not come up is a failure of the seed
 * @throws UsageError
 * @context a pool thread
 */
export async function runSeed(seed: number): Promise<SeedResult> {
  const input = workerData as SeedsInput;
  const faultSeed = input.config.faultSeed ?? seed;
  const { workload, config } = planSeed(input, { ...input.config, seed, faultSeed });
  try {
    const report = await runWorkload(workload, config, { lean: true });
    return resultOf(seed, report);
  } catch (error) {
    if (error instanceof MachineBootError || error instanceof MachinePanicError) {
      return deadMachine(seed, faultSeed, error);
    }
    throw error;
  }
}
