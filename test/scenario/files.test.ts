// SPDX-License-Identifier: GPL-2.0-only
/** Files larger than memory, written and read by several programs under reclaim. */
import { describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  type RunReport,
  reportExitCode,
  runWorkload,
} from '../../dist/src/index.js';
import { fileProcesses } from '../fixtures/file_programs.mjs';

/** Twice 450 pages of files in 512 of memory. */
const ARGS = { files: 2, pages: 450, accesses: 20_000 };
const MACHINE: MachineConfig = { memory: '2M', swapSize: '16M', contents: true };

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  expect(reportExitCode(report)).toBe(0);
}

const run = (args: object, config: MachineConfig, count = 2): Promise<RunReport> =>
  runWorkload({ processes: fileProcesses(count, { ...ARGS, ...args }) }, { ...MACHINE, ...config });

describe('programs that share files larger than memory', () => {
  it('read what was written, through swap', async () => {
    const report = await run({}, { lockdep: true });
    expectClean(report);
    expect(report.vmstat.pswpout).toBeGreaterThan(400);
    expect(report.vmstat.pswpin).toBeGreaterThan(100);
    expect(report.vmstat.nr_shmem).toBeGreaterThan(200);
    expect(report.integrity.pagesVerified).toBe(900);
  });

  it('lose nothing to faults, nor to truncation', async () => {
    const report = await run({ truncateOneIn: 2000 }, { lockdep: true, faults: 'all' });
    expectClean(report);
    expect(report.integrity.pagesVerified).toBeGreaterThan(400);
    expect(Object.values(report.faults).some((count) => count > 0)).toBe(true);
  });

  it.each([1, 2, 3])(
    'in schedule %i, at a limit, without a synchronous device',
    { timeout: 60_000 },
    async (seed) => {
      const report = await run(
        { seed, accesses: 1500, pages: 200, truncateOneIn: 400 },
        { mode: 'deterministic', seed, faults: 'all', memcgMax: '1M', swapSynchronous: seed !== 2 },
      );
      expectClean(report);
      expect(report.vmstat.pswpout).toBeGreaterThan(0);
    },
  );
});
