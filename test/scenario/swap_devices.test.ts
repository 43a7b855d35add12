// SPDX-License-Identifier: GPL-2.0-only
/** Whole machines that swap to files on the host's disk, alone and beside zram. */
import { describe, expect, it } from 'vitest';
import {
  generateTrace,
  type MachineConfig,
  type RunReport,
  runWorkload,
  traceWorkload,
} from '../../dist/src/index.js';
import { fileProcesses } from '../fixtures/file_programs.mjs';
import { churnProcesses } from '../fixtures/swap_programs.mjs';

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
}

function run(config: MachineConfig, events = 8000): Promise<RunReport> {
  const trace = generateTrace({
    kind: 'zipf',
    pages: 1200,
    events,
    writeFraction: 0.3,
    seed: config.seed ?? 1,
    name: 'swapped',
  });
  const cpus = config.cpus ?? 2;
  return runWorkload(traceWorkload([trace], { ...config, cpus, share: true }), {
    memory: '50%',
    ...config,
    cpus,
    share: true,
  });
}

const BOTH = [
  { kind: 'zram' as const, sizePages: 200, priority: 5 },
  { kind: 'file' as const, sizePages: 2000 },
];

describe('a machine with a swap file', () => {
  it('reads every page back, from all CPUs', async () => {
    const report = await run({ swap: 'file', lockdep: true }, 30_000);
    expectClean(report);
    expect(report.vmstat.pswpin).toBeGreaterThan(100);
  });

  it('fills zram first, then the file', async () => {
    const report = await run({ swapDevices: BOTH, lockdep: true });
    expectClean(report);
    expect(report.counters.kr_zram_store).toBeGreaterThan(100);
    expect(report.vmstat.pswpout).toBeGreaterThan((report.counters.kr_zram_store ?? 0) + 100);
  });

  it.each([1, 2])(
    'loses nothing in schedule %i, with injected faults',
    { timeout: 60_000 },
    async (seed) => {
      const swap: MachineConfig = seed % 2 === 0 ? { swapDevices: BOTH } : { swap: 'file' };
      const config = { ...swap, mode: 'deterministic' as const, seed, faults: 'all' as const };
      const [one, again] = [await run(config, 1500), await run(config, 1500)];
      expectClean(one);
      expect(one.vmstat.pswpout).toBeGreaterThan(0);
      expect(again.vmstat).toEqual(one.vmstat);
    },
  );

  it('kills a program whose page cannot be read', async () => {
    const report = await run({
      swap: 'file',
      faults: { fail_read: { oneIn: 50, interval: 1, times: 1 } },
    });
    expectClean(report);
    expect(report.processes[0]?.status).toBe('bus error');
  });

  it('says EIO for a page of a file that cannot be read', async () => {
    const args = { files: 2, pages: 450, accesses: 4000 };
    const report = await runWorkload(
      { processes: fileProcesses(2, args) },
      {
        memory: '2M',
        swapSize: '16M',
        swap: 'file',
        faults: { fail_read: { oneIn: 50, interval: 1, times: 1 } },
      },
    );
    expect(report.panic).toBeNull();
    expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
    expect(report.processes.map(({ result }) => result)).toContain(-5);
  });
});

const CHURN = { pages: 400, accesses: 3000, devices: ['/dev/zram0', '/swapfile1'], every: 500 };

describe('swapoff and zswap under load', () => {
  it('lose nothing on three CPUs', async () => {
    const swapDevices = [
      { kind: 'zram' as const, sizePages: 700, priority: 5 },
      { kind: 'file' as const, sizePages: 1500 },
    ];
    const report = await runWorkload(
      { processes: churnProcesses(3, { ...CHURN, seed: 1 }) },
      { memory: '60%', swap: 'zswap', swapDevices, lockdep: true },
    );
    expectClean(report);
    expect(report.vmstat.pswpin).toBeGreaterThan(100);
  });

  it('write back from several threads at once', async () => {
    const args = { ...CHURN, devices: ['/swapfile'], accesses: 6000, seed: 2 };
    const config: MachineConfig = { memory: '50%', swap: 'zswap', lockdep: true };
    // Without swapoff first: while the device is off, nothing is written back.
    const on = await runWorkload({ processes: churnProcesses(3, { ...args, every: 0 }) }, config);
    expectClean(on);
    expect(on.vmstat.zswpin).toBeGreaterThan(0);
    expect(on.vmstat.zswpwb).toBeGreaterThan(0);
    expectClean(await runWorkload({ processes: churnProcesses(3, args) }, config));
  });

  it.each([1, 2, 3])(
    'lose nothing in schedule %i, with swap full and errors',
    { timeout: 60_000 },
    async (seed) => {
      const report = await runWorkload(
        {
          processes: churnProcesses(2, {
            ...CHURN,
            devices: ['/swapfile'],
            every: 200,
            accesses: 1500,
            seed,
          }),
        },
        { memory: '50%', swap: 'zswap', mode: 'deterministic', seed, faults: 'all' },
      );
      expectClean(report);
      expect(report.vmstat.zswpout).toBeGreaterThan(0);
    },
  );
});
