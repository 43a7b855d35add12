// SPDX-License-Identifier: GPL-2.0-only
/**
 * One run of a workload, on the threads of this process: boots a machine, runs it, looks at it,
 * shuts it down, and reports. `run.ts` decides where that happens.
 */
import { cpus as hostCpus } from 'node:os';
import process from 'node:process';
import { engineOf } from '../kthreads/mm_engine.ts';
import { readPanic } from '../kthreads/panic.ts';
import { ktimeNs } from '../shared/ktime.ts';
import type { SpareMemory } from '../shared/spare_memory.ts';
import type { ResolvedMachine } from './config.ts';
import type { HostKeeper } from './deterministic/host_keeper.ts';
import type { MachineOptions, MachineState } from './machine.ts';
import { MachinePanicError } from './machine_errors.ts';
import { machineThreads } from './machine_threads.ts';
import { type CheckResult, checkEmpty, checkQuiescent } from './mm/check.ts';
import type { Mm } from './mm/mm.ts';
import { shrinkerEntries } from './mm/proc_files.ts';
import { createMachineTables, ReclaimMachine } from './reclaim_machine.ts';
import { withTimes } from './report/daemon_report.ts';
import {
  type IntegrityReport,
  RUN_SCHEMA,
  type RunReport,
  type ScenarioReport,
  type TraceReport,
} from './report/run_report.ts';
import { type Sample, Sampler } from './report/sampler.ts';
import { type Snapshot, takeSnapshot } from './report/snapshot.ts';
import type { MachineProfile } from './supervisor.ts';
import { readThreads } from './thread_info.ts';
import { packageVersion } from './version.ts';
import { type Figures, sumFigures } from './workload/figures.ts';
import type { Trace } from './workload/trace.ts';
import type { GroupSpec, ProcessSpec, ProgramSpec } from './workload/workload.ts';

/** Name of the process that starts the workloads of a scenario file. */
export const INIT_COMM = 'init';
/** Lines of details that a report keeps. */
const DETAILS_MAX = 50;
/** Calls of count callbacks that a report takes, shrinkers times groups. */
const COUNTS_MAX = 4096;

/** What to run. */
export interface Workload {
  readonly processes: readonly ProcessSpec[];
  /** Generator programs that processes can fork by name. */
  readonly programs?: readonly ProgramSpec[];
  /** Memory groups that exist at boot. */
  readonly groups?: readonly GroupSpec[];
  /** Folders of the host, made before the machine boots and removed after, with what they hold. */
  readonly folders?: readonly string[];
  /** Named in the report. */
  readonly traces?: readonly Trace[];
  /** Named in the report, with what its programs counted. */
  readonly scenario?: WorkloadScenario;
}

/** A built-in scenario, as it was asked for. Structured-clonable. */
export interface WorkloadScenario {
  readonly name: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly figures: Figures;
}

export interface RunWorkloadOptions {
  /** Aborting it interrupts the run, which then drains and still reports. */
  readonly signal?: AbortSignal;
  /** Threads that write a profile to a folder: see docs/profiling.md. Parallel mode only. */
  readonly profile?: MachineProfile;
  /** Called once with the tables, before the first thread starts. */
  readonly onBoot?: (mm: Mm) => void;
  /**
   * For thousands of deterministic runs: keeps no hold on the machine's memory, which the
   * collector would be late to give back. Then there are no samples, and a machine whose schedule
   * stands still is thrown as MachinePanicError.
   */
  readonly lean?: boolean;
  /** For deterministic runs one after the other: has their threads from one for the next. */
  readonly hosts?: HostKeeper;
  /** Called every 250 ms while programs run. */
  readonly onSample?: (sample: Sample) => void;
}

/** What a run leaves behind before it becomes a report. */
export interface Outcome {
  /** From the configuration to a machine that is up; null where time is not real. */
  bootMs: number | null;
  wallMs: number;
  interrupted: boolean;
  snapshot: Snapshot | null;
  readonly checks: { readonly when: string; readonly result: CheckResult }[];
  state: MachineState | null;
}

