// SPDX-License-Identifier: GPL-2.0-only
/** Whole machines in one schedule: the same seed, the same report; faults; ends of all kinds. */
import { describe, expect, it } from 'vitest';
import { bundledTrace } from '../../dist/src/cli/run_command.js';
import {
  generateTrace,
  Machine,
  type MachineConfig,
  type RunReport,
  readTrace,
  reportExitCode,
  runWorkload,
  traceWorkload,
} from '../../dist/src/index.js';
import type { FaultName } from '../../dist/src/mm/faults.js';

const zipf = (seed: number) =>
  generateTrace({ kind: 'zipf', pages: 1100, events: 3000, seed, name: `zipf${seed}` });

const run = (config: MachineConfig, traces = [zipf(1), zipf(2)]): Promise<RunReport> =>
  runWorkload(traceWorkload(traces, config), { mode: 'deterministic', ...config });

/** The report without what may differ between two runs of one seed. */
function repeatable(report: RunReport): unknown {
  const free = ['node', 'cpus', 'wallMs', 'cpuMs'];
  return JSON.parse(JSON.stringify(report, (key, value) => (free.includes(key) ? null : value)));
}

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  expect(reportExitCode(report)).toBe(0);
}

describe('a deterministic run', () => {
  it('is a function of its seed', async () => {
    const config: MachineConfig = { seed: 11, faults: 'all' };
    const reports = [await run(config), await run(config), await run(config)];
    const [first] = reports as [RunReport];
    expectClean(first);
    for (const report of reports) expect(repeatable(report)).toEqual(repeatable(first));
    expect(first.mode).toBe('deterministic');
    expect(first.schedule?.decisions).toBeGreaterThan(100_000);
    expect(first.schedule?.scheduleHash).toMatch(/^[0-9a-f]{8}$/);
    const other = await run({ seed: 12, faults: 'all', faultSeed: 11 });
    expectClean(other);
    expect(other.schedule?.scheduleHash).not.toBe(first.schedule?.scheduleHash);
    const faulty = await run({ seed: 11, faults: 'all', faultSeed: 12 });
    expectClean(faulty);
    expect(faulty.faults).not.toEqual(first.faults);
  });

  it('counts time and its limits virtually', async () => {
    const whole = await run({ seed: 1 });
    const virtual = whole.schedule?.virtualMs as number;
    expect(virtual).toBeGreaterThan(1);
    const cut = await run({ seed: 1, timeout: 0.002 }, [
      generateTrace({ kind: 'zipf', pages: 1100, events: 60_000, seed: 1 }),
    ]);
    expect(cut.interrupted).toBe(true);
    expect(cut.processes[0]?.status).toBe('stopped');
    expect(reportExitCode(cut)).toBe(130);
    expect(repeatable(cut)).toEqual(
      repeatable(
        await run({ seed: 1, timeout: 0.002 }, [
          generateTrace({ kind: 'zipf', pages: 1100, events: 60_000, seed: 1 }),
        ]),
      ),
    );
  });

  it('can be interrupted, and still reports', async () => {
    const abort = new AbortController();
    const config: MachineConfig = { mode: 'deterministic' };
    const long = [generateTrace({ kind: 'zipf', pages: 1100, events: 3_000_000, seed: 1 })];
    const onSample = ({ events }: Readonly<Record<string, number>>): void => {
      if ((events ?? 0) > 0) abort.abort();
    };
    const options = { signal: abort.signal, onSample };
    const report = await runWorkload(traceWorkload(long), config, options);
    expect(report.interrupted).toBe(true);
    expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  });

  it('leaves the caller its clocks and its Atomics', async () => {
    const before = [Atomics.load, performance.now, setTimeout];
    await run({ seed: 2 }, [zipf(3)]);
    expect([Atomics.load, performance.now, setTimeout]).toEqual(before);
  });
});

const MODULE = new URL('../fixtures/programs.mjs', import.meta.url).href;
const FIRST = 65536;

const program = (name: string) => ({
  processes: [
    {
      comm: name,
      cpus: [0],
      program: { module: MODULE, export: name },
      args: { first: FIRST, pages: 600 },
      vmas: [{ start: FIRST, end: FIRST + 600 }],
    },
  ],
});

