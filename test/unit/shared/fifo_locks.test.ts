// SPDX-License-Identifier: GPL-2.0-only
/** Order and its bound: the ticket and the MCS kind, and the word that they share. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  fifoTryTake,
  fifoUnlockSlow,
  PARKED,
  QUEUED,
  WOKEN,
} from '../../../dist/shared/fifo_word.js';
import { PASS_LIMIT } from '../../../dist/shared/limits.js';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import { self } from '../../../dist/shared/thread.js';
import { KINDS } from '../../fixtures/lock_kinds.mjs';
import { CLS, LOCK, LOG } from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

const ME = 9;
let run: SyncThreads;
afterEach(async () => {
  resetSync();
  await run?.close();
});

function enterAsTest(): void {
  Atomics.store(run.tables.sync.threads.state, ME, 2);
  enterSync(run.tables.sync, ME);
}

describe.each(['ticket', 'mcs'] as const)('%s', (kind) => {
  it('serves its queue in order of arrival', async () => {
    run = new SyncThreads();
    enterAsTest();
    KINDS[kind].lock(run.tables, LOCK, CLS);
    const order = [3, 1, 4, 2, 5, 6];
    for (const id of order) {
      run.start(id, 'pass', { kind, entry: id });
      await run.blocked(id);
    }
    KINDS[kind].unlock(run.tables, LOCK, CLS);
    for (const id of order) await run.result(id);
    expect(order.map((_, i) => run.word(LOG + 1 + i))).toEqual(order);
  });

  it('serves more waiters than a ticket lock has slots', async () => {
    run = new SyncThreads();
    enterAsTest();
    KINDS[kind].lock(run.tables, LOCK, CLS);
    const order = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12];
    for (const id of order) {
      run.start(id, 'pass', { kind, entry: id });
      await run.blocked(id);
    }
    KINDS[kind].unlock(run.tables, LOCK, CLS);
    for (const id of order) await run.result(id);
    expect(order.map((_, i) => run.word(LOG + 1 + i))).toEqual(order);
  });

  it('lets a sleeping head be passed a bounded number of times', async () => {
    run = new SyncThreads();
    enterAsTest();
    const { lock, tryLock, unlock } = KINDS[kind];
    lock(run.tables, LOCK, CLS);
    run.start(1, 'pass', { kind, entry: 1 });
    await run.blocked(1);
    unlock(run.tables, LOCK, CLS);
    let passes = 0;
    while (run.word(LOG) === 0 && passes <= PASS_LIMIT * 2) {
      if (!tryLock(run.tables, LOCK, CLS)) continue;
      if (run.word(LOG) === 0) passes++;
      unlock(run.tables, LOCK, CLS);
    }
    await run.result(1);
    expect(passes).toBeLessThanOrEqual(PASS_LIMIT);
  });

  it.each([
    ['and was parked', true],
    ['before it said that it waits', false],
  ])('names a predecessor in the queue that died, %s', async (_when, published) => {
    run = new SyncThreads();
    enterAsTest();
    KINDS[kind].lock(run.tables, LOCK, CLS);
    run.start(1, 'pass', { kind, entry: 1 }, 'first');
    await run.blocked(1);
    run.start(2, 'pass', { kind, entry: 2 });
    await run.blocked(2);
    await run.kill(1);
    if (!published) Atomics.store(run.tables.sync.threads.waitKind, 1, 0);
    KINDS[kind].unlock(run.tables, LOCK, CLS);
    expect(await run.failure(2)).toMatch(/lock test_lock held by dead thread first\/1/);
  });
});

describe('the FIFO word', () => {
  const words = () => new Int32Array(new SharedArrayBuffer(64));
  const release = (lock: ReturnType<typeof words>) => {
    const seen = Atomics.compareExchange(lock, 0, self.id, 0);
    return seen === self.id ? false : fifoUnlockSlow(lock, 0, 0, seen);
  };

  it('is reserved for a head that is awake', () => {
    const lock = words();
    lock[0] = QUEUED;
    expect(fifoTryTake(lock, 0)).toBe(false);
  });

  it('hands over after exactly PASS_LIMIT passes of a head that never wakes', () => {
    const lock = words();
    lock[0] = QUEUED | PARKED;
    let passes = 0;
    let wakes = 0;
    while (fifoTryTake(lock, 0)) {
      passes++;
      if (release(lock)) wakes++;
    }
    expect(passes).toBe(PASS_LIMIT);
    expect(wakes, 'at the first release and at the hand-over').toBe(2);
    expect(lock[0]).toBe(QUEUED);
  });

  it('notifies a sleeping head once', () => {
    const lock = words();
    lock[0] = QUEUED | PARKED | self.id;
    expect(release(lock)).toBe(true);
    expect(lock[0]).toBe(QUEUED | PARKED | WOKEN);
    expect(fifoTryTake(lock, 0)).toBe(true);
    expect(release(lock)).toBe(false);
  });
});
