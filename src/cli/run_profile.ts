// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim run ... --profile`: a run whose threads are sampled, and what is shown of it. */
import { UsageError } from '../errors.ts';
import { mergeProfiles } from '../profile/call_tree.ts';
import { withoutInlining } from '../profile/inlining.ts';
import { collectProfiles } from '../profile/profile_files.ts';
import { type ProfileReport, profileLines, profileReport } from '../report/profile_report.ts';
import type { RunReport } from '../report/run_report.ts';
import type { MachineProfile } from '../supervisor.ts';
import { writeFlame } from './profile_output.ts';

export interface ProfileFlags {
  readonly profile?: true;
  readonly flame?: string;
}

/** Time between samples: twice as many as perf's -F 999. */
const INTERVAL_US = 500;

/**
 * @param seeds as given @param mode of the machine
 * @returns whether the run is to be profiled
 * @throws UsageError where time is not real, or there are many machines
 */
export function wantsProfile(
  { profile, flame }: ProfileFlags,
  seeds: string | undefined,
  mode: string | undefined,
): boolean {
  if (profile === undefined && flame === undefined) return false;
  const flag = profile === undefined ? '--flame' : '--profile';
  if (seeds !== undefined) throw new UsageError(`${flag}: not with --seeds; profile one run`);
  if (mode !== 'deterministic') return true;
  throw new UsageError(
    `${flag}: not with mode deterministic, whose time is not real; leave it out`,
  );
}

/**
 * Runs with every thread sampled, functions out of line; writes the flame graph where one is asked
 * for.
 * @returns the report, with its profile @throws as `run`; UsageError where a file cannot be written
 */
export async function profiledRun(
  run: (profile: MachineProfile) => Promise<RunReport>,
  flame: string | undefined,
): Promise<RunReport> {
  const { result, profiles } = await collectProfiles((dir) =>
    withoutInlining(() => run({ dir, intervalUs: INTERVAL_US })),
  );
  const root = mergeProfiles(profiles);
  if (flame !== undefined && profiles.length > 0) {
    const what = result.scenario?.name ?? result.traces.map(({ name }) => name).join(', ');
    await writeFlame(root, flame, `kreclaim run: ${what}`, 'all threads; functions out of line');
  }
  return { ...result, profile: profileReport(root, INTERVAL_US) };
}

/** The profile of a report as text; empty for none. */
export function profileSection(profile: ProfileReport | null): string {
  return profile === null ? '' : `\n${profileLines(profile).join('\n')}\n`;
}
