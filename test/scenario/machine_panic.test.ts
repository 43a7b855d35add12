// SPDX-License-Identifier: GPL-2.0-only
/** A machine that breaks says who, what and which locks, and leaves no worker behind. */
import { expect, test } from 'vitest';
import { THREAD_NEW } from '../../dist/shared/thread.js';
import { Machine } from '../../dist/src/machine.js';
import { MachineBootError, MachinePanicError } from '../../dist/src/machine_errors.js';
import { noThreadLeft, rcuGp, toyProgram, toyThread, until, watchdog } from '../fixtures/toy.mjs';
import { toyParts } from '../fixtures/toy_engine.mjs';

const LIMIT_MS = 120_000;

/** By khungtaskd, or, if that is late, by the main thread, which is half as patient again. */
const SPUN = /task spinner\/2 running for more than 1(\.5)? s/;
const BLOCKED =
  /^task blocker\/1 blocked for more than 0\.[46] s on lock toy_lock, held by spinner\/2$/;

/** Runs a machine that must panic. */
async function panics(specs: unknown[], config = {}, poke = async (_m: Machine, _toy: Toy) => {}) {
  const { parts, toy, engine } = toyParts(specs, config);
  const machine = await Machine.start(parts);
  const run = machine.run().then(
    () => null,
    (error: unknown) => error,
  );
  await poke(machine, toy);
  const error = await run;
  expect(error).toBeInstanceOf(MachinePanicError);
  await noThreadLeft(engine);
  const state = await machine.shutdown();
  expect(state.panic).toEqual((error as MachinePanicError).record);
  const { record } = error as MachinePanicError;
  return { record, error: error as MachinePanicError, state };
}

interface Parts {
  ref: object;
}

interface Toy {
  cells: Int32Array;
}

test(
  'panic: a thread that throws is named with its stack and its lock',
  async () => {
    const { record, error, state } = await panics([
      toyThread('counter', 'counter', [9]),
      toyThread('sleeper', 'sleeper', [10]),
      toyProgram('thrower', 'thrower'),
      watchdog,
    ]);
    expect(record).toMatchObject({ who: 3, comm: 'thrower', reason: 'threw' });
    expect(record.message).toBe('Error: the toy broke');
    expect(record.stack).toContain('toy_threads.mjs');
    expect(record.heldLocks).toEqual(['toy_lock [1]']);
    expect(error.message).toContain('thrower/3');
    expect(state.threads.map((t) => t.state)).toEqual(['exited', 'exited', 'dead', 'exited']);
  },
  LIMIT_MS,
);

test(
  'panic: with lock-order checking on, the held stack names the lock',
  async () => {
    const { record } = await panics([toyProgram('thrower', 'thrower')], { lockdep: true });
    expect(record.heldLocks).toHaveLength(1);
    expect(record.heldLocks[0]).toMatch(/^toy_lock at 0x/);
  },
  LIMIT_MS,
);

test(
  'panic: a thread that spins with a lock held is named within the watchdog time',
  async () => {
    const { record } = await panics(
      [
        toyThread('blocker', 'blocker'),
        toyProgram('spinner', 'spinner'),
        toyThread('sleeper', 'sleeper', [10]),
        watchdog,
      ],
      { hungTaskMs: 1000 },
    );
    expect(record).toMatchObject({ who: 2, comm: 'spinner', reason: 'hung' });
    expect(record.message).toMatch(SPUN);
    expect(record.heldLocks).toEqual(['toy_lock [0]']);
  },
  LIMIT_MS,
);

test(
  'panic: a task blocked on a lock is named with the holder',
  async () => {
    const { record } = await panics(
      [toyThread('blocker', 'blocker'), toyProgram('spinner', 'beatingSpinner'), watchdog],
      { hungTaskMs: 400 },
    );
    expect(record).toMatchObject({ who: 1, comm: 'blocker', reason: 'hung' });
    expect(record.message).toMatch(BLOCKED);
  },
  LIMIT_MS,
);

test(
  'panic: the main thread is the last watchdog: without khungtaskd the spinner is named',
  async () => {
    const { record } = await panics([toyProgram('spinner', 'spinner')], { hungTaskMs: 300 });
    expect(record).toMatchObject({ comm: 'spinner', reason: 'hung' });
  },
  LIMIT_MS,
);

test(
  'panic: a worker terminated from outside is named with its lock',
  async () => {
    const { record } = await panics(
      [toyThread('holder', 'holder'), toyProgram('sleeper', 'sleeper', [10]), watchdog],
      {},
      async (machine, toy) => {
        await until('the lock is held', () => Atomics.load(toy.cells, 5) === 1);
        expect(machine.terminateThread('holder')).toBe(true);
      },
    );
    expect(record).toMatchObject({ who: 1, comm: 'holder', reason: 'terminated' });
    expect(record.heldLocks).toEqual(['toy_lock [2]']);
  },
  LIMIT_MS,
);

