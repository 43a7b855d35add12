// SPDX-License-Identifier: GPL-2.0-only
/** Scenario churn: a node, swap devices and groups come and go under load, and nothing is lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  planScenario,
  type RunReport,
  runWorkload,
  UsageError,
} from '../../dist/src/index.js';

const LIMIT = { timeout: 120_000 };
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

async function churn(loops: number, config: MachineConfig = {}, parts?: string) {
  const options = { loops, dir, ...(parts === undefined ? {} : { parts }) };
  const plan = planScenario('churn', { options, config: { lockdep: true, ...config } });
  return runWorkload(plan.workload, plan.config);
}

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  const { forks = 0, exits = -1 } = report.tasks ?? {};
  expect(exits).toBe(forks + 1);
}

describe('churn', () => {
  it('loses nothing in parallel', LIMIT, async () => {
    const report = await churn(6, { kcompactd: true, perVmaLocks: true });
    expectClean(report);
    const { loops, offlines = 0, nodeKept, swapoffs } = report.scenario?.figures ?? {};
    expect(loops).toBe(6);
    expect(offlines + (nodeKept ?? 0)).toBe(6);
    expect(swapoffs).toBeGreaterThan(0);
  });

  it.each([3, 4])('in schedule %i, with faults', LIMIT, async (seed) => {
    const config = { mode: 'deterministic', seed, faults: 'all', cpus: 3 } as const;
    const report = await churn(
      2,
      { ...config, kcompactd: seed === 4, perVmaLocks: seed === 3 },
      'node,swap,compact',
    );
    expectClean(report);
    expect(report.scenario?.figures.compacts).toBe(2);
  });

  it('says what it does not know', () => {
    const plan = (options: Record<string, string>, cpus = 4) =>
      planScenario('churn', { options, config: { cpus } });
    expect(() => plan({ parts: 'disk' })).toThrow(UsageError);
    expect(() => plan({}, 2)).toThrow(/at least 3/);
  });
});