describe('a deterministic machine that breaks', () => {
  it('panics over a program that throws, the same each time', async () => {
    const config: MachineConfig = { mode: 'deterministic', seed: 5 };
    const reports = [
      await runWorkload(program('throws'), config),
      await runWorkload(program('throws'), config),
    ];
    const [first, second] = reports as [RunReport, RunReport];
    expect(first.panic).toMatchObject({ comm: 'cpu0', reason: 'threw' });
    expect(reportExitCode(first)).toBe(3);
    expect(repeatable(second)).toEqual(repeatable(first));
  });

  it('sees at once that a worker has gone, the same each time', async () => {
    const config: MachineConfig = { mode: 'deterministic', seed: 6 };
    const reports = [
      await runWorkload(program('quits'), config),
      await runWorkload(program('quits'), config),
    ];
    const [first, second] = reports as [RunReport, RunReport];
    expect(first.panic).toMatchObject({ comm: 'cpu0', reason: 'terminated' });
    expect(first.panic?.message).toBe('its worker ended with exit code 7');
    expect(first.schedule?.virtualMs).toBeLessThan(1000);
    expect(repeatable(second)).toEqual(repeatable(first));
  });

  it('finds a deadlock in virtual time, the same each time', async () => {
    const config: MachineConfig = { mode: 'deterministic', hungTask: 600, seed: 2 };
    const reports = [
      await runWorkload(program('sleepsForEver'), config),
      await runWorkload(program('sleepsForEver'), config),
    ];
    const [first, second] = reports as [RunReport, RunReport];
    expect(first.panic).toMatchObject({ comm: 'cpu0', reason: 'hung' });
    expect(first.schedule?.virtualMs).toBeGreaterThan(600_000);
    expect(reportExitCode(first)).toBe(3);
    expect(repeatable(second)).toEqual(repeatable(first));
  });

  it('is not what Machine.boot makes', async () => {
    const { processes } = program('touchAll');
    await expect(Machine.boot({ processes, mode: 'deterministic' })).rejects.toThrow(/runWorkload/);
  });

  it('is reported as hung when a thread never comes back', async () => {
    const config: MachineConfig = { mode: 'deterministic', hungTask: 1 };
    const report = await runWorkload(program('spinsForEver'), config);
    expect(report.panic).toMatchObject({ comm: 'cpu0', reason: 'hung' });
    expect(reportExitCode(report)).toBe(3);
  });

  it('does not boot with a program that does not load', async () => {
    const workload = program('noSuchExport');
    await expect(runWorkload(workload, { mode: 'deterministic' })).rejects.toThrow(
      /did not boot: .*noSuchExport/,
    );
  });
});

describe('faults in a whole machine', () => {
  const KINDS: [FaultName, string][] = [
    ['fail_page_alloc', '1/8'],
    ['fail_charge', '1/8'],
    ['fail_trylock', '1/2'],
    ['delay', '1/20'],
    ['stall', '1/5'],
    ['swap_full', '1/2'],
    ['compress_grow', '1/1'],
    ['fail_write', '1/2'],
  ];
  it.each(KINDS)('%s at %s is survived', async (name, rate) => {
    const faults = { [name]: rate } as unknown as NonNullable<MachineConfig['faults']>;
    const report = await run({ seed: 3, faults, lockdep: true });
    expectClean(report);
    expect(report.faults[name]).toBeGreaterThan(0);
    expect(Object.keys(report.faults)).toEqual([name]);
    expect(report.processes.map(({ status }) => status)).toEqual(['done', 'done']);
  });

  it('strike real threads as well', async () => {
    const report = await run({ mode: 'parallel', faults: 'all', seed: 4 });
    expectClean(report);
    expect(report.schedule).toBeNull();
    expect(report.faults.fail_trylock).toBeGreaterThan(0);
  });

  it('20 seeds of a bundled trace hold', { timeout: 300_000 }, async () => {
    const trace = await readTrace(bundledTrace('sqlite'), { limit: 20_000 });
    for (let seed = 1; seed <= 20; seed++) {
      const config: MachineConfig = { seed, faults: 'all', cpus: 2, share: true };
      const report = await run(config, [trace]);
      expect([seed, report.panic, report.integrity.details]).toEqual([seed, null, []]);
      expect(report.integrity.violations).toBe(0);
      expect(report.integrity.mismatches).toBe(0);
    }
  });
});
