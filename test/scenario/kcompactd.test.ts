// SPDX-License-Identifier: GPL-2.0-only
/** kcompactd at work: blocks of all orders are wanted while programs fork, and a node goes. */
import { expect, test } from 'vitest';
import { kthreadSpec } from '../../dist/kthreads/engine.js';
import { findThread, threadParked } from '../../dist/kthreads/kthread.js';
import { engineOf } from '../../dist/kthreads/mm_engine.js';
import { Machine } from '../../dist/src/machine.js';
import { machineThreads } from '../../dist/src/machine_threads.js';
import { checkEmpty } from '../../dist/src/mm/check.js';
import { createMm } from '../../dist/src/mm/mm.js';
import { mmInit } from '../../dist/src/mm/mm_init.js';
import { vmEvents } from '../../dist/src/mm/vmstat.js';
import { hotplugConfig } from '../fixtures/hotplug_programs.mjs';
import { noThreadLeft } from '../fixtures/toy.mjs';

const LIMIT_MS = 120_000;
const module = new URL('../fixtures/compact_threads.mjs', import.meta.url).href;

/** Boots the programs of hotplug, and one thread that wants blocks. */
async function boot(options: object) {
  const made = hotplugConfig({ cpus: 1, pages: 400, rounds: 6, memoryPages: 1500, ...options });
  const m = createMm({ ...made, kcompactd: true });
  mmInit(m);
  const got = new Int32Array(new SharedArrayBuffer(64));
  const specs = machineThreads(m.config);
  const blocks = kthreadSpec('blocks', { module, export: 'blocks' }, [got, 7]);
  return { m, got, machine: await Machine.bootMm(m, {}, [...specs, blocks]) };
}

test(
  'blocks of all orders are had, and every page is as its owner left it',
  async () => {
    const { m, got, machine } = await boot({ loops: 12, must: false });
    await machine.run();
    // Whatever the programs left: now no block of the orders that it is asked for is there.
    const scanned = (): number => vmEvents(m).compact_daemon_migrate_scanned;
    const before = scanned();
    Atomics.store(got, 14, 1);
    await expect.poll(scanned, { timeout: LIMIT_MS / 2 }).toBeGreaterThan(before);
    const bad = Array.from({ length: m.config.cpus }, (_, cpu) => m.cpuState[cpu * 16 + 3]);
    expect(bad).toEqual(bad.map(() => 0));
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    for (let order = 1; order <= 6; order++) expect(got[order]).toBeGreaterThan(0);
    const e = vmEvents(m);
    expect(e.compact_daemon_wake).toBeGreaterThan(0);
    await noThreadLeft(engineOf(m));
  },
  LIMIT_MS,
);

test(
  'kcompactd of a node that is offline is parked, and stops when the machine does',
  async () => {
    const made = hotplugConfig({
      ...{ cpus: 1, pages: 300, rounds: 4, memoryPages: 512, program: 'leaveOffline' },
    });
    const machine = await Machine.boot({ ...made, kcompactd: true });
    const engine = engineOf(machine.mm);
    await machine.run();
    expect(threadParked(engine, findThread(engine, 'kcompactd1'))).toBe(true);
    expect(threadParked(engine, findThread(engine, 'kcompactd0'))).toBe(false);
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);

test('there is none unless it is asked for', () => {
  const names = (kcompactd: boolean): string[] => {
    const config = { ...hotplugConfig({ cpus: 1, pages: 8, rounds: 1, memoryPages: 64 }) };
    return machineThreads({ ...config, kcompactd }).map(({ comm }) => comm);
  };
  expect(names(true).filter((name) => name.startsWith('kcompactd'))).toHaveLength(2);
  expect(names(false).filter((name) => name.startsWith('kcompactd'))).toEqual([]);
});
