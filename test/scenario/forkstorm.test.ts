// SPDX-License-Identifier: GPL-2.0-only
/** Scenario forkstorm: trees of processes that outnumber CPUs, in short memory. */
import { describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  planScenario,
  type RunReport,
  type RunWorkloadOptions,
  reportExitCode,
  runWorkload,
  type Sample,
  UsageError,
} from '../../dist/src/index.js';

const LIMIT = { timeout: 120_000 };
const SMALL = { depth: 2, width: 2, rounds: 1, inherit: '50%' };
/** 2 MiB, the smallest machine. */
const SCALE = 1 / 32;

async function storm(
  options: Record<string, number | string>,
  config: MachineConfig = {},
  how: RunWorkloadOptions = {},
): Promise<RunReport> {
  const plan = planScenario('forkstorm', {
    options: { scale: SCALE, ...options },
    config: { lockdep: true, ...config },
  });
  return runWorkload(plan.workload, plan.config, how);
}

/** Frames, address spaces and task rows are free, and every page held what was stored. */
function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  const { forks = 0, exits = -1 } = report.tasks ?? {};
  expect(exits).toBe(forks + 1);
}

describe('forkstorm', () => {
  it('copies, swaps, kills and leaves nothing behind', LIMIT, async () => {
    const report = await storm({});
    expectClean(report);
    expect(reportExitCode(report)).toBe(0);
    const { forks = 0, peak = 0 } = report.tasks ?? {};
    expect(forks).toBeGreaterThan(100);
    expect(peak).toBeGreaterThan(report.processes[0]?.cpus.length ?? 0);
    expect(report.vmstat.pswpout).toBeGreaterThan(0);
    expect(report.integrity.pagesVerified).toBeGreaterThan(1000);
    const { reaped = 0, rounds } = report.scenario?.figures ?? {};
    // Children of those that were killed are nobody's.
    expect(reaped).toBeGreaterThan(forks / 2);
    expect(reaped).toBeLessThanOrEqual(forks);
    expect(rounds).toBe(8);
    expect(report.processes.find(({ pid }) => pid === 3)).toMatchObject({ parent: 2 });
  });

  it('lives with the OOM killer, and with faults', LIMIT, async () => {
    const report = await storm(
      { depth: 3, width: 4 },
      { swap: 'none', memory: '2M', faults: 'all', cpus: 3 },
    );
    expectClean(report);
    expect(report.vmstat.oom_kill).toBeGreaterThan(0);
  });

  it.each([1, 2, 3])('in schedule %i, with faults', LIMIT, async (seed) => {
    const config = { mode: 'deterministic', seed, faults: 'all', cpus: 2 + (seed % 2) } as const;
    expectClean(await storm(SMALL, config));
  });

  it('schedules of one seed agree', LIMIT, async () => {
    const config = { mode: 'deterministic', seed: 11 } as const;
    const [a, b] = [await storm(SMALL, config), await storm(SMALL, config)];
    expect(b.vmstat).toEqual(a.vmstat);
    expect(b.processes).toEqual(a.processes);
    expect(b.scenario).toEqual(a.scenario);
    expect(b.schedule).toEqual(a.schedule);
  });

  it('an interrupt drains it', LIMIT, async () => {
    const stop = new AbortController();
    const onSample = (sample: Sample): void => {
      if ((sample.pgfault ?? 0) > 0) stop.abort();
    };
    const report = await storm({ seconds: 1000 }, {}, { signal: stop.signal, onSample });
    expect(report.interrupted).toBe(true);
    expectClean(report);
  });

  it('refuses what will not do', () => {
    expect(() => planScenario('forkstorm', { options: { depth: 9 } })).toThrow(UsageError);
    expect(() => planScenario('forkstorm', { options: { touch: 1 } })).toThrow(
      /which takes --scale, --depth/,
    );
  });
});
