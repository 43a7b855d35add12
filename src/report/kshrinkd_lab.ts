// SPDX-License-Identifier: GPL-2.0-only
/**
 * Machines for the experiments on kshrinkd: one whose reclaimer isolates 32 folios after the other
 * while somebody has the rmap lock of some, and one that runs workload monkey, whose forks, exits
 * and unmaps lose their CPU now and then while they have an rmap lock.
 */
import type { MachineConfig } from '../config_schema.ts';
import { MachinePanicError } from '../machine_errors.ts';
import type { ContendedPolicy } from '../mm/contended.ts';
import { PAGE_SIZE, SWAP_CLUSTER_MAX } from '../mm/limits.ts';
import { runWorkload } from '../run.ts';
import type { Workload } from '../run_machine.ts';
import { planScenario } from '../workload/scenario.ts';
import {
  type HoldShape,
  type IsolationArgs,
  LAB_WORDS,
  ROUND_CONTENDED,
  ROUND_FIGURES,
  ROUND_FREED,
  ROUND_SCANNED,
} from './kshrinkd_threads.ts';
import type { RunReport } from './run_report.ts';

const MODULE = new URL('./kshrinkd_threads.js', import.meta.url).href;
const HUNG_TASK_S = 60;

/** Isolations of a sample. */
export const ROUNDS = 16;
/** More groups of folios than isolations: none is short of them. */
const GROUPS = ROUNDS + 4;
const START = 1 << 16;
const MEMORY_PAGES = 4096;
/** More than cores of most hosts: who sleeps with a lock needs none. */
const MONKEY_CPUS = 4;

/** One sample of isolations while a lock is held. */
export interface IsolationSample {
  readonly policy: ContendedPolicy;
  /** Of each 32 folios so many had their rmap lock taken. */
  readonly held: number;
  /** Of each isolation: folios looked at whose lock could be had. */
  readonly reclaimable: readonly number[];
  readonly freed: readonly number[];
  /** Contended folios that were put at the head. */
  readonly misplaced: number;
  /** Of those that kshrinkd had, freed after the lock was released. */
  readonly stealKshrinkd: number;
  readonly scanKshrinkd: number;
  readonly violations: readonly string[];
}

/** One sample of workload monkey to take. */
export interface MonkeyPlan {
  readonly policy: ContendedPolicy;
  /** One taker of an rmap lock in `oneIn` sleeps inside for so long. */
  readonly holdUs: number;
  readonly oneIn: number;
  readonly launches: number;
  readonly seed: number;
}

export interface MonkeySample extends Omit<MonkeyPlan, 'launches' | 'seed'> {
  readonly wallMs: number;
  /** Pages that kswapd and direct reclaim looked at, and trylocks of theirs that failed. */
  readonly scanned: number;
  readonly contended: number;
  readonly scanKshrinkd: number;
  readonly stealKshrinkd: number;
  /** Contended folios that were put at the head, old as they are. */
  readonly misplaced: number;
  readonly refaults: number;
  readonly kills: number;
  readonly cold: number;
  readonly violations: readonly string[];
}

const common = (policy: ContendedPolicy, seed: number): MachineConfig => ({
  contended: policy,
  hungTask: HUNG_TASK_S,
  seed,
});

async function runChecked(
  workload: Workload,
  config: MachineConfig,
  signal: AbortSignal | undefined,
): Promise<RunReport> {
  const report = await runWorkload(workload, config, signal === undefined ? {} : { signal });
  signal?.throwIfAborted();
  if (report.panic !== null) throw new MachinePanicError(report.panic);
  return report;
}

const countOf = ({ vmstat, counters }: RunReport, name: string): number =>
  vmstat[name] ?? counters[name] ?? 0;

/**
 * Isolates while a lock is held, on a machine of its own.
 * @param held 1 .. 31 of each 32 folios @param signal ends it early: the promise then rejects
 * @throws MachinePanicError when the machine broke
 * @context main thread
 */
export async function takeIsolationSample(
  policy: ContendedPolicy,
  held: number,
  signal?: AbortSignal,
): Promise<IsolationSample> {
  const figures = new Float64Array(new SharedArrayBuffer(8 * ROUNDS * ROUND_FIGURES));
  const control = new Int32Array(new SharedArrayBuffer(4 * LAB_WORDS));
  const args: IsolationArgs = {
    control,
    figures,
    start: START,
    held,
    rounds: ROUNDS,
    groups: GROUPS,
  };
  const processes = ['holder', 'reclaimer'].map((name, cpu) => ({
    comm: name,
    cpus: [cpu],
    program: { module: MODULE, export: name },
    args,
    vmas: [{ start: START, end: START + GROUPS * SWAP_CLUSTER_MAX }],
  }));
  const config = { ...common(policy, 1), cpus: 2, memory: MEMORY_PAGES * PAGE_SIZE };
  const report = await runChecked({ processes }, config, signal);
  const column = (figure: number): number[] =>
    Array.from({ length: ROUNDS }, (_, i) => figures[i * ROUND_FIGURES + figure] as number);
  const contended = column(ROUND_CONTENDED);
  return {
    policy,
    held,
    reclaimable: column(ROUND_SCANNED).map((scanned, i) => scanned - (contended[i] as number)),
    freed: column(ROUND_FREED),
    misplaced: countOf(report, 'kr_contended_head'),
    stealKshrinkd: countOf(report, 'pgsteal_kshrinkd'),
    scanKshrinkd: countOf(report, 'pgscan_kshrinkd'),
    violations: report.integrity.details,
  };
}

/** Workload monkey, with programs that hold. */
function heldMonkey({ holdUs, oneIn, launches, seed, policy }: MonkeyPlan) {
  const { workload, config } = planScenario('monkey', {
    options: { launches },
    config: { ...common(policy, seed), cpus: MONKEY_CPUS },
    seed,
  });
  const hold: HoldShape = { holdMs: holdUs / 1000, oneIn };
  const programs = (workload.programs ?? []).map((program) => {
    const name = program.name.endsWith('zygote') ? 'heldZygote' : 'heldApp';
    const shared = { ...(program.shared as object), ...hold };
    const own = program.name.endsWith('zygote') || program.name.endsWith('app');
    return own ? { ...program, module: MODULE, export: name, shared } : program;
  });
  return { workload: { ...workload, programs }, config };
}

/** As takeIsolationSample, of workload monkey. */
export async function takeMonkeySample(
  plan: MonkeyPlan,
  signal?: AbortSignal,
): Promise<MonkeySample> {
  const { workload, config } = heldMonkey(plan);
  const report = await runChecked(workload, config, signal);
  const count = (name: string): number => countOf(report, name);
  const figures = report.scenario?.figures ?? {};
  const { policy, holdUs, oneIn } = plan;
  return {
    ...{ policy, holdUs, oneIn, wallMs: report.wallMs },
    scanned: count('pgscan_kswapd') + count('pgscan_direct'),
    contended: count('kr_rmap_contended'),
    scanKshrinkd: count('pgscan_kshrinkd'),
    stealKshrinkd: count('pgsteal_kshrinkd'),
    misplaced: count('kr_contended_head'),
    refaults: count('workingset_refault_anon') + count('workingset_refault_file'),
    kills: (figures.kills ?? 0) + (figures.oomKilled ?? 0),
    cold: figures.cold ?? 0,
    violations: report.integrity.details,
  };
}
