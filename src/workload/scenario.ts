// SPDX-License-Identifier: GPL-2.0-only
/** Scenarios that need no file: a name for a workload and a machine. */
import type { MachineConfig } from '../config_schema.ts';
import { generateTrace } from './generators.ts';
import type { Trace } from './trace.ts';

export interface Scenario {
  readonly description: string;
  readonly config: MachineConfig;
  /** @param seed draws of the generators @param events accesses of each, undefined for its own */
  readonly traces: (seed: number, events: number | undefined) => Trace[];
}

/** Two programs of skewed accesses on two CPUs in half the memory that they touch: about 5 s. */
const quick: Scenario = {
  description: 'two programs of skewed random accesses on two CPUs, in half of their footprint',
  config: { memory: '50%' },
  traces: (seed, events) =>
    [0, 1].map((k) =>
      generateTrace({
        kind: 'zipf',
        pages: 4096,
        events: events ?? 1_000_000,
        seed: (seed + k) >>> 0,
        name: `zipf${k}`,
      }),
    ),
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = { quick };
