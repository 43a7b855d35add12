// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench shrinker --profile`: the walk of every policy under a sampling profiler, on the
 * bench's machines. Run it where functions stay out of line (src/profile/inlining.ts): its workers
 * are its own, so that none has compiled code from before.
 */
import type { CpuProfile } from '../kthreads/profiler.ts';
import type { ShrinkerPolicy } from '../src/mm/config.ts';
import { wantsGroup } from './bench_runner.ts';
import { SHRINKER_POLICIES, type ShrinkerBenchOptions, shapeName, shapesOf } from './shrinker.ts';
import { ShrinkerMachine } from './shrinker_machine.ts';

/** Time between samples: twice as many as perf's -F 999. */
const INTERVAL_US = 500;

export interface ShrinkerProfile {
  /** Shape of the bench, as its group is named. */
  readonly group: string;
  readonly policy: ShrinkerPolicy;
  readonly threads: number;
  /** Walks, sampling and calls out of line included. */
  readonly opsPerSec: number;
  /** One for each walker. */
  readonly profiles: readonly CpuProfile[];
}

/**
 * Profiles the walk with callbacks: every shape, policy and number of threads once.
 * @context the main thread; starts its own workers and ends them; two seconds each
 */
export async function shrinkerProfiles(
  options: ShrinkerBenchOptions = {},
): Promise<ShrinkerProfile[]> {
  const { threads = [1, 2, 4], variants = SHRINKER_POLICIES, quick = false } = options;
  const done: ShrinkerProfile[] = [];
  for (const shape of shapesOf(options)) {
    const group = shapeName(shape);
    if (!wantsGroup(group, options)) continue;
    for (const nr of threads) {
      for (const policy of variants) {
        if (options.signal?.aborted === true) return done;
        options.notice?.(`profile: ${group}: ${policy} x${nr}`);
        const machine = new ShrinkerMachine(shape, policy);
        try {
          const run = await machine.profile('callback', nr, quick ? 60 : 1000, INTERVAL_US);
          done.push({ group, policy, threads: nr, ...run });
        } finally {
          await machine.close();
        }
      }
    }
  }
  return done;
}
