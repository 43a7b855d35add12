// SPDX-License-Identifier: GPL-2.0-only
/** Scenarios memcg-tmpfs and mount-loop, small, under every variant, to a clean end. */
import { describe, expect, it } from 'vitest';
import { planScenario, type RunReport, runWorkload } from '../../dist/src/index.js';

const VARIANTS = ['rwsem', 'srcu', 'lockless', 'lockless-fixed'] as const;
const SMALL = { memcgs: 12, mounts: 12, touch: 9, fileSize: '1M' };

function run(name: string, options: object, config: object): Promise<RunReport> {
  const plan = planScenario(name, { options: { ...options }, config });
  return runWorkload(plan.workload, plan.config);
}

function expectClean(report: RunReport) {
  expect(report.panic).toBeNull();
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0, details: [] });
}

describe.each(VARIANTS)('%s', (shrinker) => {
  it('memcg-tmpfs: groups, mounts, files, and nothing is left', async () => {
    const report = await run('memcg-tmpfs', SMALL, { shrinker });
    expectClean(report);
    const { figures } = report.scenario as NonNullable<RunReport['scenario']>;
    const counts = { groups: 12, mounts: 12, files: 9, pages: 9 * 256, umounts: 12, rmdirs: 12 };
    expect(figures).toMatchObject({ ...counts, refused: 0 });
    expect(report.counters.kr_shrink_walk).toBeGreaterThan(0);
    expect(report.config.shrinker).toBe(shrinker);
    expect(report.bootMs).toBeGreaterThan(0);
    expect(report.maxRssBytes).toBeGreaterThan(report.arenaBytes);
  });

  it('mount-loop: every loop is done, beside reclaim', async () => {
    const report = await run('mount-loop', { loops: 50, mounts: 4 }, { shrinker });
    expectClean(report);
    const { figures } = report.scenario as NonNullable<RunReport['scenario']>;
    expect(figures).toMatchObject({ loops: 50, refused: 0 });
    expect(figures.loopsPerSec).toBeGreaterThan(0);
    expect(report.counters.kr_shrink_walk).toBeGreaterThan(0);
  });
});

it('memcg-tmpfs: what the program leaves, the machine takes away', async () => {
  const report = await run('memcg-tmpfs', { ...SMALL, leave: true }, { nodes: 2 });
  expectClean(report);
  expect(report.scenario?.figures).toMatchObject({ files: 9, umounts: 0, rmdirs: 0 });
  expect(report.integrity.pagesVerified).toBe(9 * 256);
});

it('memcg-tmpfs at the limit of its groups, without accounting of objects', async () => {
  const config = { memory: '150%', memcgMax: '60%', kmem: false };
  const report = await run('memcg-tmpfs', SMALL, config);
  expectClean(report);
  expect(report.counters.memcg_pgsteal_direct).toBeGreaterThan(0);
});

it('memcg-tmpfs is the same twice under one schedule', async () => {
  const config = { mode: 'deterministic', seed: 5, memory: '2M' };
  const options = { memcgs: 4, mounts: 4, touch: 3, fileSize: '1M' };
  const [first, again] = [
    await run('memcg-tmpfs', options, config),
    await run('memcg-tmpfs', options, config),
  ];
  expectClean(first);
  expect(first.bootMs).toBeNull();
  // What the host measured is not the machine's.
  const timeless = (report: RunReport) => ({
    ...report,
    wallMs: 0,
    threads: report.threads.map((thread) => ({ ...thread, cpuMs: 0 })),
  });
  expect(timeless(again)).toEqual(timeless(first));
  const other = await run('memcg-tmpfs', options, { ...config, seed: 6 });
  expect(other.schedule?.scheduleHash).not.toBe(first.schedule?.scheduleHash);
});
