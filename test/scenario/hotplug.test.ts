// SPDX-License-Identifier: GPL-2.0-only
/** Nodes that come and go while processes fork, fault and swap: on threads, and in schedules. */
import { describe, expect, it, test } from 'vitest';
import { findThread, threadParked } from '../../dist/kthreads/kthread.js';
import { engineOf } from '../../dist/kthreads/mm_engine.js';
import { resolveMachine } from '../../dist/src/config.js';
import { runOnHost } from '../../dist/src/deterministic/host_client.js';
import { Machine } from '../../dist/src/machine.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { procZoneinfo } from '../../dist/src/mm/proc_zoneinfo.js';
import { vmEvents } from '../../dist/src/mm/vmstat.js';
import { hotplugConfig } from '../fixtures/hotplug_programs.mjs';
import { noThreadLeft } from '../fixtures/toy.mjs';

const LIMIT_MS = 120_000;

const machines = [
  ['two processes', { cpus: 2, pages: 400, rounds: 12, memoryPages: 600 }],
  ['a process on two CPUs', { cpus: 2, pages: 700, rounds: 12, memoryPages: 600, shared: true }],
] as const;

test.each(machines)(
  'node 1 comes and goes under %s: every page is as its owner left it, nothing is left',
  async (_name, options) => {
    const machine = await Machine.boot(hotplugConfig(options));
    const m = machine.mm;
    await machine.run();
    expect(await machine.freeze()).toBe(true);
    expect(checkQuiescent(m).violations).toEqual([]);
    const bad = Array.from({ length: m.config.cpus }, (_, cpu) => m.cpuState[cpu * 16 + 3]);
    expect(bad).toEqual(bad.map(() => 0));
    machine.thaw();
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    expect(vmEvents(m).pgmigrate_success).toBeGreaterThan(0);
    await noThreadLeft(engineOf(m));
  },
  LIMIT_MS,
);

test(
  'kswapd of a node that is offline is parked, and stops when the machine does',
  async () => {
    const options = { cpus: 1, pages: 300, rounds: 4, memoryPages: 512 };
    const machine = await Machine.boot(hotplugConfig({ ...options, program: 'leaveOffline' }));
    const m = machine.mm;
    const engine = engineOf(m);
    await machine.run();
    expect(threadParked(engine, findThread(engine, 'kswapd1'))).toBe(true);
    expect(threadParked(engine, findThread(engine, 'kswapd0'))).toBe(false);
    expect(procZoneinfo(m)).toMatch(/Node 1, zone[\s\S]*managed {2}0/);
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);

/** Schedules of each kind. */
const SEEDS = 4;

describe.each([false, true])('hotplug in one schedule at a time, shared by CPUs: %s', (shared) => {
  it.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
    'seed %d holds, faults and all',
    async (seed) => {
      const options = {
        cpus: 2,
        pages: 300,
        rounds: 3,
        memoryPages: 450,
        loops: 4,
        shared,
        must: seed % 2 === 1,
      };
      const made = hotplugConfig(options);
      const processes = made.processes.map(({ comm, cpus, program, args, vmas }) => {
        return { comm, cpus, program, args, vmas };
      });
      const config = {
        mode: 'deterministic',
        seed,
        memory: '4M',
        nodes: 2,
        lockdep: true,
      } as const;
      const faults = seed % 2 === 0 ? ('all' as const) : null;
      const resolved = resolveMachine({ ...config, faults }, processes);
      const { mmsMax, vmasMax, pageTables } = made;
      const mm = { ...resolved.mm, mmsMax, vmasMax, pageTables };
      const report = await runOnHost({ processes }, { ...resolved, mm });
      expect(report.panic).toBeNull();
      expect(report.integrity.details).toEqual([]);
      expect(report.integrity).toMatchObject({ mismatches: 0, violations: 0 });
      expect(report.vmstat.pgmigrate_success).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
