// SPDX-License-Identifier: GPL-2.0-only
/**
 * CPUs store to, read, cut and sync files of the host that are cached in large folios, under memory
 * pressure and with injected faults: the host's files hold what was written.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  planScenario,
  type RunReport,
  reportExitCode,
  runWorkload,
} from '../../dist/src/index.js';
import { cutFolios, folioProcess } from '../fixtures/folio_programs.mjs';
import { mappedProcess } from '../fixtures/map_programs.mjs';

const CPUS = 3;
const MACHINE: MachineConfig = {
  memory: '4M',
  swapSize: '8M',
  hostFiles: true,
  fileLargeFolios: 6,
  readAheadKb: 256,
  lockdep: true,
};
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(reportExitCode(report)).toBe(0);
}

/** A counter of folios, over all orders. */
function count(report: RunReport, name: string): number {
  const files = Object.entries(report.proc).filter(([path]) => path.endsWith(`/stats/${name}`));
  expect(files.length).toBe(9);
  return files.reduce((sum, [, text]) => sum + Number(text), 0);
}

const PARALLEL = { mode: 'parallel', faults: 'all' } as const;
const DETERMINISTIC = { mode: 'deterministic', faults: 'all' } as const;

describe('files in large folios', () => {
  it.each([
    ['in parallel, with faults', 1000, { ...PARALLEL, seed: 1 }],
    ['in a schedule of its own', 200, { ...DETERMINISTIC, seed: 2 }],
  ] as const)(
    'lose no store that was synced: %s',
    { timeout: 120_000 },
    async (_, accesses, how) => {
      const args = { dir, pages: 1400, accesses, seed: how.seed, huge: true };
      const processes = [mappedProcess(CPUS, args)];
      const report = await runWorkload({ processes }, { ...MACHINE, ...how });
      expectClean(report);
      expect(count(report, 'file_alloc')).toBeGreaterThan(30);
      expect(count(report, 'split')).toBeGreaterThan(0);
    },
  );

  it.each([
    ['in parallel, with faults', 400, false, { ...PARALLEL, seed: 3 }],
    ['in a schedule of its own', 60, false, { ...DETERMINISTIC, seed: 4 }],
    ['mapped, in a schedule of its own', 80, true, { ...DETERMINISTIC, seed: 5 }],
  ] as const)(
    'hold what was written, are cut and grow: %s',
    { timeout: 120_000 },
    async (_, rounds, mapped, how) => {
      const args = { dir, pages: 1400, rounds, seed: how.seed, mapped };
      const report = await runWorkload(
        { processes: [folioProcess(CPUS, args)] },
        { ...MACHINE, ...how },
      );
      expectClean(report);
      expect(cutFolios(dir, CPUS)).toEqual([]);
      expect(report.vmstat.pgsteal_file).toBeGreaterThan(100);
      expect(count(report, 'file_alloc')).toBeGreaterThan(10);
      expect(count(report, 'split')).toBeGreaterThan(0);
    },
  );
});

describe('a folio that is more than may be dirty', () => {
  it('is stored to all the same', { timeout: 120_000 }, async () => {
    const args = { dir, pages: 1400, accesses: 10, seed: 1002, huge: true };
    const how = { ...DETERMINISTIC, seed: 1002, fileLargeFolios: 9, timeout: 100 };
    const report = await runWorkload(
      { processes: [mappedProcess(CPUS, args)] },
      { ...MACHINE, ...how },
    );
    expectClean(report);
    expect(count(report, 'file_alloc')).toBeGreaterThan(0);
    expect(report.schedule?.decisions).toBeLessThan(1_000_000);
  });
});

describe('workloads of files in large folios', () => {
  it.each([
    ['fio', { rw: 'read', ops: 900, numJobs: 2 }],
    ['fio', { rw: 'randrw', ops: 900, numJobs: 3, fsyncEvery: 50, blockKb: 64 }],
    ['kernbench', {}],
  ] as const)('%s, %o', { timeout: 200_000 }, async (name, options) => {
    const config = { fileLargeFolios: 9, readAheadKb: 512, lockdep: true } as const;
    const plan = planScenario(name, { options: { scale: 1 / 32, ...options }, config });
    const report = await runWorkload(plan.workload, plan.config);
    expectClean(report);
    expect(report.scenario?.figures).toMatchObject({ refused: 0 });
    expect(report.scenario?.figures.verified).toBeGreaterThan(0);
    expect(count(report, 'file_alloc')).toBeGreaterThan(0);
  });

  it('schedules of one seed agree', { timeout: 120_000 }, async () => {
    const args = { dir, pages: 700, rounds: 30, seed: 9 };
    const run = () =>
      runWorkload(
        { processes: [folioProcess(CPUS, args)] },
        { ...MACHINE, ...DETERMINISTIC, seed: 9 },
      );
    const first = await run();
    expectClean(first);
    rmSync(dir, { recursive: true });
    mkdirSync(dir);
    const second = await run();
    expect(second.vmstat).toEqual(first.vmstat);
  });
});
