// SPDX-License-Identifier: GPL-2.0-only
/** Generator programs on real threads and in schedules: system calls, ends, loads and stores. */
import { describe, expect, it } from 'vitest';
import {
  type MachineConfig,
  type RunReport,
  reportExitCode,
  runWorkload,
} from '../../dist/src/index.js';
import { procWorkload } from '../fixtures/proc_programs.mjs';

const LIMIT = { timeout: 120_000 };
const MACHINE: MachineConfig = { memory: '4M', swapSize: '16M', lockdep: true };

function expectClean(report: RunReport): void {
  expect(report.panic).toBeNull();
  expect(report.integrity.details).toEqual([]);
  expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
  expect(reportExitCode(report)).toBe(0);
}

async function run(name: string, options: object = {}, config: MachineConfig = {}) {
  const { out, ...workload } = procWorkload(name, options);
  const report = await runWorkload(workload, { ...MACHINE, ...config });
  return { out: [...out], report };
}

/** In parallel, and in a schedule of each seed. */
const modes: readonly (readonly [string, MachineConfig])[] = [
  ['parallel', {}],
  ...[1, 2].map((seed) => [`seed ${seed}`, { mode: 'deterministic', seed } as const] as const),
];

describe.each(modes)('proc, %s', (_mode, config) => {
  it('loads and stores across page borders', LIMIT, async () => {
    const { out, report } = await run('borders', { cpus: 1 }, config);
    expect(out.slice(0, 6)).toEqual([88, 0, -2, 1, 0, 7]);
    expectClean(report);
    expect(report.processes[0]).toMatchObject({ status: 'done', exitCode: 5, pid: 1 });
  });

  it.each(['spawn', 'thread'])('%s: children end with their codes', LIMIT, async (how) => {
    const { out, report } = await run('parent', { args: { how }, programs: ['exits'] }, config);
    const [exit, segv, ...rest] = out;
    // A fatal signal of a thread is for all of its process.
    if (how === 'thread') return expect(report.tasks?.kills).toBeGreaterThan(0);
    expect([exit, segv]).toEqual([44, 139]);
    expect(rest.slice(0, 3)).toEqual([0, 7, 255]);
    expect(out.slice(10, 15)).toEqual([-10, -2, -7, -22, -3]);
    expect(report.tasks).toMatchObject({ forks: 5, exits: 6, kills: 0, omitted: 0 });
    expect(report.processes.map(({ pid }) => pid)).toEqual([1, 2, 3, 4, 5, 6]);
    return undefined;
  });

  it('kills processes wherever they are', LIMIT, async () => {
    const programs = ['sleeper', 'spinner', 'waiter'];
    const { out, report } = await run('killer', { programs }, config);
    expect(out.slice(0, 6)).toEqual([0, 0, 5, -10, 1, 0]);
    expectClean(report);
    expect(report.tasks).toMatchObject({ forks: 6, exits: 7, kills: 7 });
    expect(report.processes[0]).toMatchObject({ status: 'killed', exitCode: 137 });
  });

  it('sleeps as long as asked', LIMIT, async () => {
    const { out, report } = await run('sleepers', { programs: ['sleeper'] }, config);
    // Who is reaped first is not who woke first: a parent that comes late finds them all.
    expect([...out.slice(0, 3)].sort()).toEqual([0, 1, 2]);
    expect(out[3]).toBe(1);
    expectClean(report);
  });

  it('threads share memory, and have stamps of their own', LIMIT, async () => {
    const { out, report } = await run('threads', { programs: ['threadBody'] }, config);
    expect(out.slice(0, 9)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1]);
    expectClean(report);
    expect(report.integrity.pagesVerified).toBe(5 * 16);
  });

  it('children that are forked have a copy', LIMIT, async () => {
    const { out, report } = await run('copies', { programs: ['copy'] }, config);
    expect(out.slice(0, 2)).toEqual([77, 6]);
    expect(out[10]).toBe(6);
    expectClean(report);
    expect(report.integrity.pagesVerified).toBe(7 * 32);
  });

  it('mappings change, and keep what is in them', LIMIT, async () => {
    const { out, report } = await run('mappings', { programs: ['readOnly'] }, config);
    expect(out.slice(0, 11)).toEqual([0, -22, -22, 0, 99, 0, 0, 0, 0, 0, 0]);
    expect([out[11], out[12], out[14]]).toEqual([139, 0, 139]);
    expect(out.slice(20, 22)).toEqual([-12, 1]);
    expectClean(report);
    expect(report.integrity.pagesVerified).toBe(48);
  });

  it('are reported with the groups that they were in', LIMIT, async () => {
    const { report } = await run('joins', { programs: ['joiner'] }, { ...config, memcgsMax: 8 });
    expectClean(report);
    expect(report.processes.map(({ memcg }) => memcg)).toEqual(['one', 'two', 'one', 'one']);
  });

  it('an OOM victim ends where it sleeps', LIMIT, async () => {
    const options = { args: { pages: 300 }, programs: ['hog'] };
    const small = { ...config, memory: '4M', swap: 'none' } as const;
    const { out, report } = await run('hogs', options, small);
    expect(out.slice(1, 3)).toEqual([1, 1]);
    expectClean(report);
    expect(report.processes.filter(({ oomKilled }) => oomKilled)).toHaveLength(1);
    expect(report.vmstat.oom_kill).toBe(1);
  });
});

describe('proc', () => {
  it('a store that crosses out of its mapping stores nothing, and ends the process', async () => {
    const { out, report } = await run('crosser', { cpus: 1 });
    expect(out.slice(0, 4)).toEqual([1, 139, 1, 1]);
    expect(report.processes[0]).toMatchObject({ status: 'fault', exitCode: 139 });
  });

  it('an interrupt ends all, wherever they are', LIMIT, async () => {
    const { out, ...workload } = procWorkload('endless', {
      programs: ['sleeper', 'spinner', 'waiter'],
    });
    const stop = new AbortController();
    const onSample = (): void => {
      if (Atomics.load(out as Int32Array, 0) === 1) stop.abort();
    };
    const report = await runWorkload(workload, MACHINE, { signal: stop.signal, onSample });
    expect(report.interrupted).toBe(true);
    expect(report.panic).toBeNull();
    expect(report.integrity.details).toEqual([]);
    expect(report.tasks).toMatchObject({ exits: (report.tasks?.forks ?? 0) + 1 });
    // One that waits may see its child end before it is told to itself, and returns.
    const statuses = new Set(report.processes.map(({ status }) => status));
    expect(statuses).toContain('stopped');
    statuses.delete('done');
    expect([...statuses]).toEqual(['stopped']);
  });

  it('a program that throws panics the machine', LIMIT, async () => {
    const { report } = await run('broken', { cpus: 1 });
    expect(report.panic?.message).toContain('a broken program');
  });

  it('a program that is no generator is named', LIMIT, async () => {
    const { report } = await run('plain', { cpus: 1 });
    expect(report.panic?.message).toContain('no generator function');
  });

  it('runs of one seed agree', LIMIT, async () => {
    const config = { mode: 'deterministic', seed: 9 } as const;
    const runs = [1, 2].map(() =>
      run('parent', { args: { how: 'spawn' }, programs: ['exits'] }, config),
    );
    const [a, b] = await Promise.all(runs);
    expect(a?.report.vmstat).toEqual(b?.report.vmstat);
    expect(a?.report.processes).toEqual(b?.report.processes);
    expect(a?.report.lockStat).toEqual(b?.report.lockStat);
  });
});
