// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd and kcompressd at work in one machine with everything on: what they have counted, what
 * threads the report knows, and nothing lost, while parts of the machine go with full queues.
 */
import { describe, expect, it } from 'vitest';
import {
  generateTrace,
  type MachineConfig,
  planScenario,
  type RunReport,
  reportExitCode,
  runWorkload,
  traceWorkload,
} from '../../dist/src/index.js';

const LIMIT_MS = 300_000;
const ALL = { interval: 1, times: null };
/** Contention and full queues, as often as there would be in a machine that is under siege. */
const SIEGE = {
  fail_trylock: { oneIn: 4, ...ALL },
  rmap_held: { oneIn: 5, ...ALL },
  queue_full: { oneIn: 20, ...ALL },
  stall: { oneIn: 10, ...ALL },
};
const BOTH: MachineConfig = {
  contended: 'kshrinkd-fixed',
  kcompressd: 'fixed',
  kcompressdThreads: 2,
  lockdep: true,
  faults: SIEGE,
  hungTask: 60,
};
const EVERYTHING: MachineConfig = {
  ...BOTH,
  ...{ transparentHugepage: 'always', thpAnon: '16K-64K:always', kcompactd: true },
  ...{ perVmaLocks: true, fileLargeFolios: 4 },
};

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
}

async function run(
  name: string,
  options: Record<string, number | string>,
  config: MachineConfig,
): Promise<RunReport> {
  const plan = planScenario(name, { options, config, seed: config.seed ?? 1 });
  return runWorkload(plan.workload, plan.config);
}

const counted = (report: RunReport): Record<string, number> => ({
  ...report.vmstat,
  ...report.counters,
});

/** Both have done something, and all of it is accounted for. */
function expectAtWork(report: RunReport): void {
  const c = counted(report) as Record<string, number>;
  const of = (name: string): number => c[name] ?? 0;
  expect(of('kr_kshrinkd_queued')).toBeGreaterThan(0);
  expect(of('kr_kcompress_queued')).toBeGreaterThan(0);
  expect(of('pgscan_kshrinkd')).toBe(of('pgsteal_kshrinkd') + of('kr_kshrinkd_putback'));
  expect(of('kr_kshrinkd_queued')).toBe(of('pgscan_kshrinkd') + of('kr_kshrinkd_dead'));
  expect(of('pgsteal_kshrinkd')).toBeGreaterThan(0);
  const names = report.threads.map(({ comm }) => comm);
  for (const name of ['kswapd0', 'kshrinkd0', 'kcompressd0', 'kcompressd0:1']) {
    expect(names).toContain(name);
  }
}

const MONKEY = { scale: 1 / 32, launches: 16, apps: 10, heap: '25%' };

describe('monkey with everything on', () => {
  it.each(['zram', 'zswap'] as const)('%s, in parallel', { timeout: LIMIT_MS }, async (swap) => {
    const report = await run('monkey', MONKEY, { ...EVERYTHING, swap, cpus: 3, seed: 1 });
    expectClean(report);
    expect(reportExitCode(report)).toBe(0);
    expectAtWork(report);
  });

  it('in a schedule of its own', { timeout: LIMIT_MS }, async () => {
    const config = { ...EVERYTHING, mode: 'deterministic', cpus: 3, seed: 2 } as const;
    const report = await run('monkey', MONKEY, config);
    expectClean(report);
    expectAtWork(report);
  });
});

describe('what is queued', { timeout: LIMIT_MS }, () => {
  it('goes with its node, its group, its device and its process', async () => {
    const config = { ...BOTH, cpus: 4, memory: '40%', seed: 3 };
    const report = await run('churn', { loops: 4 }, config);
    expectClean(report);
    const { figures = {} } = report.scenario ?? {};
    expect(figures.offlines ?? 0).toBeGreaterThan(0);
    expect(figures.swapoffs ?? 0).toBeGreaterThan(0);
    expect(figures.groups ?? 0).toBeGreaterThan(0);
    const names = report.threads.map(({ comm }) => comm);
    for (const name of ['kshrinkd1', 'kcompressd1', 'kcompressd1:1']) expect(names).toContain(name);
  });

  it('is seen to when the machine stops in the middle', async () => {
    const options = { ...MONKEY, launches: 2000 };
    const report = await run('monkey', options, { ...BOTH, cpus: 3, seed: 4, timeout: 5 });
    expect(report.interrupted).toBe(true);
    expectClean(report);
  });

  it('when nothing can be stored, does not keep the OOM killer away', async () => {
    const zipf = (seed: number) =>
      generateTrace({ kind: 'zipf', pages: 1100, events: 3000, seed, name: `zipf${seed}` });
    const config: MachineConfig = {
      ...{ mode: 'deterministic', kcompressd: 'fixed', timeout: 20, seed: 1 },
      faults: { fail_write: { oneIn: 1, ...ALL } },
    };
    const report = await runWorkload(traceWorkload([zipf(1), zipf(2)], config), config);
    expect(report.interrupted).toBe(false);
    expect(report.vmstat.oom_kill).toBe(2);
    expectClean(report);
  });
});
