// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine of one schedule is the same in a host that has had others before, with their threads'
 * workers and their memory, as in one of its own: not a figure of the report differs.
 */
import { afterAll, describe, expect, it, vi } from 'vitest';
import { HostKeeper } from '../../dist/src/deterministic/host_keeper.js';
import { type MachineConfig, type RunReport, runWorkload } from '../../dist/src/index.js';
import { planScenario } from '../../dist/src/workload/scenario.js';

const LIMIT = { timeout: 600_000 };

type Options = Readonly<Record<string, string | number | boolean>>;
type Case = readonly [scenario: string, options: Options, config: MachineConfig];

const DAEMONS = { contended: 'kshrinkd-fixed', kcompressd: 'fixed' } as const;
const CHURN = { depth: 1, width: 2, loops: 1, pace: 64 };
const CASES: readonly Case[] = [
  [
    'churn',
    { ...CHURN, parts: 'cgroup', scale: 5 },
    { ...DAEMONS, memory: '2M', nodes: 1, lockdep: true },
  ],
  [
    'churn',
    { ...CHURN, parts: 'swap', scale: 5 },
    { ...DAEMONS, memory: '2M', nodes: 1, kcompactd: true },
  ],
  ['churn', { ...CHURN, parts: 'node', scale: 9 }, { ...DAEMONS, memory: '4M', nodes: 2 }],
  ['monkey', {}, { memory: '2M', swap: 'zswap', transparentHugepage: 'always' }],
  ['forkstorm', { scale: 0.5 }, { memory: '2M', perVmaLocks: true, kcompressd: 'fixed' }],
];

const SHORT = CASES[3] as Case;

const hosts = new HostKeeper();
afterAll(() => hosts.end());

async function run([scenario, options, given]: Case, seed: number, keeper?: HostKeeper) {
  const base: MachineConfig = { mode: 'deterministic', cpus: 3, seed, faults: 'all', ...given };
  const { workload, config } = planScenario(scenario, { options, config: base });
  return runWorkload(workload, config, keeper === undefined ? {} : { hosts: keeper });
}

/** The report without what may differ between two runs of one seed. */
function repeatable(report: RunReport): unknown {
  const free = ['wallMs', 'cpuMs'];
  return JSON.parse(JSON.stringify(report, (key, value) => (free.includes(key) ? null : value)));
}

describe('a host that is kept', () => {
  it('runs whatever machine comes next as a host of its own would', LIMIT, async () => {
    const keep = vi.spyOn(hosts, 'keep');
    for (const seed of [1, 2]) {
      for (const each of CASES) {
        const alone = await run(each, seed);
        expect(repeatable(await run(each, seed, hosts)), each[0]).toEqual(repeatable(alone));
      }
    }
    const workers = new Set(keep.mock.calls.map(([worker]) => worker));
    expect(keep).toHaveBeenCalledTimes(2 * CASES.length);
    expect(workers.size).toBe(1);
  });

  it('is kept after a machine that went well alone', LIMIT, async () => {
    const keeper = new HostKeeper();
    const keep = vi.spyOn(keeper, 'keep');
    const [scenario, options, config] = SHORT;
    const cut = await run([scenario, options, { ...config, timeout: 0.001 }], 1, keeper);
    expect(cut.interrupted).toBe(true);
    expect(keep).not.toHaveBeenCalled();
    // Two at once: one of the hosts is kept, and the next run has it.
    const both = await Promise.all([run(SHORT, 1, keeper), run(SHORT, 2, keeper)]);
    const next = await run(SHORT, 1, keeper);
    expect(repeatable(next)).toEqual(repeatable(both[0] as RunReport));
    const hosts = keep.mock.calls.map(([worker]) => worker);
    expect(hosts[0]).not.toBe(hosts[1]);
    expect(hosts[2]).toBe(hosts[0]);
    // It waits for nobody, and is in nobody's way: `end` is not called.
  });
});
