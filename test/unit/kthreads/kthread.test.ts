// SPDX-License-Identifier: GPL-2.0-only
/** The requests of a thread, on a toy engine and real workers: stop, park, freeze, wait. */
import { expect, test } from 'vitest';
import { kthreadUnpark, requestPark, threadParked } from '../../../dist/kthreads/kthread.js';
import { Machine } from '../../../dist/src/machine.js';
import {
  noThreadLeft,
  rcuGp,
  toyProgram,
  toyThread,
  until,
  watchdog,
} from '../../fixtures/toy.mjs';
import { toyParts } from '../../fixtures/toy_engine.mjs';

const LIMIT_MS = 120_000;

/** Boots specs on a toy, runs `body`, shuts down, checks that nothing is left and nothing broke. */
async function withToy(
  specs: unknown[],
  body: (machine: Machine, toy: { cells: Int32Array }, engine: never) => Promise<void>,
): Promise<void> {
  const { parts, toy, engine } = toyParts([...specs, watchdog]);
  const machine = await Machine.start(parts);
  try {
    await body(machine, toy, engine as never);
  } finally {
    const state = await machine.shutdown();
    expect(state.panic).toBeNull();
    expect(state.threads.map((thread) => thread.state)).toEqual(parts.specs.map(() => 'exited'));
    await noThreadLeft(engine);
  }
}

test(
  'kthread: runs from boot to stop, and reports comm, CPU time and wake-ups',
  async () => {
    await withToy([toyThread('counter', 'counter', [9])], async (machine, toy) => {
      await until('the counter counts', () => Atomics.load(toy.cells, 9) > 1000);
      // The system says it as of the last tick.
      const shown = (): boolean => (machine.threads()[0]?.cpuMs ?? 0) > 0;
      await until('its CPU time shows', shown);
      const [counter] = machine.threads();
      expect(counter).toMatchObject({ id: 1, comm: 'counter', state: 'running' });
      expect(counter?.cpuMs).toBeGreaterThan(0);
      const state = await machine.shutdown();
      expect(state.threads[0]?.cpuMs).toBeGreaterThan(0);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: kthreadStop waits for the end of the thread',
  async () => {
    const specs = [
      toyThread('victim', 'sleeper', [9]),
      toyProgram('stopper', 'stopper', ['victim']),
    ];
    await withToy(specs, async (machine, toy) => {
      await machine.run();
      expect(Atomics.load(toy.cells, 1)).toBe(1);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: kthreadPark returns only when the thread rests and holds no lock',
  async () => {
    const specs = [
      toyThread('counter', 'counter', [9]),
      toyProgram('parker', 'parker', ['counter', 9, 500]),
    ];
    await withToy(specs, async (machine, toy) => {
      await machine.run();
      expect(Atomics.load(toy.cells, 2)).toBe(500);
      expect(Atomics.load(toy.cells, 1)).toBe(0);
      const before = Atomics.load(toy.cells, 9);
      await until('the counter goes on', () => Atomics.load(toy.cells, 9) > before);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: a sleeping thread hears a park request, and an unpark',
  async () => {
    await withToy([toyThread('sleeper', 'sleeper', [9])], async (_machine, _toy, engine) => {
      for (let i = 0; i < 50; i++) {
        requestPark(engine, 1);
        await until('it parks', () => threadParked(engine, 1));
        kthreadUnpark(engine, 1);
        await until('it leaves', () => !threadParked(engine, 1));
      }
    });
  },
  LIMIT_MS,
);

test(
  'kthread: freezeAll finds every thread at rest and no lock held',
  async () => {
    const specs = [
      toyThread('counter/0', 'counter', [9]),
      toyThread('counter/1', 'counter', [10]),
      toyThread('sleeper', 'sleeper', [11]),
      toyProgram('freezer', 'freezer', [[9, 10], 200]),
    ];
    await withToy(specs, async (machine, toy) => {
      await machine.run();
      expect(Atomics.load(toy.cells, 2)).toBe(200);
      expect(Atomics.load(toy.cells, 1)).toBe(0);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: two freezers take turns',
  async () => {
    const specs = [
      toyThread('counter', 'counter', [9]),
      toyProgram('freezer/0', 'freezer', [[9], 50]),
      toyProgram('freezer/1', 'freezer', [[9], 50]),
    ];
    await withToy(specs, async (machine, toy) => {
      await machine.run();
      expect(Atomics.load(toy.cells, 2)).toBe(100);
      expect(Atomics.load(toy.cells, 1)).toBe(0);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: the main thread freezes and thaws without blocking',
  async () => {
    await withToy([toyThread('counter', 'counter', [9])], async (machine, toy) => {
      expect(await machine.freeze()).toBe(true);
      const before = Atomics.load(toy.cells, 9);
      await new Promise((resolve) => setImmediate(resolve));
      expect(Atomics.load(toy.cells, 9)).toBe(before);
      machine.thaw();
      await until('it goes on', () => Atomics.load(toy.cells, 9) > before);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: waitEvent loses no wake-up in 10,000 rounds, nor does a stop get lost',
  async () => {
    const rounds = 10_000;
    const specs = [
      toyProgram('ping', 'ping', [0, rounds]),
      toyProgram('pong', 'ping', [1, rounds]),
    ];
    await withToy(specs, async (machine, toy) => {
      const done = machine.run();
      await until('all rounds are played', () => Atomics.load(toy.cells, 0) === 2 * rounds);
      await done;
      expect(machine.threads()[0]?.wakeups).toBeGreaterThan(0);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: programs are loaded by their CPU and get their arguments',
  async () => {
    const module = new URL('../../fixtures/toy_threads.mjs', import.meta.url).href;
    const programs = [{ module, export: 'cpuProgram', args: { count: 100 } }];
    const cpu = { ...toyProgram('cpu1', 'cpu', [1]), cpu: 1, programs };
    await withToy([cpu], async (machine, toy) => {
      const result = await machine.run();
      expect(result.interrupted).toBe(false);
      expect(Atomics.load(toy.cells, 9)).toBe(100);
    });
  },
  LIMIT_MS,
);

test(
  'kthread: shutdown drains daemons, then RCU callbacks',
  async () => {
    const specs = [
      toyThread('drainer', 'drainer'),
      rcuGp,
      toyProgram('producer', 'producer', [5000]),
    ];
    await withToy(specs, async (machine, toy) => {
      await machine.run();
      await machine.shutdown();
      expect(Atomics.load(toy.cells, 7)).toBe(5000);
      expect(Atomics.load(toy.cells, 12)).toBe(5000);
    });
  },
  LIMIT_MS,
);
