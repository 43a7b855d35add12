// SPDX-License-Identifier: GPL-2.0-only
/**
 * A range of seeds, each a machine of its own, through a pool: one machine per pool thread. Stops
 * at the first failure: no further seed is begun, those under way end, and the lowest that failed
 * is the one to replay.
 */
import process from 'node:process';
import { ktimeNs } from '../../shared/ktime.ts';
import { packageVersion } from '../version.ts';
import { SeedPool } from './seed_pool.ts';
import type { SeedResult } from './seed_result.ts';
import type { SeedsInput } from './seed_task.ts';

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
  /** Events of all seeds. */
  readonly events: Readonly<Record<string, number>>;
  readonly wallMs: number;
  readonly decisionsPerSec: number;
}

export interface SeedsOptions {
  readonly from: number;
  /** At least `from`. */
  readonly to: number;
  /** Machines at once, at least 1; or threads that are there, and stay. */
  readonly jobs: number | SeedPool;
  readonly input: SeedsInput;
  /** Aborting it ends the machines under way. */
  readonly signal?: AbortSignal;
  /** Called after each seed. */
  readonly onResult?: (result: SeedResult, done: number) => void;
}

/** Runs seeds until all are done, one fails, or the signal says stop. */
async function runAll(pool: SeedPool, options: SeedsOptions): Promise<SeedResult[]> {
  const { from, to, input, signal, onResult } = options;
  const results: SeedResult[] = [];
  let next = from;
  let stop = false;
  const run = async (): Promise<void> => {
    while (!stop && next <= to && signal?.aborted !== true) {
      const seed = next++;
      const result = await pool.run(seed, input, signal);
      results.push(result);
      stop ||= result.reason !== null;
      onResult?.(result, results.length);
    }
  };
  const lane = (): Promise<void> =>
    run().catch((error: unknown) => {
      stop = true;
      throw error;
    });
  // All have ended, whatever one threw: the pool may be for other ranges, too.
  const lanes = await Promise.allSettled(Array.from({ length: pool.jobs }, lane));
  const threw = lanes.find((each) => each.status === 'rejected');
  if (threw !== undefined && signal?.aborted !== true) throw threw.reason;
  return results.sort((a, b) => a.seed - b.seed);
}

/** Adds counts by name to sums by name. */
export function addCounts(
  sums: Record<string, number>,
  counts: Readonly<Record<string, number>>,
): Record<string, number> {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
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
  const pool = typeof jobs === 'number' ? await SeedPool.open(jobs) : jobs;
  let runs: SeedResult[];
  try {
    runs = await runAll(pool, options);
  } finally {
    if (typeof jobs === 'number') await pool.close();
  }
  const wallMs = (ktimeNs() - startNs) / 1e6;
  const decisions = runs.reduce((sum, run) => sum + run.decisions, 0);
  return {
    schema: SEEDS_SCHEMA,
    version: packageVersion(),
    node: process.version,
    from,
    to,
    jobs: pool.jobs,
    config: input.config,
    scenario: input.scenario,
    interrupted: options.signal?.aborted === true,
    runs,
    failure: runs.find(({ reason }) => reason !== null) ?? null,
    decisions,
    switches: runs.reduce((sum, run) => sum + run.switches, 0),
    faults: runs.reduce((sums, { faults }) => addCounts(sums, faults), {}),
    events: runs.reduce((sums, { events }) => addCounts(sums, events), {}),
    wallMs,
    decisionsPerSec: wallMs > 0 ? Math.round(decisions / (wallMs / 1000)) : 0,
  };
}
