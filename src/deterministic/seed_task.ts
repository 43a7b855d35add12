// SPDX-License-Identifier: GPL-2.0-only
/**
 * Entry file of a pool's thread, which runs seeds of ranges: each is a machine.
 * @context a pool thread alone: what it is told is in `workerData`
 */
import process from 'node:process';
import { threadId } from 'node:worker_threads';
import { workerData } from 'piscina';
import type { MachineConfig } from '../config_schema.ts';
import { MachineBootError, MachinePanicError } from '../machine_errors.ts';
import { runWorkload, traceWorkload } from '../run.ts';
import {
  loadScenario,
  type PlanInput,
  planScenario,
  type ScenarioPlan,
} from '../workload/scenario.ts';
import type { Trace } from '../workload/trace.ts';
import { HostKeeper } from './host_keeper.ts';
import { pinThread } from './pin.ts';
import { deadMachine, type SeedResult, seedResult } from './seed_result.ts';

/** What a pool thread finds in `workerData`. */
export interface SeedThread {
  /** Node's flags as the main thread sees them: the hosts' too. */
  readonly flags: readonly string[];
  /** Each thread of the pool has a CPU of its own. */
  readonly pinned: boolean;
}

const { flags, pinned } = workerData as SeedThread;
process.execArgv.splice(0, Infinity, ...flags);
// Threads that are started together have ids in a row.
if (pinned) pinThread(threadId);

/** The host of this thread's seeds. It ends with the thread. */
const hosts = new HostKeeper();

/** What the seeds of a range have in common. */
export interface SeedsInput {
  readonly config: MachineConfig;
  /** Traces to replay, or a scenario: its name, or its file. */
  readonly traces: readonly Trace[] | null;
  readonly scenario: string | null;
  /** Events of each trace of a scenario. */
  readonly events: number | null;
  /** The scenario's own options. */
  readonly options?: PlanInput['options'];
}

/** What a pool thread is told. */
export interface SeedTask {
  readonly seed: number;
  readonly input: SeedsInput;
}

/** What a seed runs: the traces, or what it draws of the scenario. @throws UsageError */
async function planSeed(input: SeedsInput, config: MachineConfig): Promise<ScenarioPlan> {
  const { scenario, traces, options = {}, events } = input;
  if (scenario === null) return { workload: traceWorkload(traces ?? [], config), config };
  const loaded = await loadScenario(scenario, events ?? undefined);
  return planScenario(loaded, { config, options, ...(events === null ? {} : { events }) });
}

/**
 * Runs one seed.
 * @returns how it went; a machine that did not come up is a failure of the seed
 * @throws UsageError
 * @context a pool thread
 */
export async function runSeed({ seed, input }: SeedTask): Promise<SeedResult> {
  const faultSeed = input.config.faultSeed ?? seed;
  const { workload, config } = await planSeed(input, { ...input.config, seed, faultSeed });
  try {
    const report = await runWorkload(workload, config, { hosts, lean: true });
    return seedResult(seed, report);
  } catch (error) {
    if (error instanceof MachineBootError || error instanceof MachinePanicError) {
      return deadMachine(seed, faultSeed, error);
    }
    throw error;
  }
}
