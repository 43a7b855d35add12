// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scenarios: a name or a file for a workload and a machine, with a few options of its own.
 */
import { oneLine, UsageError } from '../errors.ts';
import { churn } from './churn.ts';
import { generateTrace } from './generators.ts';
import { KINDS } from './kinds.ts';
import { memcgTmpfs } from './memcg_tmpfs.ts';
import { mountLoop } from './mount_loop.ts';
import {
  bundledNames,
  bundledScenario,
  isScenarioFile,
  loadScenarioFile,
} from './scenario_file.ts';
import { kindOptions, SCALE_OPTION, uniqueOptions } from './scenario_options.ts';
import {
  type PlanInput,
  type Scenario,
  type ScenarioOption,
  type ScenarioPlan,
  scenarioFlag,
} from './scenario_types.ts';
import { replayProcesses } from './workload.ts';

export { isScenarioFile } from './scenario_file.ts';
export type { PlanInput, Scenario, ScenarioPlan } from './scenario_types.ts';

/** Two programs of skewed accesses on two CPUs in half the memory that they touch: about 5 s. */
const quick: Scenario = {
  description: 'two programs of skewed random accesses on two CPUs, in half of their footprint',
  options: [],
  plan({ config, seed, events }) {
    const traces = [0, 1].map((k) =>
      generateTrace({
        kind: 'zipf',
        pages: 4096,
        events: events ?? 1_000_000,
        seed: (seed + k) >>> 0,
        name: `zipf${k}`,
      }),
    );
    const processes = replayProcesses(traces, config.cpus, config.share ?? false);
    return { config: { memory: '50%', ...config }, workload: { processes, traces } };
  },
};

/** Scenarios that are code; others are files, of the package or the user's. */
const BUILT_IN: Readonly<Record<string, Scenario>> = {
  quick,
  'memcg-tmpfs': memcgTmpfs,
  'mount-loop': mountLoop,
  churn,
};

/** @returns names of the scenarios that need no file of the user's */
export function scenarioNames(): string[] {
  return [...Object.keys(BUILT_IN), ...bundledNames()];
}

/** @returns the scenario of that name, or undefined @throws UsageError as `readScenarioFile` */
export function scenarioOf(name: string): Scenario | undefined {
  if (Object.hasOwn(BUILT_IN, name)) return BUILT_IN[name];
  return bundledScenario(name) ?? undefined;
}

/** Options of all scenarios, each once. */
export function allScenarioOptions(): ScenarioOption[] {
  const builtIn = Object.values(BUILT_IN).flatMap(({ options }) => options);
  return uniqueOptions([...builtIn, SCALE_OPTION, ...KINDS.flatMap(kindOptions)]);
}

/**
 * A scenario with all that it needs to be planned.
 * @param input a name, or the path of a scenario file @param events of each trace, at most
 * @throws UsageError for what is none
 */
export async function loadScenario(input: string, events?: number): Promise<Scenario> {
  if (Object.hasOwn(BUILT_IN, input)) return BUILT_IN[input] as Scenario;
  if (isScenarioFile(input) || scenarioOf(input) !== undefined) {
    return loadScenarioFile(input, events);
  }
  throw unknownScenario(input);
}

function unknownScenario(name: string): UsageError {
  const known = scenarioNames().join(', ');
  return new UsageError(`scenario '${oneLine(name, 40)}' is not known; known are ${known}`);
}

/**
 * What to run for a scenario.
 * @param scenario its name, or what `loadScenario` gave
 * @param input its options as texts, by name; the rest is the machine's, and how it is called
 * @returns a workload and a machine for it; what the configuration says stands
 * @throws UsageError for a scenario or an option that there is not, or a value that will not do
 */
export function planScenario(
  scenario: string | Scenario,
  input: Partial<PlanInput> & { readonly name?: string } = {},
): ScenarioPlan {
  const found = typeof scenario === 'string' ? scenarioOf(scenario) : scenario;
  if (found === undefined) throw unknownScenario(scenario as string);
  const { config = {}, options = {}, seed = config.seed ?? 1, events } = input;
  for (const option of Object.keys(options)) {
    if (found.options.some((own) => own.name === option)) continue;
    const flag = scenarioFlag(option);
    const own = found.options.map(({ name }) => scenarioFlag(name)).join(', ') || 'no options';
    const name = typeof scenario === 'string' ? scenario : input.name;
    const which = name === undefined ? '' : ` ${oneLine(name, 40)}`;
    throw new UsageError(`${flag}: not an option of scenario${which}, which takes ${own}`);
  }
  return found.plan({ config, options, seed, events });
}
