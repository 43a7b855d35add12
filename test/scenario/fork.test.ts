// SPDX-License-Identifier: GPL-2.0-only
/**
 * Processes that fork, copy and end while reclaim walks their rmap: on threads, and in
 * schedules.
 */
import { describe, expect, it, test } from 'vitest';
import { CPU_MISMATCHES } from '../../dist/kthreads/cpu_state.js';
import { engineOf } from '../../dist/kthreads/mm_engine.js';
import { LINE_WORDS } from '../../dist/shared/types.js';
import { resolveMachine } from '../../dist/src/config.js';
import { runOnHost } from '../../dist/src/deterministic/host_client.js';
import { Machine } from '../../dist/src/machine.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { vmEvents } from '../../dist/src/mm/vmstat.js';
import { forkConfig } from '../fixtures/fork_programs.mjs';
import { noThreadLeft } from '../fixtures/toy.mjs';

const LIMIT_MS = 120_000;

const machines = [
  ['two processes', { cpus: 2, pages: 400, rounds: 12, memoryPages: 700 }],
  ['a process on two CPUs', { cpus: 2, pages: 700, rounds: 12, memoryPages: 700, shared: true }],
] as const;

/** Replayers fault less: what they share is little, and hot. */
const replayers = { cpus: 3, pages: 330, rounds: 40, memoryPages: 512, shared: true } as const;

test(
  'fork: three CPUs replay over few pages, which children keep shared',
  async () => {
    const machine = await Machine.boot(forkConfig({ ...replayers, run: 'replayer' }));
    const m = machine.mm;
    await machine.run();
    expect(await machine.freeze()).toBe(true);
    expect(checkQuiescent(m).violations).toEqual([]);
    machine.thaw();
    for (let cpu = 0; cpu < replayers.cpus; cpu++) {
      expect(m.cpuState[cpu * LINE_WORDS + CPU_MISMATCHES]).toBe(0);
    }
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    expect(vmEvents(m).pgreuse).toBeGreaterThan(0);
    await noThreadLeft(engineOf(m));
  },
  LIMIT_MS,
);

test.each(machines)(
  'fork: %s in short memory: every page is as its owner left it, nothing is left',
  async (_name, options) => {
    const machine = await Machine.boot(forkConfig(options));
    const m = machine.mm;
    await machine.run();
    expect(await machine.freeze()).toBe(true);
    expect(checkQuiescent(m).violations).toEqual([]);
    for (let cpu = 0; cpu < options.cpus; cpu++) {
      expect(m.cpuState[cpu * LINE_WORDS + CPU_MISMATCHES]).toBe(0);
    }
    machine.thaw();
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    const e = vmEvents(m);
    expect(Math.min(e.pswpin, e.pgreuse, e.kr_swapin_shared)).toBeGreaterThan(0);
    await noThreadLeft(engineOf(m));
  },
  LIMIT_MS,
);

/** Schedules of each kind. */
const SEEDS = 6;

describe.each([false, true])('fork in one schedule at a time, shared by CPUs: %s', (shared) => {
  it.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
    'seed %d holds, faults and all',
    async (seed) => {
      const made = forkConfig({ cpus: 2, pages: 330, rounds: 3, memoryPages: 512, shared });
      const processes = made.processes.map(({ comm, cpus, program, args, vmas }) => {
        return { comm, cpus, program, args, vmas };
      });
      const config = { mode: 'deterministic', seed, memory: '2M', lockdep: true } as const;
      const faults = seed % 2 === 0 ? ('all' as const) : null;
      const resolved = resolveMachine({ ...config, faults }, processes);
      const { mmsMax, vmasMax, pageTables } = made;
      const mm = { ...resolved.mm, mmsMax, vmasMax, pageTables };
      const report = await runOnHost({ processes }, { ...resolved, mm });
      expect(report.panic).toBeNull();
      expect(report.integrity.details).toEqual([]);
      expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
      expect(report.vmstat.pgreuse).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
