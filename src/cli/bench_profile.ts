// SPDX-License-Identifier: GPL-2.0-only
/**
 * `kreclaim bench shrinker --profile`: after the rates, where the time of each policy goes, beside
 * the published tables; and a flame graph of all of it.
 */
import type { ShrinkerBenchOptions } from '../../bench/shrinker.ts';
import { type ShrinkerProfile, shrinkerProfiles } from '../../bench/shrinker_profile.ts';
import type { ShrinkerPolicy } from '../mm/config.ts';
import { type CallNode, mergeProfiles } from '../profile/call_tree.ts';
import { type HotTable, hotTable, type Shares } from '../profile/hot_table.ts';
import { withoutInlining } from '../profile/inlining.ts';
import { SEED_AFTER, SEED_BEFORE } from '../profile/seed_tables.ts';
import { formatNumber } from '../report/text_table.ts';
import { profileText, writeFlame } from './profile_output.ts';

/** A profile as `--json` has it. */
export interface ProfileRow {
  readonly group: string;
  readonly policy: ShrinkerPolicy;
  readonly threads: number;
  /** With sampling, and without inlining: not for comparing with the rows' rates. */
  readonly walksPerSec: number;
  readonly table: HotTable;
}

/** What was published of a policy. */
function published(policy: ShrinkerPolicy): Shares | null {
  if (policy === 'srcu') return null;
  return policy === 'rwsem' ? SEED_BEFORE : SEED_AFTER;
}

function merged(runs: readonly ShrinkerProfile[]): CallNode {
  return mergeProfiles(
    runs.flatMap(({ policy, threads, profiles }) =>
      profiles.map((profile) => ({ comm: `${policy} x${threads}`, profile })),
    ),
  );
}

/**
 * Profiles, and writes the flame graph where one is asked for.
 * @returns the tables as text and as data
 * @throws UsageError where the flame graph cannot be written
 */
export async function benchProfile(
  options: ShrinkerBenchOptions,
  flame: string | undefined,
): Promise<{ readonly text: string; readonly rows: readonly ProfileRow[] }> {
  const runs = await withoutInlining(() => shrinkerProfiles(options));
  const rows = runs.map((run): ProfileRow => {
    const { group, policy, threads, opsPerSec } = run;
    return { group, policy, threads, walksPerSec: opsPerSec, table: hotTable(merged([run])) };
  });
  const parts = runs.map((run) => {
    const rate = `${formatNumber(run.opsPerSec / 1e6, 2)} M walks/s`;
    const title = `${run.group}\n${run.policy} x${run.threads}, ${rate} under the profiler`;
    return profileText(merged([run]), title, published(run.policy)).join('\n');
  });
  if (flame !== undefined && runs.length > 0) {
    const groups = [...new Set(runs.map(({ group }) => group))].join('; ');
    await writeFlame(merged(runs), flame, 'Slab shrinkers', `${groups}; functions out of line`);
  }
  return { text: parts.join('\n\n'), rows };
}
