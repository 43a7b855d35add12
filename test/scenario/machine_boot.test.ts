// SPDX-License-Identifier: GPL-2.0-only
/** The runtime and the engine together: a machine boots, reclaims, ends, and leaves no worker. */
import { expect, test } from 'vitest';
import { engineOf } from '../../dist/kthreads/mm_engine.js';
import { Machine } from '../../dist/src/machine.js';
import { MachinePanicError } from '../../dist/src/machine_errors.js';
import { sweepConfig } from '../fixtures/mm_programs.mjs';
import { noThreadLeft, until } from '../fixtures/toy.mjs';

const LIMIT_MS = 120_000;

test(
  'machine: two processes twice the size of memory run to their end',
  async () => {
    const config = sweepConfig({ cpus: 2, pages: 1024, rounds: 2, memoryPages: 1024 });
    const machine = await Machine.boot(config);
    const result = await machine.run();
    expect(result.interrupted).toBe(false);
    const comms = machine.threads().map((thread) => thread.comm);
    expect(comms).toEqual(['cpu0', 'cpu1', 'kswapd0', 'rcu_gp', 'khungtaskd', 'oom_reaper']);
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(state.threads.every((thread) => thread.state === 'exited')).toBe(true);
    await noThreadLeft(engineOf(machine.mm));
  },
  LIMIT_MS,
);

test(
  'machine: an interrupted run ends early and shuts down',
  async () => {
    const config = sweepConfig({ cpus: 2, pages: 1024, rounds: 1e6, memoryPages: 1024 });
    const abort = new AbortController();
    const machine = await Machine.boot(config, { signal: abort.signal });
    const run = machine.run();
    const { state, heartbeat } = machine.mm.sync.threads;
    await until('a CPU works', () => Atomics.load(heartbeat, 1) > 10);
    expect(Atomics.load(state, 1)).not.toBe(0);
    abort.abort();
    expect((await run).interrupted).toBe(true);
    expect((await machine.shutdown()).panic).toBeNull();
    await noThreadLeft(engineOf(machine.mm));
  },
  LIMIT_MS,
);

test(
  'machine: a program that throws panics the machine with its name and stack',
  async () => {
    const config = sweepConfig({
      cpus: 2,
      pages: 1024,
      rounds: 1,
      memoryPages: 1024,
      program: 'throws',
    });
    const machine = await Machine.boot(config);
    const error = await machine.run().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MachinePanicError);
    const { record } = error as MachinePanicError;
    expect(record.comm).toMatch(/^cpu[01]$/);
    expect(record.message).toBe('Error: the program broke');
    expect(record.stack).toContain('mm_programs.mjs');
    await noThreadLeft(engineOf(machine.mm));
  },
  LIMIT_MS,
);

test(
  'machine: a CPU terminated in the middle of reclaim is named, and the others end',
  async () => {
    const config = sweepConfig({ cpus: 3, pages: 1024, rounds: 1e6, memoryPages: 1024 });
    const machine = await Machine.boot(config);
    const run = machine.run().catch((reason: unknown) => reason);
    const { heartbeat } = machine.mm.sync.threads;
    await until('a CPU works', () => Atomics.load(heartbeat, 2) > 100);
    expect(machine.terminateThread('cpu1')).toBe(true);
    const error = await run;
    expect(error).toBeInstanceOf(MachinePanicError);
    expect((error as MachinePanicError).record).toMatchObject({
      comm: 'cpu1',
      reason: 'terminated',
    });
    expect((await machine.shutdown()).threads.map((thread) => thread.state)).not.toContain(
      'running',
    );
    await noThreadLeft(engineOf(machine.mm));
  },
  LIMIT_MS,
);
