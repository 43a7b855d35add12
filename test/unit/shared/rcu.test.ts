// SPDX-License-Identifier: GPL-2.0-only
/** RCU: grace periods wait for readers that began before, and for nobody else. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  condSynchronizeRcu,
  enterRcu,
  getStateSynchronizeRcu,
  leaveRcu,
  pollStateSynchronizeRcu,
  rcuIsOnline,
  rcuMightSleep,
  rcuOffline,
  rcuOnline,
  rcuQuiescent,
  rcuReadHeld,
  rcuReadLock,
  rcuReadUnlock,
  setRcuStallMs,
  synchronizeRcu,
} from '../../../dist/shared/rcu.js';
import { formatRcuStall, RCU_DEAD, RCU_STALL, rcuStalls } from '../../../dist/shared/rcu_stall.js';
import { RCU_COMPLETED, RCU_DRIVER, RCU_GP, RCU_PARKED } from '../../../dist/shared/rcu_state.js';
import {
  enterThread,
  self,
  THREAD_DEAD,
  THREAD_EXITED,
  WAIT_RCU,
} from '../../../dist/shared/thread.js';
import { createTables } from '../../fixtures/rcu_tables.mjs';
import { spawnWorker, until } from '../../fixtures/spawn_worker.mjs';

const ARRIVED = 9;
const GO = 8;
const me = self.id;

let entered = false;

function setUp(gp?: number) {
  const arena = createTables();
  const { rcu } = arena.tables;
  if (gp !== undefined) {
    rcu.words[RCU_GP] = gp;
    rcu.words[RCU_COMPLETED] = gp;
  }
  return { ...arena.tables, memory: arena.memory };
}

function enterHere(tables: ReturnType<typeof setUp>): void {
  enterRcu(tables.rcu, me);
  entered = true;
}

afterEach(() => {
  if (!entered) return;
  entered = false;
  while (rcuReadHeld()) rcuReadUnlock();
  leaveRcu();
  self.id = me;
  self.table = null;
});

describe('rcu: a reader by itself', () => {
  test('sections nest and say so', () => {
    const tables = setUp();
    enterHere(tables);
    expect(rcuReadHeld()).toBe(false);
    rcuReadLock();
    rcuReadLock();
    rcuReadUnlock();
    expect(rcuReadHeld()).toBe(true);
    rcuReadUnlock();
    expect(rcuReadHeld()).toBe(false);
  });

  test('a thread that is not registered cannot read, and may park', () => {
    expect(() => rcuReadLock()).toThrow(/offline or not registered/);
    expect(rcuReadHeld()).toBe(false);
    rcuOffline();
    rcuOnline();
    expect(() => synchronizeRcu()).toThrow(/not registered/);
  });

  test('an offline thread cannot read; offline nests', () => {
    enterHere(setUp());
    rcuOffline();
    rcuOffline();
    rcuOnline();
    expect(() => rcuReadLock()).toThrow(/offline/);
    expect(rcuIsOnline()).toBe(false);
    rcuOnline();
    expect(rcuIsOnline()).toBe(true);
    expect(() => rcuOnline()).toThrow(/without rcuOffline/);
  });

  test('misuse throws: unlock twice, quiescent, sleep or synchronize inside a reader', () => {
    enterHere(setUp());
    expect(() => rcuReadUnlock()).toThrow(/without rcuReadLock/);
    rcuReadLock();
    expect(() => rcuQuiescent()).toThrow(/inside a reader/);
    expect(() => rcuMightSleep()).toThrow(/inside an RCU reader/);
    expect(() => synchronizeRcu()).toThrow(/inside an RCU reader/);
  });

  test('a park inside a reader keeps the thread online', () => {
    const tables = setUp();
    enterHere(tables);
    rcuReadLock();
    rcuOffline();
    expect(rcuIsOnline()).toBe(true);
    rcuOnline();
    expect(rcuReadHeld()).toBe(true);
  });
});

describe('rcu: grace periods', () => {
  test('the caller is no obstacle to itself; numbers skip 0 at the wrap', () => {
    const tables = setUp(-3);
    enterHere(tables);
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) {
      synchronizeRcu();
      seen.push(tables.rcu.words[RCU_COMPLETED]);
    }
    expect(seen).toEqual([-2, -1, 1, 2]);
  });

  test('a cookie passes with the next whole grace period, also across the wrap', () => {
    enterHere(setUp(0x7fffffff));
    const cookie = getStateSynchronizeRcu();
    expect(pollStateSynchronizeRcu(cookie)).toBe(false);
    synchronizeRcu();
    expect(pollStateSynchronizeRcu(cookie)).toBe(true);
    expect(pollStateSynchronizeRcu(getStateSynchronizeRcu())).toBe(false);
    condSynchronizeRcu(getStateSynchronizeRcu());
    expect(pollStateSynchronizeRcu(cookie)).toBe(true);
  });

  test('two readers and four updaters across the wrap: all return', async () => {
    const tables = setUp(-500);
    const { memory, words } = tables;
    const role = 'synchronizer';
    const all = [1, 2, 3, 4].map((id) =>
      spawnWorker('rcu_thread.mjs', { memory, id, role, count: 300 }),
    );
    for (const { result } of all) expect(await result).toBe(true);
    expect(Atomics.load(words as Int32Array, ARRIVED)).toBe(4);
    const gp = tables.rcu.words[RCU_GP] as number;
    expect(tables.rcu.words[RCU_COMPLETED]).toBe(gp);
    expect(gp).toBeGreaterThanOrEqual(-200);
    expect(gp).not.toBe(0);
  });

  test.each([
    [1, 2, 3],
    [-2, -1, 1],
    [0x7ffffffe, 0x7fffffff, -0x80000000],
    [0x7fffffff, -0x80000000, -0x7fffffff],
  ])('callers that wait for grace period %i + 1 share the next', async (start, next, after) => {
    const tables = setUp(start);
    const { memory, words, threads, rcu } = tables;
    const holder = spawnWorker('rcu_thread.mjs', { memory, id: 1, role: 'holder' });
    await until(() => Atomics.load(words as Int32Array, ARRIVED) === 1, 'holder in its reader');
    const call = (id: number) =>
      spawnWorker('rcu_thread.mjs', { memory, id, role: 'synchronizer' });
    const first = call(2);
    await until(
      () => Atomics.load(rcu.words as Int32Array, RCU_GP) === next,
      'the first grace period has begun',
    );
    const callers = [first, call(3), call(4)];
    const parked = (id: number) => Atomics.load(threads.waitKind as Int32Array, id) === WAIT_RCU;
    await until(() => [2, 3, 4].every(parked), 'all callers parked');
    expect(rcu.words[RCU_COMPLETED]).toBe(start);
    Atomics.store(words, GO, 1);
    Atomics.notify(words, GO);
    for (const { result } of [holder, ...callers]) await result;
    expect(rcu.words[RCU_COMPLETED]).toBe(after);
  });

  test.each(['quiescent', 'offline'])(
    '%s: a report wakes a driver that sleeps on the row',
    async (how) => {
      const tables = setUp();
      enterHere(tables);
      const { memory, rcu, words } = tables;
      Atomics.store(rcu.words, RCU_PARKED, 1);
      const sleeper = spawnWorker('rcu_thread.mjs', { memory, id: 2, role: 'rowSleeper', row: me });
      const woken = () => Atomics.load(words as Int32Array, GO) !== 0;
      const report = () => {
        Atomics.add(rcu.words, RCU_GP, 1);
        if (how === 'quiescent') rcuQuiescent();
        else rcuOffline();
        return woken();
      };
      // The sleeper may be between its load and its sleep: it counts only wake-ups out of a sleep.
      await until(() => {
        const done = report();
        if (how === 'offline') rcuOnline();
        return done;
      }, 'a wake-up');
      expect(await sleeper.result).toBe(true);
    },
  );
});

describe('rcu: who holds a grace period up', () => {
  test('a stall names the reader; the grace period ends when it leaves', async () => {
    const tables = setUp();
    const { memory, words, rcu, threads } = tables;
    setRcuStallMs(rcu, 20);
    const holder = spawnWorker('rcu_thread.mjs', { memory, id: 5, role: 'holder' });
    await until(() => Atomics.load(words as Int32Array, ARRIVED) === 1, 'holder in its reader');
    const caller = spawnWorker('rcu_thread.mjs', { memory, id: 2, role: 'synchronizer' });
    await until(() => rcuStalls(rcu).length > 0, 'a stall record');
    const [stall] = rcuStalls(rcu);
    expect(stall).toMatchObject({ kind: RCU_STALL, thread: 5, nesting: 2 });
    expect(stall?.ms).toBeGreaterThanOrEqual(20);
    enterThread(threads, me);
    expect(formatRcuStall(stall!)).toMatch(/^rcu: grace period 2 waits \d+ ms for holder\/5, in a/);
    Atomics.store(words, GO, 1);
    Atomics.notify(words, GO);
    await holder.result;
    expect(await caller.result).toBe(true);
    self.table = null;
  });

  test('a reader that died does not hang the grace period and is recorded', async () => {
    const tables = setUp();
    const { memory, words, rcu, threads } = tables;
    const dier = spawnWorker('rcu_thread.mjs', { memory, id: 7, role: 'dier' });
    await dier.result;
    expect(Atomics.load(words as Int32Array, ARRIVED)).toBe(1);
    Atomics.store(threads.state, 7, THREAD_DEAD);
    const caller = spawnWorker('rcu_thread.mjs', { memory, id: 2, role: 'synchronizer' });
    expect(await caller.result).toBe(true);
    expect(rcuStalls(rcu)).toMatchObject([{ kind: RCU_DEAD, thread: 7, nesting: 1 }]);
  });

  test('a driver that died is replaced', async () => {
    const tables = setUp();
    const { memory, rcu, threads } = tables;
    Atomics.store(rcu.words, RCU_DRIVER, 9);
    Atomics.store(threads.state, 9, THREAD_EXITED);
    const caller = spawnWorker('rcu_thread.mjs', { memory, id: 2, role: 'synchronizer' });
    expect(await caller.result).toBe(true);
    expect(rcu.words[RCU_DRIVER]).toBe(0);
  });
});

/** Runs the torture. @returns stages seen by readers, and reads of a freed block */
async function torture(flavour: string, periods: number) {
  const { memory } = setUp(-10);
  const threads = 3;
  const roles = ['writer', 'reader', 'reader'];
  const all = roles.map((role, i) =>
    spawnWorker('rcu_torture.mjs', {
      memory,
      id: i + 1,
      role,
      flavour,
      periods,
      threads,
      seed: 0x5eed,
    }),
  );
  const results = await Promise.all(all.map(({ result }) => result));
  const readers = results.slice(1) as { histogram: number[]; badBlocks: number }[];
  const stages = readers[0]!.histogram.map((n, i) => n + readers[1]!.histogram[i]!);
  return {
    young: stages[0]! + stages[1]!,
    old: stages.slice(2).reduce((sum, n) => sum + n, 0),
    badBlocks: readers[0]!.badBlocks + readers[1]!.badBlocks,
  };
}

describe('rcu: torture', () => {
  test('rcu: no reader sees a block two grace periods old', async () => {
    const { young, old, badBlocks } = await torture('rcu', 150);
    expect(young).toBeGreaterThan(0);
    expect({ old, badBlocks }).toEqual({ old: 0, badBlocks: 0 });
  });

  test('the rule catches a reader that is flagged offline while it reads', async () => {
    const { old } = await torture('offline_reader', 300);
    expect(old).toBeGreaterThan(0);
  });

  test('srcu: no reader sees a block two grace periods old', async () => {
    const { young, old, badBlocks } = await torture('srcu', 150);
    expect(young).toBeGreaterThan(0);
    expect({ old, badBlocks }).toEqual({ old: 0, badBlocks: 0 });
  });

  test('the rule catches an SRCU reader that leaves too early', async () => {
    const { old } = await torture('srcu_early_leave', 300);
    expect(old).toBeGreaterThan(0);
  });
});
