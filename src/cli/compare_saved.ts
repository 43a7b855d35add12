// SPDX-License-Identifier: GPL-2.0-only
/** `kreclaim compare A.json B.json`: reports that are there already. */
import { UsageError } from '../errors.ts';
import type { ComparePlan, CompareRun, CompareSide } from '../report/compare/compare_report.ts';
import { diffsText, type ThingDiff, thingDiffs } from '../report/compare/config_diff.ts';
import { readSaved, type Saved, type SavedRun, savedRun } from '../report/compare/saved.ts';
import { type CompareFlags, SAME_DEFAULT } from './compare_options.ts';
import type { Compared } from './compare_result.ts';

type SavedFile = Extract<Saved, { kind: 'run' }>;

/** Everything that says what ran, by name. */
function thingsOf({ report }: SavedFile): Record<string, unknown> {
  const { config, scenario, traces } = report;
  const inputs = traces.map(({ name, events }) => `${name} (${events} events)`).join(' ');
  const own = scenario === null ? {} : { scenario: scenario.name, ...scenario.options };
  return { ...config, ...own, inputs };
}

/** As thingsOf, without the seed, which repeats may have of their own. */
function repeatsOf(file: SavedFile): Record<string, unknown> {
  const { seed: _, faultSeed: __, inputs: ___, ...rest } = thingsOf(file);
  return rest;
}

const hostOf = ({ version, node, cpus }: SavedRun): string =>
  `kreclaim ${version}, Node ${node}, ${cpus.count} x ${cpus.model}`;

function warningsOf(sides: readonly SavedFile[][], diffs: readonly ThingDiff[]): string[] {
  const warnings: string[] = [];
  if (diffs.length > 1) {
    warnings.push(`A and B differ in ${diffs.length} things: ${diffsText(diffs)}`);
  }
  if (diffs.length === 0) warnings.push('A and B are the same machine with the same workload');
  for (const [index, files] of sides.entries()) {
    const [first, ...rest] = files;
    for (const file of rest) {
      const among = thingDiffs(repeatsOf(first as SavedFile), repeatsOf(file));
      if (among.length === 0) continue;
      const side = index === 0 ? 'A' : 'B';
      warnings.push(`runs of ${side} differ among themselves (${file.file}): ${diffsText(among)}`);
      break;
    }
  }
  const hosts = new Set(sides.flat().map(({ report }) => hostOf(report)));
  if (hosts.size > 1) warnings.push(`made on different hosts: ${[...hosts].join('; ')}`);
  return warnings;
}

function sideOf(files: readonly SavedFile[]): CompareSide {
  const [first] = files as [SavedFile];
  const more = files.length === 1 ? '' : ` and ${files.length - 1} more`;
  return { label: `${first.file}${more}`, config: first.report.config };
}

/** A saved comparison, to be shown again, with other bounds perhaps. */
function again(saved: Extract<Saved, { kind: 'compare' }>, same: number | null): Compared {
  const { toggle, plan, sides, interrupted, wallMs, warnings, runs } = saved.report;
  const comparePlan: ComparePlan = { ...plan, same: same ?? plan.same };
  return { toggle, plan: comparePlan, sides, interrupted, wallMs, warnings, runs };
}

function compareFiles(a: SavedFile[], b: SavedFile[], same: number | null): Compared {
  const [firstA, firstB] = [a[0] as SavedFile, b[0] as SavedFile];
  const diffs = thingDiffs(thingsOf(firstA), thingsOf(firstB));
  const runs: CompareRun[] = [
    ...a.map(({ file, report }, k) => savedRun('a', k + 1, file, report)),
    ...b.map(({ file, report }, k) => savedRun('b', k + 1, file, report)),
  ];
  const modes = [...new Set([...a, ...b].map(({ report }) => report.mode))];
  return {
    toggle: diffs.length === 1 ? (diffs[0] as ThingDiff) : null,
    plan: {
      inputs: [...a, ...b].map(({ file }) => file),
      runs: null,
      order: null,
      paired: false,
      jobs: null,
      mode: modes.join(', '),
      same: same ?? SAME_DEFAULT,
    },
    sides: { a: sideOf(a), b: sideOf(b) },
    interrupted: false,
    wallMs: null,
    warnings: warningsOf([a, b], diffs),
    runs,
  };
}

function onlyRuns(saved: readonly Saved[]): SavedFile[] {
  return saved.map((one) => {
    if (one.kind === 'run') return one;
    throw new UsageError(`${one.file}: a comparison is shown alone, not against others`);
  });
}

/** @throws UsageError for files that cannot be read, or be compared */
export async function compareSaved(
  files: readonly string[],
  flags: CompareFlags,
  same: number | null,
): Promise<Compared> {
  const { against } = flags;
  const first = await Promise.all(files.map(readSaved));
  if (against !== undefined) {
    const second = await Promise.all(against.map(readSaved));
    return compareFiles(onlyRuns(first), onlyRuns(second), same);
  }
  const [only] = first;
  if (first.length === 1 && only?.kind === 'compare') return again(only, same);
  const runs = onlyRuns(first);
  if (runs.length === 2) return compareFiles(runs.slice(0, 1), runs.slice(1), same);
  throw new UsageError(
    `compare: ${runs.length} reports; give A.json B.json, or A.json... --against B.json...`,
  );
}
