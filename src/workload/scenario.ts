// SPDX-License-Identifier: GPL-2.0-only
/**
 * Scenarios that need no file: a name for a workload and a machine, with a few options of its own.
 */
import { oneLine, UsageError } from '../errors.ts';
import { forkstorm } from './forkstorm.ts';
import { generateTrace } from './generators.ts';
import { memcgTmpfs } from './memcg_tmpfs.ts';
import { mountLoop } from './mount_loop.ts';
import {
  type PlanInput,
  type Scenario,
  type ScenarioPlan,
  scenarioFlag,
} from './scenario_types.ts';
import { replayProcesses } from './workload.ts';

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

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  quick,
  'memcg-tmpfs': memcgTmpfs,
  'mount-loop': mountLoop,
  forkstorm,
};

/** @returns the scenario of that name, or undefined */
export function scenarioOf(name: string): Scenario | undefined {
  return Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
}

/**
 * What to run for a scenario.
 * @param input its options as texts, by name; the rest is the machine's
 * @returns a workload and a machine for it; what the configuration says stands
 * @throws UsageError for a scenario or an option that there is not, or a value that will not do
 */
export function planScenario(name: string, input: Partial<PlanInput> = {}): ScenarioPlan {
  const scenario = scenarioOf(name);
  if (scenario === undefined) {
    const known = Object.keys(SCENARIOS).join(', ');
    throw new UsageError(`scenario '${oneLine(name, 40)}' is not known; known are ${known}`);
  }
  const { config = {}, options = {}, seed = config.seed ?? 1, events } = input;
  for (const option of Object.keys(options)) {
    if (scenario.options.some((own) => own.name === option)) continue;
    const flag = scenarioFlag(option);
    const own = scenario.options.map(({ name }) => scenarioFlag(name)).join(', ') || 'no options';
    throw new UsageError(`${flag}: not an option of scenario ${name}, which takes ${own}`);
  }
  return scenario.plan({ config, options, seed, events });
}
