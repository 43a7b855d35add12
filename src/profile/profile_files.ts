// SPDX-License-Identifier: GPL-2.0-only
/** Profiles as files: what threads of a machine leave in a folder. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import type { CpuProfile } from '../../kthreads/profiler.ts';
import { inputError } from '../errors.ts';
import type { ThreadProfile } from './call_tree.ts';

const SUFFIX = '.cpuprofile';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const SCHEMA = v.object({
  nodes: v.pipe(
    v.array(
      v.object({
        id: count,
        callFrame: v.object({
          functionName: v.string(),
          url: v.string(),
          lineNumber: v.pipe(v.number(), v.integer(), v.minValue(-1)),
        }),
        hitCount: v.optional(count),
        children: v.optional(v.array(count)),
        positionTicks: v.optional(v.array(v.object({ line: count, ticks: count }))),
      }),
    ),
    v.minLength(1),
  ),
  startTime: v.number(),
  endTime: v.number(),
});

/**
 * Reads the text of a .cpuprofile file.
 * @param file named in errors @throws UsageError when it is none
 */
export function parseProfile(text: string, file: string): CpuProfile {
  const hint = 'give a .cpuprofile file';
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw inputError({ file, reason: `not JSON: ${(error as Error).message}`, hint });
  }
  const result = v.safeParse(SCHEMA, data);
  if (result.success) return result.output as CpuProfile;
  const issue = result.issues[0];
  const where = v.getDotPath(issue) ?? 'the file';
  throw inputError({ file, reason: `not a profile: ${where}: ${issue.message}`, hint });
}

/** The profiles in a folder, by the names of their threads, in their order. */
export async function readProfiles(dir: string): Promise<ThreadProfile[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith(SUFFIX)).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = join(dir, name);
      const profile = parseProfile(await readFile(file, 'utf8'), file);
      return { comm: basename(name, SUFFIX), profile };
    }),
  );
}

/**
 * Runs a machine whose threads write their profiles to a folder of its own, and reads them.
 * @param run must have shut the machine down when it resolves
 * @returns what `run` did, and the profiles; the folder is gone
 */
export async function collectProfiles<T>(
  run: (dir: string) => Promise<T>,
): Promise<{ readonly result: T; readonly profiles: readonly ThreadProfile[] }> {
  const dir = await mkdtemp(join(tmpdir(), 'kreclaim-profile-'));
  try {
    const result = await run(dir);
    return { result, profiles: await readProfiles(dir) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
