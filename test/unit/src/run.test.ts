// SPDX-License-Identifier: GPL-2.0-only
/** Whole runs of small workloads: counters, checks and endings. */
import { describe, expect, it } from 'vitest';
import {
  generateTrace,
  Machine,
  MachineBootError,
  MachinePanicError,
  type RunReport,
  reportExitCode,
  runWorkload,
  traceWorkload,
} from '../../../dist/src/index.js';

const FIRST = 65536;
const PAGES = 1500;
const MODULE = new URL('../../fixtures/programs.mjs', import.meta.url).href;

const zipf = (seed: number, events = 20_000) =>
  generateTrace({ kind: 'zipf', pages: PAGES, events, seed, name: `zipf${seed}` });

const program = (name: string, cpu = 0, pages = PAGES) => ({
  comm: name,
  cpus: [cpu],
  program: { module: MODULE, export: name },
  args: { first: FIRST, pages },
  vmas: [{ start: FIRST, end: FIRST + pages }],
});

const value = (report: RunReport, name: string) => report.vmstat[name] as number;

function expectClean(report: RunReport): void {
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  expect(report.integrity.invariantsChecked).toBeGreaterThan(1000);
}

describe('a run', () => {
  it('reports everything that the schema names', async () => {
    const report = await runWorkload(traceWorkload([zipf(1), zipf(2)]), { seed: 7 });
    expectClean(report);
    expect(reportExitCode(report)).toBe(0);
    expect(report).toMatchObject({
      schema: 'kreclaim.run/1',
      mode: 'parallel',
      seed: 7,
      interrupted: false,
      panic: null,
      footprintPages: report.traces.reduce((sum, { pages }) => sum + pages, 0),
    });
    expect(report.config.memory).toBe(Math.floor(report.footprintPages / 2) * 4096);
    expect(report.processes.map(({ comm, cpu, status }) => [comm, cpu, status])).toEqual([
      ['zipf1', 0, 'done'],
      ['zipf2', 1, 'done'],
    ]);
    const faults = report.processes.reduce((sum, process) => sum + process.faults, 0);
    expect(faults).toBe(value(report, 'pgfault'));
    expect(value(report, 'pgmajfault')).toBeGreaterThan(0);
    expect(report.latencyNs.majorFault.count).toBe(value(report, 'pgmajfault'));
    expect(report.latencyNs.fault.p50).toBeGreaterThan(0);
    expect(report.integrity.pagesVerified).toBe(report.footprintPages);
    expect(report.threads.map(({ comm }) => comm)).toEqual([
      'cpu0',
      'cpu1',
      'kswapd0',
      'rcu_gp',
      'khungtaskd',
      'oom_reaper',
    ]);
    expect(report.lockStat.length).toBeGreaterThan(3);
    const lengths = new Set(report.series.map(({ values }) => values.length));
    expect([...lengths]).toEqual([expect.any(Number)]);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('writes /proc as the kernel does', async () => {
    const report = await runWorkload(traceWorkload([zipf(1)]), { memcgMax: '50%', nodes: 2 });
    expectClean(report);
    const file = (path: string) => report.proc[path] as string;
    const vmstat = file('/proc/vmstat').trimEnd().split('\n');
    for (const line of vmstat) expect(line).toMatch(/^[a-z_0-9]+ \d+$/);
    expect(vmstat[0]).toMatch(/^nr_free_pages /);
    expect(vmstat.some((line) => /^(kr|memcg)_/.test(line))).toBe(false);
    for (const line of file('/proc/meminfo').trimEnd().split('\n')) {
      expect(line).toMatch(/^[A-Za-z()]+: +\d+ kB$/);
      expect(line.length).toBe(27);
    }
    const zoneinfo = file('/proc/zoneinfo');
    expect(zoneinfo).toMatch(
      /^Node 0, zone {3}Normal\n {2}per-node stats\n {6}nr_inactive_anon \d+\n/,
    );
    expect(zoneinfo).toContain('\nNode 1, zone   Normal\n');
    expect(zoneinfo).toMatch(/\n {2}pages free {5}\d+\n {8}boost {4}0\n {8}min {6}\d+\n/);
    expect(file('/proc/lock_stat')).toMatch(/^lock_stat version 0\.4\n-+\n/);
    expect(file('/proc/swaps')).toMatch(/\n\/dev\/zram0 +partition\t\d+\t\t\d+\t\t100\n$/);
    expect(file('/proc/sys/vm/swappiness')).toBe('60\n');
    const group = '/sys/fs/cgroup/programs';
    expect(Number(file(`${group}/memory.max`))).toBe(report.config.memcgMax);
    const current = Number(file(`${group}/memory.current`));
    expect(current).toBeLessThanOrEqual(report.config.memcgMax as number);
    expect(file(`${group}/memory.events`)).toMatch(/^low 0\nhigh 0\nmax [1-9]\d*\noom 0\n/);
    expect(file(`${group}/memory.stat`)).toMatch(/^anon [1-9]\d*\nfile 0\n/);
    expect(file('/sys/block/zram0/mm_stat').trim().split(/ +/)).toHaveLength(9);
  });
});

describe('a run that does not end well', () => {
  it('kills who needs more than there is, says so, and lives on', async () => {
    const workload = { processes: [program('touchAll', 0, 4096), program('touchAll', 1, 64)] };
    const report = await runWorkload(workload, { memory: '4M', swapSize: '2M' });
    expectClean(report);
    expect(reportExitCode(report)).toBe(0);
    expect(report.processes.map(({ status }) => status)).toEqual(['killed', 'done']);
    expect(report.processes[0]?.oomKilled).toBe(true);
    expect(report.oomReports).toHaveLength(1);
    expect(report.oomReports[0]).toMatch(
      /invoked oom-killer[\s\S]*Out of memory: Killed process 1/,
    );
    expect(value(report, 'oom_kill')).toBe(1);
  });

  it('is interrupted by a signal, and by time', async () => {
    const workload = { processes: [program('touchForEver')] };
    const controller = new AbortController();
    const report = await runWorkload(
      workload,
      {},
      {
        signal: controller.signal,
        onSample: ({ events = 0 }) => {
          if (events > 0) controller.abort();
        },
      },
    );
    expectClean(report);
    expect(report.interrupted).toBe(true);
    expect(report.processes[0]?.status).toBe('stopped');
    expect(reportExitCode(report)).toBe(130);
    const timed = await runWorkload(workload, { timeout: 0.05 });
    expectClean(timed);
    expect(timed.interrupted).toBe(true);
  });

  it('reports even when it was interrupted before it began', async () => {
    const report = await runWorkload(traceWorkload([zipf(1)]), {}, { signal: AbortSignal.abort() });
    expect(report).toMatchObject({ interrupted: true, panic: null, wallMs: 0 });
    expect(report.integrity.violations).toBeNull();
    expect(report.processes[0]?.status).toBe('not run');
    expect(reportExitCode(report)).toBe(130);
  });

  it('names broken invariants, as programs left them and after shutdown', async () => {
    const report = await runWorkload(
      traceWorkload([zipf(1)]),
      {},
      { onBoot: (m) => Atomics.add(m.memcg.own, 0, 1) },
    );
    expect(report.integrity.details.map((line) => line.split(':')[0])).toEqual(
      expect.arrayContaining(['at the end of programs', 'after shutdown']),
    );
    expect(reportExitCode(report)).toBe(1);
  });

  it('reports a panic: who, what, and no verdict on the rest', async () => {
    const workload = { processes: [program('throws'), program('touchForEver', 1)] };
    const report = await runWorkload(workload, {});
    expect(report.panic).toMatchObject({ comm: 'cpu0', reason: 'threw' });
    expect(report.panic?.message).toContain('planted');
    expect(report.integrity).toMatchObject({ violations: null, invariantsChecked: null });
    expect(reportExitCode(report)).toBe(3);
  });
});

describe('the library', () => {
  it('runs two machines at once that do not disturb each other', async () => {
    const boot = (pages: number) =>
      Machine.boot({ memory: '50%', processes: [program('touchAll', 0, pages)] });
    const machines = await Promise.all([boot(1200), boot(2400)]);
    const faults: number[] = [];
    await Promise.all(
      machines.map((machine, i) =>
        machine.run().then(() => {
          faults[i] = machine.vmstat().pgfault as number;
        }),
      ),
    );
    const states = await Promise.all(machines.map((machine) => machine.shutdown()));
    expect(faults).toEqual([1200, 2400]);
    expect(states.map(({ panic }) => panic)).toEqual([null, null]);
  });

  it('shuts down at any time, any number of times', async () => {
    const machine = await Machine.boot({ processes: [program('touchForEver')] });
    const running = machine.run();
    const [first, second] = await Promise.all([machine.shutdown(), machine.shutdown()]);
    expect(second).toEqual(first);
    expect(first.interrupted).toBe(true);
    expect((await running).interrupted).toBe(true);
  });

  it('throws classes that a caller can tell apart', async () => {
    const bad = { ...program('touchAll'), program: { module: MODULE, export: 'none' } };
    await expect(Machine.boot({ processes: [bad] })).rejects.toBeInstanceOf(MachineBootError);
    const machine = await Machine.boot({ processes: [program('throws')] });
    await expect(machine.run()).rejects.toBeInstanceOf(MachinePanicError);
    expect((await machine.shutdown()).panic?.comm).toBe('cpu0');
  });

  it('reads files of the machine by path', async () => {
    const machine = await Machine.boot({ processes: [program('touchAll')] });
    expect(machine.files()).toContain('/proc/vmstat');
    expect(machine.readFile('/proc/vmstat')).toMatch(/\npgfault 0\n/);
    expect(() => machine.readFile('/proc/cpuinfo')).toThrow(/no such file/);
    await machine.shutdown();
  });
});
