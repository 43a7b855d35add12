// SPDX-License-Identifier: GPL-2.0-only
/**
 * A range of seeds, each a machine of its own, through a pool: one machine per pool thread. Stops
 * at the first failure: no further seed is begun, those under way end, and the lowest that failed
 * is the one to replay.
 */
import process from 'node:process';
import type { Piscina } from 'piscina';
import { ktimeNs } from '../../shared/ktime.ts';
import { packageVersion } from '../run_machine.ts';
import type { SeedResult, SeedsInput } from './seed_task.ts';

export const SEEDS_SCHEMA = 'kreclaim.seeds/1';

/** How a range of seeds went. */
export interface SeedsReport {
  readonly schema: typeof SEEDS_SCHEMA;
  readonly version: string;
  readonly node: string;
  /** First and last seed asked for. */
  readonly from: number;
  readonly to: number;
  readonly jobs: number;
  readonly config: SeedsInput['config'];
  readonly scenario: string | null;
  readonly interrupted: boolean;
  /** Every seed that was run, ascending. */
  readonly runs: readonly SeedResult[];
  /** The lowest seed that failed, null when none did. */
  readonly failure: SeedResult | null;
  readonly decisions: number;
  readonly switches: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly wallMs: number;
  readonly decisionsPerSec: number;
}

export interface SeedsOptions {
  readonly from: number;
  /** At least `from`. */
  readonly to: number;
  /** Machines at once, at least 1. */
  readonly jobs: number;
  readonly input: SeedsInput;
  /** Aborting it ends the machines under way. */
  readonly signal?: AbortSignal;
  /** Called after each seed. */
  readonly onResult?: (result: SeedResult, done: number) => void;
}

/** Runs seeds until all are done, one fails, or the signal says stop. */
async function runAll(pool: Piscina, options: SeedsOptions): Promise<SeedResult[]> {
  const { from, to, jobs, signal, onResult } = options;
  const results: SeedResult[] = [];
  let next = from;
  let stop = false;
  const lane = async (): Promise<void> => {
    while (!stop && next <= to && signal?.aborted !== true) {
      const seed = next++;
      const result = (await pool.run(seed, {
        name: 'runSeed',
        ...(signal === undefined ? {} : { signal }),
      })) as SeedResult;
      results.push(result);
      stop ||= result.reason !== null;
      onResult?.(result, results.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, lane));
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
  return results.sort((a, b) => a.seed - b.seed);
}

function sumFaults(results: readonly SeedResult[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { faults } of results) {
    for (const [name, count] of Object.entries(faults)) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

/**
 * Runs a range of seeds.
 * @throws UsageError when no machine can be made of the configuration
 * @context the main thread; suspends
 */
export async function runSeeds(options: SeedsOptions): Promise<SeedsReport> {
  const { from, to, jobs, input } = options;
  const startNs = ktimeNs();
  // Here, not above: who runs no range does without the pool.
  const { Piscina } = await import('piscina');
  const pool = new Piscina({
    trackUnmanagedFds: false,
    filename: new URL('./seed_task.js', import.meta.url).href,
    minThreads: jobs,
    maxThreads: jobs,
    workerData: input,
  });
  let runs: SeedResult[];
  try {
    runs = await runAll(pool, options);
  } finally {
    await pool.destroy();
  }
  const wallMs = (ktimeNs() - startNs) / 1e6;
  const decisions = runs.reduce((sum, run) => sum + run.decisions, 0);
  return {
    schema: SEEDS_SCHEMA,
    version: packageVersion(),
    node: process.version,
    from,
    to,
    jobs,
    config: input.config,
    scenario: input.scenario,
    interrupted: options.signal?.aborted === true,
    runs,
    failure: runs.find(({ reason }) => reason !== null) ?? null,
    decisions,
    switches: runs.reduce((sum, run) => sum + run.switches, 0),
    faults: sumFaults(runs),
    wallMs,
    decisionsPerSec: wallMs > 0 ? Math.round(decisions / (wallMs / 1000)) : 0,
  };
}