/** Interrupts the machine once the configured time is over. */
function limitTime(machine: ReclaimMachine, timeout: number | null): NodeJS.Timeout | null {
  if (timeout === null) return null;
  // A timer of the global, so that a deterministic run counts it in its own time.
  return setTimeout(() => machine.interrupt(), timeout * 1000).unref();
}

/** Milliseconds since an instant; null where time is virtual. */
function sinceMs(resolved: ResolvedMachine, startNs: number): number | null {
  return resolved.config.mode === 'parallel' ? (ktimeNs() - startNs) / 1e6 : null;
}

/** @param startNs when the making of the tables began */
async function runMachine(
  mm: Mm,
  resolved: ResolvedMachine,
  sampler: Sampler,
  options: MachineOptions,
  startNs: number,
): Promise<Outcome> {
  const { signal } = options;
  const outcome: Outcome = {
    bootMs: null,
    wallMs: 0,
    interrupted: false,
    snapshot: null,
    checks: [],
    state: null,
  };
  let machine: ReclaimMachine;
  try {
    machine = await ReclaimMachine.bootTables(mm, resolved, options);
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    return { ...outcome, interrupted: true };
  }
  outcome.bootMs = sinceMs(resolved, startNs);
  let limit: NodeJS.Timeout | null = null;
  try {
    sampler.start();
    limit = limitTime(machine, resolved.config.timeout);
    outcome.wallMs = (await machine.run()).wallMs;
    sampler.stop();
    await machine.atRest(() => {
      const snapshot = takeSnapshot(mm);
      const counts = resolved.config.mode === 'parallel' ? shrinkerCounts(mm) : {};
      const proc = { ...snapshot.proc, ...counts };
      outcome.snapshot = { ...snapshot, proc };
      outcome.checks.push({ when: 'at the end of programs', result: checkQuiescent(mm) });
    });
  } catch (error) {
    if (!(error instanceof MachinePanicError)) throw error;
  } finally {
    sampler.stop();
    if (limit !== null) clearTimeout(limit);
    outcome.state = await machine.shutdown();
  }
  outcome.interrupted = outcome.state.interrupted;
  if (outcome.state.panic === null) {
    outcome.checks.push({ when: 'after shutdown', result: checkEmpty(mm) });
  } else {
    outcome.snapshot = null;
  }
  return outcome;
}

/**
 * The count files of debugfs, for a report: of a real-time machine with few shrinkers and groups,
 * since each is a callback per group. A callback that throws is left out: it is no thread's.
 */
function shrinkerCounts(mm: Mm): Record<string, string> {
  const files: Record<string, string> = {};
  const entries = [...shrinkerEntries(mm)];
  if (entries.length * mm.sizes.nrMemcgs > COUNTS_MAX) return {};
  for (const [path, text] of entries) {
    try {
      files[path] = text();
    } catch {
      // The user's own code, outside its machine.
    }
  }
  return files;
}

function integrityOf(snapshot: Snapshot, outcome: Outcome): IntegrityReport {
  const { checks, state } = outcome;
  const violations = checks.flatMap(({ when, result }) =>
    result.violations.map((text) => `${when}: ${text}`),
  );
  const init = snapshot.processes.find(({ comm, parent }) => parent === 0 && comm === INIT_COMM);
  for (const { comm, pid, parent, status } of snapshot.processes) {
    // What a program does to the processes that it makes is its own affair, but for init.
    if (status === 'fault' && (parent === 0 || parent === init?.pid))
      violations.push(`${comm}/${pid} touched memory that it has not mapped`);
  }
  const known = state !== null && state.panic === null;
  return {
    pagesVerified: snapshot.pagesVerified,
    mismatches: snapshot.mismatches,
    invariantsChecked: known ? checks.reduce((sum, { result }) => sum + result.checked, 0) : null,
    violations: known ? violations.length : null,
    details: [...snapshot.notes, ...violations].slice(0, DETAILS_MAX),
  };
}

