// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine that is interrupted, aborted or shut down at any moment drains and leaves no worker.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Prng } from '../../dist/shared/prng.js';
import { Machine } from '../../dist/src/machine.js';
import { noThreadLeft, rcuGp, toyProgram, toyThread, until, watchdog } from '../fixtures/toy.mjs';
import { toyParts } from '../fixtures/toy_engine.mjs';

const LIMIT_MS = 300_000;
const SEED = 0x5eed;
const INSTANTS = 50;
/** The first boot is aborted within this; later ones within the time that a boot took. */
const BOOT_MS_GUESS = 40;
/** Runs are aborted within this of their start. */
const RUN_MS = 60;

const SPECS = [
  toyThread('counter', 'counter', [9]),
  toyThread('drainer', 'drainer'),
  rcuGp,
  toyProgram('endless', 'endless', [10]),
  toyProgram('producer', 'producer', [1000]),
  watchdog,
];

test(
  `abort: at ${INSTANTS} random instants no worker is left and work is drained`,
  async () => {
    const prng = new Prng(SEED);
    const phases = { boot: 0, run: 0 };
    let bootMs = BOOT_MS_GUESS;
    for (let i = 0; i < INSTANTS; i++) {
      const { parts, toy, engine } = toyParts(SPECS);
      const abort = new AbortController();
      const start = performance.now();
      const inBoot = i % 2 === 0;
      const fired = inBoot ? delay(prng.below(bootMs)).then(() => abort.abort()) : null;
      try {
        const machine = await Machine.start(parts, { signal: abort.signal });
        bootMs = Math.ceil(performance.now() - start);
        const run = machine.run();
        await (fired ?? delay(prng.below(RUN_MS)).then(() => abort.abort()));
        expect((await run).interrupted).toBe(true);
        const state = await machine.shutdown();
        expect(state.panic).toBeNull();
        expect(Atomics.load(toy.cells, 7)).toBe(Atomics.load(toy.cells, 6));
        expect(Atomics.load(toy.cells, 12)).toBe(Atomics.load(toy.cells, 7));
        phases.run++;
      } catch (error) {
        expect(error).toHaveProperty('name', 'AbortError');
        phases.boot++;
      }
      await fired;
      await noThreadLeft(engine);
    }
    expect(phases.boot).toBeGreaterThan(0);
    expect(phases.run).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

test(
  'abort: an aborted signal boots nothing',
  async () => {
    const { parts, engine } = toyParts(SPECS);
    await expect(Machine.start(parts, { signal: AbortSignal.abort() })).rejects.toHaveProperty(
      'name',
      'AbortError',
    );
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);

test(
  'abort: interrupt ends an endless program; the machine lives on until shutdown',
  async () => {
    const { parts, toy } = toyParts(SPECS);
    const machine = await Machine.start(parts);
    const run = machine.run();
    await until('it runs', () => Atomics.load(toy.cells, 10) > 0);
    machine.interrupt();
    expect((await run).interrupted).toBe(true);
    expect(machine.threads()[0]?.state).not.toBe('exited');
    expect((await machine.shutdown()).interrupted).toBe(true);
  },
  LIMIT_MS,
);

test(
  'shutdown: is idempotent, and calls at the same time share one end',
  async () => {
    const { parts, engine } = toyParts(SPECS);
    const machine = await Machine.start(parts);
    const run = machine.run();
    const states = await Promise.all([machine.shutdown(), machine.shutdown(), machine.shutdown()]);
    expect(new Set(states).size).toBe(1);
    expect(await machine.shutdown()).toBe(states[0]);
    expect((await run).interrupted).toBe(true);
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);

test(
  'shutdown: before run: programs never start, and a later run says interrupted',
  async () => {
    const { parts, toy, engine } = toyParts(SPECS);
    const machine = await Machine.start(parts);
    const state = await machine.shutdown();
    expect(state).toMatchObject({ interrupted: true, panic: null });
    expect((await machine.run()).interrupted).toBe(true);
    expect(Atomics.load(toy.cells, 10)).toBe(0);
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);

test(
  'shutdown: works while the machine is frozen',
  async () => {
    const { parts, engine } = toyParts(SPECS);
    const machine = await Machine.start(parts);
    void machine.run();
    expect(await machine.freeze()).toBe(true);
    expect((await machine.shutdown()).panic).toBeNull();
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);
