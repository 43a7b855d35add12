// SPDX-License-Identifier: GPL-2.0-only
/**
 * Folios that are queued, for kshrinkd or kcompressd, in machines of one schedule each: processes
 * fork and end, a node, swap devices and groups come and go, rmap locks are held for long, queues
 * are full, compressors and devices fail. 20 seeds of each policy; scripts/queue_campaign.mjs goes
 * through more.
 */
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeedPool } from '../../dist/src/deterministic/seed_pool.js';
import { runSeeds, type SeedsReport } from '../../dist/src/deterministic/seeds.js';
import type { MachineConfig } from '../../dist/src/index.js';
import { CONTENDED_POLICIES, policyHasKshrinkd } from '../../dist/src/mm/contended.js';
import { type FaultName, MODEST_FAULTS } from '../../dist/src/mm/faults.js';

const LIMIT_MS = 600_000;
/** Seeds of each of the settings below, one after the other. */
const SEEDS = 5;
const ALL = { interval: 1, times: null };
const FAULTS = {
  ...MODEST_FAULTS,
  fail_trylock: { oneIn: 4, ...ALL },
  rmap_held: { oneIn: 4, ...ALL },
  stall: { oneIn: 6, ...ALL },
};

type Setting = readonly [parts: string, config: MachineConfig];
const SETTINGS: readonly Setting[] = [
  ['cgroup', { kcompressd: 'fixed', kcompressdThreads: 4, nodes: 1, lockdep: true }],
  ['swap', { kcompressd: 'fixed', kcompressdThreads: 2, nodes: 1, perVmaLocks: true }],
  ['node', { kcompressd: 'seed', kcompressdThreads: 1, nodes: 2, kcompactd: true }],
  ['cgroup', { kcompressd: 'off', nodes: 1, swap: 'zswap' }],
];
/** Of each node; programs want twice as much. */
const NODE_MIB = 2;
const SCALE = 5;
/** Pages swapped out between two loops, so that something is queued when a part goes. */
const PACE = 64;
/** What must have struck in the seeds of a setting. */
const STRIKE: readonly FaultName[] = [
  'fail_trylock',
  'stall',
  'swap_full',
  'compress_grow',
  'fail_write',
];

let pool: SeedPool;
beforeAll(async () => {
  pool = await SeedPool.open(availableParallelism());
});
afterAll(() => pool.close());

/** A range of seeds at rest finds nothing: folios were queued, and let go. */
function expectAtWork({ events, faults }: SeedsReport, config: MachineConfig): void {
  const of = (name: string): number => events[name] ?? 0;
  expect(of('pswpout')).toBeGreaterThan(100);
  for (const name of STRIKE) expect([name, faults[name]]).not.toEqual([name, 0]);
  if (policyHasKshrinkd(config.contended ?? 'head')) {
    expect(of('kr_kshrinkd_queued')).toBeGreaterThan(0);
    expect(of('pgsteal_kshrinkd')).toBeGreaterThan(0);
  }
  if (config.kcompressd !== 'off') expect(of('kr_kcompress_queued')).toBeGreaterThan(0);
}

describe.each(CONTENDED_POLICIES)('20 seeds of %s', (contended) => {
  it.each(SETTINGS)('%s comes and goes, %o', { timeout: LIMIT_MS }, async (parts, machine) => {
    const index = SETTINGS.findIndex(([, config]) => config === machine);
    const from = 1 + index * SEEDS;
    const nodes = machine.nodes ?? 1;
    const config: MachineConfig = {
      ...{ mode: 'deterministic', faults: FAULTS, cpus: 3, memory: `${nodes * NODE_MIB}M` },
      ...{ ...machine, contended },
    };
    const report = await runSeeds({
      from,
      to: from + SEEDS - 1,
      jobs: pool,
      input: {
        config,
        options: { parts, loops: 2, pace: PACE, scale: nodes * SCALE, depth: 1, width: 2 },
        ...{ scenario: 'churn', traces: null, events: null },
      },
    });
    expect(report.failure).toBeNull();
    expect(report.runs).toHaveLength(SEEDS);
    expectAtWork(report, config);
  });
});
