// SPDX-License-Identifier: GPL-2.0-only
/** Scenario files: those that come with the package, and the user's; and the traces they name. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kindOptions, SCALE_OPTION, uniqueOptions, workloadFields } from './scenario_options.ts';
import { fileScenario } from './scenario_plan.ts';
import { parseScenario, type ScenarioFile } from './scenario_text.ts';
import type { Scenario } from './scenario_types.ts';
import { readTrace, type Trace } from './trace.ts';
import { fileError } from './trace_bytes.ts';

const BUNDLED = fileURLToPath(new URL('../../../scenarios/', import.meta.url));
const ENDING = '.json';

/** @returns names of the scenarios that come as files, in the order of the alphabet */
export function bundledNames(): string[] {
  return readdirSync(BUNDLED)
    .filter((name) => name.endsWith(ENDING))
    .map((name) => basename(name, ENDING))
    .sort();
}

/** @returns the file of a scenario by its name, or null */
function bundledFile(name: string): string | null {
  return /^[\w-]+$/.test(name) && existsSync(`${BUNDLED}${name}${ENDING}`)
    ? `${BUNDLED}${name}${ENDING}`
    : null;
}

/** Whether an input names a scenario file, there or not. */
export function isScenarioFile(input: string): boolean {
  return input.toLowerCase().endsWith(ENDING);
}

/** @throws UsageError for a file that cannot be read, or is no scenario */
export function readScenarioFile(path: string): ScenarioFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError(path, error);
  }
  return parseScenario(text, path);
}

/** Paths of the traces that the workloads of a file replay. */
function tracePaths({ workloads, file }: ScenarioFile): string[] {
  const folder = dirname(file);
  return workloads.flatMap((workload) => {
    const paths = workload.kind.traces?.(workloadFields(workload, {}) as never) ?? [];
    return paths.map((path) => resolve(folder, path));
  });
}

/** A file as a scenario. @param traces by their paths */
function scenarioOfFile(file: ScenarioFile, traces: ReadonlyMap<string, Trace>): Scenario {
  const name = file.name ?? basename(file.file, ENDING);
  const own = file.workloads.flatMap(({ kind }) => kindOptions(kind));
  return {
    description: file.description ?? `${file.workloads.length} workloads of ${file.file}`,
    options: uniqueOptions([SCALE_OPTION, ...own]),
    plan: (input) => fileScenario({ ...file, name }, traces, input),
  };
}

/**
 * A bundled scenario by its name, without its traces.
 * @returns null where there is none
 */
export function bundledScenario(name: string): Scenario | null {
  const path = bundledFile(name);
  return path === null ? null : scenarioOfFile(readScenarioFile(path), new Map());
}

/**
 * A scenario file with all that it names.
 * @param input a path, or the name of a bundled one @param events of each trace, at most
 * @throws UsageError
 */
export async function loadScenarioFile(input: string, events = Infinity): Promise<Scenario> {
  const file = readScenarioFile(bundledFile(input) ?? input);
  const traces = new Map<string, Trace>();
  for (const path of tracePaths(file)) {
    if (!traces.has(path)) traces.set(path, await readTrace(path, { limit: events }));
  }
  return scenarioOfFile(file, traces);
}
