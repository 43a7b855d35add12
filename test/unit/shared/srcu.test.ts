// SPDX-License-Identifier: GPL-2.0-only
/** SRCU: domains do not wait for each other; sections may sleep. */
import { expect, test } from 'vitest';
import { SrcuDomain } from '../../../dist/shared/srcu.js';
import { self, THREAD_DEAD, WAIT_LOCK } from '../../../dist/shared/thread.js';
import { LINE_WORDS } from '../../../dist/shared/types.js';
import { createTables } from '../../fixtures/rcu_tables.mjs';
import { spawnWorker, until } from '../../fixtures/spawn_worker.mjs';

const GO = 8;
const ARRIVED = 9;
const INDEX = 0;
const GP_SEQ = 2 * LINE_WORDS + 3;

test('a section counts on the side of the index, and its leave on the same side', () => {
  const { tables } = createTables();
  const domain = new SrcuDomain(tables.srcu);
  const outer = domain.readLock();
  Atomics.store(tables.srcu.words, INDEX, 1);
  const inner = domain.readLock();
  expect([outer, inner]).toEqual([0, 1]);
  domain.readUnlock(outer);
  domain.readUnlock(inner);
  const row = self.id * LINE_WORDS;
  expect([...tables.srcu.counts.subarray(row, row + 4)]).toEqual([1, 1, 1, 1]);
  domain.synchronize();
});

test('synchronize flips the index each time, also when counts wrap', () => {
  const { tables } = createTables();
  const row = self.id * LINE_WORDS;
  tables.srcu.counts.fill(0x7fffffff, row, row + 4);
  const domain = new SrcuDomain(tables.srcu);
  const sides: number[] = [];
  for (let i = 0; i < 4; i++) {
    domain.readUnlock(domain.readLock());
    domain.synchronize();
    sides.push(tables.srcu.words[INDEX]);
  }
  expect(sides).toEqual([1, 0, 1, 0]);
});

test('misuse throws: leave without enter, synchronize inside a section', () => {
  const domain = new SrcuDomain(createTables().tables.srcu);
  expect(() => domain.readUnlock(0)).toThrow(/without readLock/);
  const side = domain.readLock();
  expect(() => domain.synchronize()).toThrow(/inside a section/);
  domain.readUnlock(side);
});

test.each([0, 1])(
  'a sleeping reader on side %i holds synchronize up until it leaves',
  async (side) => {
    const { memory, tables } = createTables();
    const { words, srcu } = tables;
    Atomics.store(srcu.words, INDEX, side);
    const holder = spawnWorker('rcu_thread.mjs', { memory, id: 1, role: 'srcuHolder' });
    await until(() => Atomics.load(words as Int32Array, ARRIVED) === 1, 'holder in its section');
    // Delayed across a flip: the reader is on the side that is now inactive.
    Atomics.store(srcu.words, INDEX, side ^ 1);
    const caller = spawnWorker('rcu_thread.mjs', { memory, id: 2, role: 'srcuSynchronizer' });
    const waiters = LINE_WORDS + 1;
    await until(() => Atomics.load(srcu.words as Int32Array, waiters) === 1, 'synchronize waits');
    expect(Atomics.load(srcu.words as Int32Array, INDEX)).toBe(side ^ 1);
    Atomics.store(words, GO, 1);
    Atomics.notify(words, GO);
    await holder.result;
    expect(await caller.result).toBe(0);
    expect(Atomics.load(srcu.words as Int32Array, INDEX)).toBe(side);
  },
);

test('a reader that died in a section is no longer waited for, and counted', async () => {
  const { memory, tables } = createTables();
  await spawnWorker('rcu_thread.mjs', { memory, id: 3, role: 'srcuDier' }).result;
  Atomics.store(tables.threads.state, 3, THREAD_DEAD);
  const caller = spawnWorker('rcu_thread.mjs', { memory, id: 2, role: 'srcuSynchronizer' });
  expect(await caller.result).toBe(1);
});

test('those that wait for the same grace period share it', async () => {
  const { memory, tables } = createTables();
  const { words, srcu, threads } = tables;
  const holder = spawnWorker('rcu_thread.mjs', { memory, id: 1, role: 'srcuHolder' });
  await until(() => Atomics.load(words as Int32Array, ARRIVED) === 1, 'holder in its section');
  const start = (id: number) =>
    spawnWorker('rcu_thread.mjs', { memory, id, role: 'srcuSynchronizer' }).result;
  const first = start(2);
  const waiters = LINE_WORDS + 1;
  await until(() => Atomics.load(srcu.words as Int32Array, waiters) === 1, 'the first waits');
  const others = [3, 4, 5].map(start);
  const blocked = (id: number) => Atomics.load(threads.waitKind as Int32Array, id) === WAIT_LOCK;
  await until(() => [3, 4, 5].every(blocked), 'the others wait for the next');
  Atomics.store(words, GO, 1);
  Atomics.notify(words, GO);
  await Promise.all([holder.result, first, ...others]);
  expect(Atomics.load(srcu.words as Int32Array, GP_SEQ)).toBe(2 * 2);
});