function traceReport(trace: Trace): TraceReport {
  const { reads, writes, ifetches } = trace.counts;
  const { name, format } = trace;
  const pages = trace.pages.length;
  return { name, format, events: trace.events.length, reads, writes, ifetches, pages };
}

function scenarioReport(scenario: WorkloadScenario | undefined): ScenarioReport | null {
  if (scenario === undefined) return null;
  const { name, options, figures } = scenario;
  return { name, options, figures: sumFigures(figures) };
}

/** Most memory of the whole process so far: frames and the zram store are in it. */
function maxRssBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** The report of a run that has ended. */
export function reportOf(
  mm: Mm,
  resolved: ResolvedMachine,
  workload: Workload,
  outcome: Outcome,
  sampler: Sampler,
): RunReport {
  const { pagesVerified: _, mismatches: __, notes: ___, ...tables } = outcome.snapshot as Snapshot;
  const host = hostCpus();
  return {
    schema: RUN_SCHEMA,
    version: packageVersion(),
    mode: resolved.config.mode,
    seed: resolved.config.seed,
    config: resolved.config,
    node: process.version,
    cpus: { count: host.length, model: host[0]?.model ?? 'unknown' },
    bootMs: outcome.bootMs,
    wallMs: outcome.wallMs,
    footprintPages: resolved.footprintPages,
    arenaBytes: mm.arenaBytes,
    maxRssBytes: resolved.config.mode === 'parallel' ? maxRssBytes() : null,
    ...tables,
    kcompressd:
      resolved.config.mode === 'parallel'
        ? withTimes(tables.kcompressd, outcome.wallMs, outcome.state?.threads ?? [])
        : tables.kcompressd,
    traces: (workload.traces ?? []).map(traceReport),
    scenario: scenarioReport(workload.scenario),
    threads: outcome.state?.threads ?? [],
    interrupted: outcome.interrupted,
    panic: outcome.state?.panic ?? null,
    schedule: null,
    profile: null,
    integrity: integrityOf(outcome.snapshot as Snapshot, outcome),
    series: sampler.series(),
  };
}

/**
 * Runs a workload on a machine of its own, on threads of this process.
 * @param machine how its workers are started
 * @param spare as for `createMm`
 * @throws UsageError when the host has no room; MachineBootError when the machine did not come up.
 * A panic, an interrupt and a broken invariant are in the report, not thrown
 */
export async function runMachineHere(
  workload: Workload,
  resolved: ResolvedMachine,
  options: RunWorkloadOptions = {},
  machine: (mm: Mm) => Omit<MachineOptions, 'signal'> = () => ({}),
  spare?: SpareMemory,
): Promise<RunReport> {
  const { signal } = options;
  const startNs = ktimeNs();
  const mm = createMachineTables(resolved, spare);
  options.onBoot?.(mm);
  const sampler = new Sampler(mm, options.onSample);
  const how = machine(mm);
  const outcome = await runMachine(
    mm,
    resolved,
    sampler,
    signal === undefined ? how : { ...how, signal },
    startNs,
  );
  outcome.snapshot ??= takeSnapshot(mm);
  return reportOf(mm, resolved, workload, outcome, sampler);
}

/** The report of a machine that panicked and whose threads are gone, from its tables alone. */
export function runReportAfterPanic(
  mm: Mm,
  resolved: ResolvedMachine,
  workload: Workload,
  wallMs: number,
): RunReport {
  const engine = engineOf(mm);
  const threads = readThreads(engine, machineThreads(resolved.mm).length);
  const panic = readPanic(engine.sync.threads, engine.tasks);
  const state = { interrupted: false, panic, threads };
  const snapshot = takeSnapshot(mm);
  const bootMs = null;
  const outcome: Outcome = { bootMs, wallMs, interrupted: false, snapshot, checks: [], state };
  return reportOf(mm, resolved, workload, outcome, new Sampler(mm));
}
