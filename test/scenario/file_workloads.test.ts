// SPDX-License-Identifier: GPL-2.0-only
/**
 * Workloads kernbench and fio: what they write is what they read, and what is on the host at the
 * end; runs of one seed agree; nothing is left.
 */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  planScenario,
  type RunReport,
  reportExitCode,
  runWorkload,
} from '../../dist/src/index.js';

const LIMIT = { timeout: 200_000 };
const SCALE = 1 / 32;

type Options = Record<string, string | number | boolean>;

async function run(name: string, options: Options = {}, config: MachineConfig = {}) {
  const plan = planScenario(name, { options: { scale: SCALE, ...options }, config });
  const report = await runWorkload(plan.workload, plan.config);
  const folders = plan.workload.folders ?? [];
  expect(folders).toHaveLength(1);
  expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
  return report;
}

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(reportExitCode(report)).toBe(0);
}

const figuresOf = (report: RunReport) => report.scenario?.figures as Record<string, number>;

describe('fio', () => {
  it('reads a file larger than memory: what is not cached is a miss', LIMIT, async () => {
    const report = await run('fio', { rw: 'randread', ops: 3000, numJobs: 3 }, { lockdep: true });
    expectClean(report);
    const figures = figuresOf(report);
    expect(figures).toMatchObject({ ops: 3000, reads: 3000, writes: 0, wrong: 0, refused: 0 });
    expect(figures.kilobytes).toBe(4 * 3000);
    expect(figures.verified).toBe(1024);
    expect(figures.hits).toBeGreaterThan(100);
    // The file is twice the memory, some of which is no cache.
    expect(figures.hitPercent).toBeLessThan(60);
    expect(report.vmstat.pgsteal_file).toBeGreaterThan(500);
    expect(figures.iops).toBeGreaterThan(0);
  });

  it('reads in order ahead of itself: hardly anything is a miss', LIMIT, async () => {
    const report = await run('fio', { rw: 'read', ops: 900, numJobs: 1 });
    expectClean(report);
    expect(figuresOf(report).hitPercent).toBeGreaterThan(85);
  });

  it.each(['randwrite', 'write', 'randrw'])(
    '%s: the host has what was written',
    LIMIT,
    async (rw) => {
      const options = { rw, ops: 1500, numJobs: 3, fsyncEvery: 50, blockKb: 8 };
      const report = await run('fio', options, { lockdep: true, dirtyRatio: 10 });
      expectClean(report);
      const figures = figuresOf(report);
      expect(figures.reads + figures.writes).toBe(1500);
      expect(figures.writes).toBeGreaterThan(300);
      expect(figures.fsyncs).toBeGreaterThan(3);
      expect(figures.failedFsyncs).toBe(0);
      expect(figures.verified).toBe(512);
      expect(report.vmstat.nr_written).toBeGreaterThan(300);
    },
  );

  it('runs for a time, and survives faults', LIMIT, async () => {
    const options = { rw: 'randrw', seconds: 0.3, numJobs: 4, writePercent: 50 };
    const report = await run('fio', options, { faults: 'all' });
    expect(report.panic?.message ?? '').toBe('');
    expect(figuresOf(report).ops).toBeGreaterThan(0);
    expect(figuresOf(report).verified).toBe(1024);
  });
});

describe('kernbench', () => {
  it('builds: every object is on the host', LIMIT, async () => {
    const report = await run('kernbench', { units: 12 }, { lockdep: true });
    expectClean(report);
    const figures = figuresOf(report);
    expect(figures).toMatchObject({ units: 12, builds: 1, killed: 0 });
    expect(figures.verified).toBeGreaterThan(3 * 12);
    expect(figures.throughput).toBeGreaterThan(0);
    expect(figures.unitP50Us).toBeGreaterThan(0);
    expect(report.vmstat.pgsteal_file).toBeGreaterThan(0);
    expect(report.tasks?.forks).toBe(1 + 12 + 1);
    expect(report.tasks?.peak).toBeGreaterThan(2);
    expect(report.tasks?.peak).toBeLessThanOrEqual(2 + 4);
  });

  it('builds again and again, over what is there', LIMIT, async () => {
    const report = await run('kernbench', { units: 5, builds: 3, numJobs: 3 });
    expectClean(report);
    expect(figuresOf(report)).toMatchObject({ units: 15, builds: 3 });
  });

  it('survives compilers that are killed', LIMIT, async () => {
    const options = { units: 6, heap: '110%', numJobs: 3 };
    const report = await run('kernbench', options, { swap: 'none' });
    expect(report.panic).toBeNull();
    expect(report.integrity.details).toEqual([]);
    const figures = figuresOf(report);
    expect(figures.units).toBe(6);
    expect(figures.killed).toBe(report.vmstat.oom_kill);
  });
});

describe.each([
  ['fio', { rw: 'randrw', ops: 300, numJobs: 3, fsyncEvery: 40 }],
  ['kernbench', { units: 4, numJobs: 3 }],
] as const)('%s in a schedule', (name, options) => {
  it('agrees with itself', LIMIT, async () => {
    const config = { mode: 'deterministic', seed: 4 } as const;
    const [a, b] = [await run(name, options, config), await run(name, options, config)];
    expectClean(a);
    expect(a.vmstat).toEqual(b.vmstat);
    expect(figuresOf(a)).toEqual(figuresOf(b));
    const other = await run(name, options, { ...config, seed: 5 });
    expectClean(other);
    expect(other.vmstat).not.toEqual(a.vmstat);
  });
});
