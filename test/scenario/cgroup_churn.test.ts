// SPDX-License-Identifier: GPL-2.0-only
/** Groups that are made, filled and removed under memory pressure, on real threads. */
import { expect, test } from 'vitest';
import { engineOf } from '../../dist/kthreads/mm_engine.js';
import { Machine } from '../../dist/src/machine.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import type { Mm } from '../../dist/src/mm/mm.js';
import { MEMCG_FREE } from '../../dist/src/mm/mm_types.js';
import { vmEvents } from '../../dist/src/mm/vmstat.js';
import { churnConfig } from '../fixtures/cgroup_programs.mjs';
import { noThreadLeft } from '../fixtures/toy.mjs';

const LIMIT_MS = 60_000;

function rowsInUse(m: Mm): number[] {
  const rows = Array.from({ length: m.sizes.nrMemcgs }, (_, row) => row);
  return rows.filter((row) => Atomics.load(m.memcg.state, row) !== MEMCG_FREE);
}

const machines = [
  ['two processes', { cpus: 2, pages: 700, rounds: 60, memoryPages: 1024 }],
  ['a process on two CPUs', { cpus: 2, pages: 1200, rounds: 60, memoryPages: 1024, shared: true }],
  ['two limited processes', { cpus: 2, pages: 700, rounds: 60, memoryPages: 2048, limit: 200 }],
  ['few rows', { cpus: 2, pages: 700, rounds: 60, memoryPages: 1024, memcgsMax: 8, depth: 4 }],
] as const;

test.each(machines)(
  'cgroups: %s make, fill and remove groups in short memory, and all are released',
  async (_name, options) => {
    const machine = await Machine.boot(churnConfig(options));
    const m = machine.mm;
    await machine.run();
    expect(await machine.freeze()).toBe(true);
    expect(checkQuiescent(m).violations).toEqual([]);
    machine.thaw();
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(checkEmpty(m).violations).toEqual([]);
    expect(rowsInUse(m)).toEqual([0, 1]);
    const e = vmEvents(m);
    const steal = 'limit' in options ? e.memcg_pgsteal_direct : e.pgsteal_kswapd + e.pgsteal_direct;
    expect(Math.min(steal, e.pswpin)).toBeGreaterThan(0);
    // Rows were given again.
    const serials = m.memcg.serial.reduce((a, b) => Math.max(a, b));
    expect(serials).toBeGreaterThan(m.sizes.nrMemcgs);
    await noThreadLeft(engineOf(m));
  },
  LIMIT_MS,
);
