// SPDX-License-Identifier: GPL-2.0-only
/** Wait queues, completions and semaphores: no wake-up lost, none too many. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  complete,
  completeAll,
  completionDone,
  completionReinit,
  completionTryWait,
  completionWaitTimeout,
} from '../../../dist/shared/completion.js';
import {
  SEMAPHORE_MAX,
  semaphoreCount,
  semaphoreDownTimeout,
  semaphoreInit,
  semaphoreTryDown,
  semaphoreUp,
} from '../../../dist/shared/semaphore.js';
import {
  WAKE_ALL,
  waitFinish,
  waitPrepare,
  waitQueueActive,
  waitSleep,
  waitUntil,
  wakeUp,
} from '../../../dist/shared/wait_queue.js';
import { COUNT, LOCK } from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

let run: SyncThreads;
afterEach(async () => {
  await run?.close();
});

const newWords = () => new Int32Array(new SharedArrayBuffer(256));

describe('wait queue', () => {
  it('loses no wake-up between test and sleep, 2 threads, 20000 turns each', async () => {
    run = new SyncThreads();
    run.start(1, 'pingPong', { rounds: 20_000, me: 0, other: 1 });
    run.start(2, 'pingPong', { rounds: 20_000, me: 1, other: 0 });
    await run.result(1);
    await run.result(2);
  });

  it('hands the turn round three threads', async () => {
    run = new SyncThreads();
    for (const me of [0, 1, 2]) {
      run.start(me + 1, 'pingPong', { rounds: 4000, me, other: (me + 1) % 3 });
    }
    for (const id of [1, 2, 3]) await run.result(id);
  });

  it('does not sleep when it was woken after prepare', () => {
    const words = newWords();
    const seq = waitPrepare(words, 0);
    expect(waitQueueActive(words, 0)).toBe(true);
    expect(wakeUp(words, 0, WAKE_ALL), 'nobody slept yet').toBe(0);
    expect(waitSleep(words, 0, seq, 10_000)).toBe(true);
    waitFinish(words, 0);
    expect(waitQueueActive(words, 0)).toBe(false);
  });

  it('touches nothing when nobody waits', () => {
    const words = newWords();
    expect(wakeUp(words, 0)).toBe(0);
    expect([...words.subarray(0, 2)]).toEqual([0, 0]);
  });

  it('says when the time ran out', () => {
    const words = newWords();
    expect(waitUntil(words, 0, () => false, 1)).toBe(false);
    expect(waitUntil(words, 0, () => true, 1)).toBe(true);
    expect(waitQueueActive(words, 0)).toBe(false);
  });
});

describe('completion', () => {
  it('lets exactly as many waits return as there were completes', async () => {
    run = new SyncThreads();
    for (const id of [1, 2, 3]) run.start(id, 'completionWait', { index: LOCK });
    for (const id of [1, 2, 3]) await run.blocked(id);
    for (let done = 1; done <= 3; done++) {
      complete(run.tables.words, LOCK);
      await run.until(() => run.word(COUNT) === done, `${done} waiters to return`);
      expect(run.word(LOCK)).toBe(0);
    }
    for (const id of [1, 2, 3]) expect(await run.result(id)).toBe(true);
  });

  it('lets everybody go for ever after completeAll, until reinit', async () => {
    run = new SyncThreads();
    for (const id of [1, 2, 3]) run.start(id, 'completionWait', { index: LOCK });
    for (const id of [1, 2, 3]) await run.blocked(id);
    completeAll(run.tables.words, LOCK);
    for (const id of [1, 2, 3]) expect(await run.result(id)).toBe(true);
    expect(completionTryWait(run.tables.words, LOCK)).toBe(true);
    complete(run.tables.words, LOCK);
    expect(completionDone(run.tables.words, LOCK)).toBe(true);
    completionReinit(run.tables.words, LOCK);
    expect(completionDone(run.tables.words, LOCK)).toBe(false);
  });

  it('keeps a complete that came first, and says when time ran out', () => {
    const words = newWords();
    complete(words, 0);
    expect(completionWaitTimeout(words, 0, 1000)).toBe(true);
    expect(completionWaitTimeout(words, 0, 1)).toBe(false);
  });
});

describe('semaphore', () => {
  it.each([1, 3])('lets at most %i of 4 threads in', async (limit) => {
    run = new SyncThreads();
    semaphoreInit(run.tables.words, LOCK, limit);
    for (const id of [1, 2, 3, 4]) run.start(id, 'semaphore', { rounds: 30_000, limit });
    for (const id of [1, 2, 3, 4]) expect(await run.result(id)).toBeLessThanOrEqual(limit);
    expect(semaphoreCount(run.tables.words, LOCK)).toBe(limit);
  });

  it('counts down to nothing, times out, and knows its bound', () => {
    const words = newWords();
    semaphoreInit(words, 0, 1);
    expect(semaphoreTryDown(words, 0)).toBe(true);
    expect(semaphoreTryDown(words, 0)).toBe(false);
    expect(semaphoreDownTimeout(words, 0, 0, 1)).toBe(false);
    semaphoreUp(words, 0);
    expect(semaphoreDownTimeout(words, 0, 0, 1)).toBe(true);
    semaphoreInit(words, 0, SEMAPHORE_MAX);
    expect(() => semaphoreUp(words, 0)).toThrow(/SEMAPHORE_MAX/);
    expect(() => semaphoreInit(words, 0, -1)).toThrow(/out of range/);
  });
});
