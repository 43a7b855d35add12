// SPDX-License-Identifier: GPL-2.0-only
/**
 * CPUs store to a mapped file under memory pressure, split and merge its VMAs, fork and sync: what
 * a CPU has stored is in the host's file when its fsync returns.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type MachineConfig, reportExitCode, runWorkload } from '../../dist/src/index.js';
import { mappedProcess } from '../fixtures/map_programs.mjs';

const CPUS = 3;
const MACHINE: MachineConfig = { memory: '2M', swapSize: '8M', hostFiles: true, lockdep: true };
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

it.each([
  ['in parallel, with faults', 1000, { mode: 'parallel', faults: 'all', seed: 1 }],
  ['in a schedule of its own', 200, { mode: 'deterministic', faults: 'all', seed: 2 }],
] as const)(
  'loses no store that was synced: %s',
  { timeout: 120_000 },
  async (_, accesses, how) => {
    const args = { dir, pages: 700, accesses, seed: how.seed };
    const report = await runWorkload(
      { processes: [mappedProcess(CPUS, args)] },
      { ...MACHINE, ...how },
    );
    expect(report.panic).toBeNull();
    expect(report.integrity.details).toEqual([]);
    expect(reportExitCode(report)).toBe(0);
    expect(report.vmstat.pgsteal_file).toBeGreaterThan(100);
  },
);
