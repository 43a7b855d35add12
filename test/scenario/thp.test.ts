// SPDX-License-Identifier: GPL-2.0-only
/** Large folios in whole machines: in schedules with faults, and in parallel, forked and short. */
import { describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  planScenario,
  type RunReport,
  runWorkload,
} from '../../dist/src/index.js';

const LIMIT = { timeout: 180_000 };
const THP: MachineConfig = { thpAnon: '16K-256K:always', lockdep: true };
/** Machines of a few MiB: schedules of larger ones take minutes. */
const SMALL = { scale: 1 / 16, depth: 2, width: 2, rounds: 2 };
const MIDDLE = { scale: 1 / 4, depth: 2, width: 2 };
const STATS = '/sys/kernel/mm/transparent_hugepage/hugepages-';

async function storm(
  options: Record<string, number>,
  config: MachineConfig = {},
): Promise<RunReport> {
  const plan = planScenario('forkstorm', { options, config: { ...THP, ...config } });
  return runWorkload(plan.workload, plan.config);
}

/** Frames are free, counts are right, and every page held what was stored. */
function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
}

/** A counter, over all orders. */
function count(report: RunReport, name: string): number {
  const files = Object.entries(report.proc).filter(([path]) => {
    return path.startsWith(STATS) && path.endsWith(`/${name}`);
  });
  expect(files.length).toBe(8);
  return files.reduce((sum, [, text]) => sum + Number(text), 0);
}

describe('large folios', () => {
  it.each([1, 2, 3])('in schedule %i, with faults', LIMIT, async (seed) => {
    const config = { mode: 'deterministic', seed, faults: 'all', cpus: 2 + (seed % 2) } as const;
    const report = await storm(SMALL, config);
    expectClean(report);
    expect(count(report, 'anon_fault_alloc')).toBeGreaterThan(0);
    expect(count(report, 'nr_anon')).toBe(0);
  });

  it('schedules of one seed agree', LIMIT, async () => {
    const config = { mode: 'deterministic', seed: 5 } as const;
    const [a, b] = [await storm(SMALL, config), await storm(SMALL, config)];
    expectClean(a);
    expect(b.vmstat).toEqual(a.vmstat);
    expect(count(b, 'split')).toBe(count(a, 'split'));
  });

  it('in parallel: forked, copied, split, swapped out whole and in part', LIMIT, async () => {
    const report = await storm({ ...MIDDLE, depth: 3, width: 3 }, { cpus: 3, memory: '60%' });
    expectClean(report);
    for (const name of ['anon_fault_alloc', 'split', 'split_deferred', 'swpout']) {
      expect(count(report, name), name).toBeGreaterThan(0);
    }
  });

  it('where waiting for the rmap lock is allowed', LIMIT, async () => {
    expectClean(await storm(MIDDLE, { cpus: 2, rmapTrylock: false }));
  });

  it.each(['zswap', 'file'] as const)('swapped out to %s', LIMIT, async (swap) => {
    const report = await storm(MIDDLE, { cpus: 2, swap });
    expectClean(report);
    expect(count(report, swap === 'file' ? 'swpout' : 'zswpout')).toBeGreaterThan(0);
  });

  it('faulted in under the locks of VMAs', LIMIT, async () => {
    expectClean(await storm(MIDDLE, { cpus: 2, perVmaLocks: true }));
  });
});