test(
  'panic: a program that is terminated before it has run is not one that did not boot',
  async () => {
    const { parts, engine } = toyParts([toyProgram('sleeper', 'sleeper', [10]), watchdog]);
    const machine = await Machine.start(parts);
    // As it is between the barrier's count and its sleep there.
    Atomics.store(engine.sync.threads.state, 1, THREAD_NEW);
    expect(machine.terminateThread('sleeper')).toBe(true);
    const { panic } = await machine.shutdown();
    await noThreadLeft(engine);
    expect(panic).toMatchObject({ comm: 'sleeper', reason: 'terminated' });
  },
  LIMIT_MS,
);

test(
  'panic: a worker that ends behind the back of the runtime is named',
  async () => {
    const { record } = await panics([toyProgram('quitter', 'quitter'), watchdog]);
    expect(record).toMatchObject({ comm: 'quitter', reason: 'terminated' });
    expect(record.message).toContain('exit code 7');
    expect(record.heldLocks).toEqual(['toy_lock [2]']);
  },
  LIMIT_MS,
);

test(
  'panic: an asynchronous thread function is refused',
  async () => {
    const { record } = await panics([toyProgram('async', 'asynchronous')]);
    expect(record.message).toContain('is async');
  },
  LIMIT_MS,
);

test(
  'panic: a thread that does not stop at shutdown is named and ended',
  async () => {
    const { parts, engine } = toyParts([toyThread('deaf', 'deaf'), watchdog], {
      hungTaskMs: 200,
    });
    const machine = await Machine.start(parts);
    await machine.run();
    // One that has not begun is told to stop at the barrier, and does.
    await until('it has begun', () => machine.threads()[0]?.state === 'running');
    const state = await machine.shutdown();
    expect(state.panic).toMatchObject({ comm: 'deaf', reason: 'hung' });
    await noThreadLeft(engine);
  },
  LIMIT_MS,
);

test(
  'panic: of two machines at once one panics and the other finishes',
  async () => {
    const good = toyParts([
      toyThread('counter', 'counter', [9]),
      toyProgram('ping', 'ping', [0, 2000]),
      toyProgram('pong', 'ping', [1, 2000]),
      watchdog,
    ]);
    const bad = toyParts([toyProgram('teller', 'throwsWhenTold', [5]), rcuGp, watchdog]);
    const [well, ill] = await Promise.all([Machine.start(good.parts), Machine.start(bad.parts)]);
    const failed = ill.run().catch((error: unknown) => error);
    const finished = well.run();
    await until('the good machine plays', () => Atomics.load(good.toy.cells, 0) > 100);
    Atomics.store(bad.toy.cells, 5, 1);
    expect(await failed).toBeInstanceOf(MachinePanicError);
    expect((await finished).interrupted).toBe(false);
    expect(Atomics.load(good.toy.cells, 0)).toBe(4000);
    expect((await well.shutdown()).panic).toBeNull();
    expect((await ill.shutdown()).panic).toMatchObject({ comm: 'teller' });
    await noThreadLeft(good.engine);
    await noThreadLeft(bad.engine);
  },
  LIMIT_MS,
);

async function bootFails(specs: unknown[], change = (parts: Parts): Parts => parts) {
  const { parts, engine } = toyParts(specs);
  const error = await Machine.start(change(parts) as never).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(MachineBootError);
  await noThreadLeft(engine);
  return error as MachineBootError;
}

test(
  'boot failure: a module that throws while it loads is named',
  async () => {
    const module = new URL('../fixtures/broken_module.mjs', import.meta.url).href;
    const broken = {
      ...toyProgram('cpu0', 'cpu', [0]),
      programs: [{ module, export: 'x', args: null }],
    };
    const error = await bootFails([toyThread('counter', 'counter', [9]), broken, watchdog]);
    expect(error.record).toMatchObject({ comm: 'cpu0', reason: 'boot' });
    expect(error.message).toContain(`${module}, for its export x, does not load: this module`);
  },
  LIMIT_MS,
);

test(
  'boot failure: a missing export is named',
  async () => {
    const error = await bootFails([toyThread('lost', 'noSuchFunction')]);
    expect(error.message).toContain('exports no function noSuchFunction');
  },
  LIMIT_MS,
);

test(
  'boot failure: a worker that cannot bind to the engine is named',
  async () => {
    const error = await bootFails([toyThread('counter', 'counter', [9])], (parts) => ({
      ...parts,
      ref: { ...parts.ref, buffers: {} },
    }));
    expect(error.record).toMatchObject({ comm: 'counter', reason: 'boot' });
  },
  LIMIT_MS,
);

test(
  'boot failure: arguments that cannot be cloned are reported',
  async () => {
    const error = await bootFails([
      toyThread('counter', 'counter', [9]),
      toyThread('unclonable', 'counter', [() => 0]),
    ]);
    expect(error.record).toMatchObject({ comm: 'unclonable', reason: 'boot' });
  },
  LIMIT_MS,
);
