// SPDX-License-Identifier: GPL-2.0-only
/** The read-write semaphore: sharing, exclusion, trylock rules, and that neither side starves. */
import { afterEach, expect, it } from 'vitest';
import { heldLocks } from '../../../dist/shared/lock_report.js';
import {
  rwsemContended,
  rwsemDowngrade,
  rwsemDownRead,
  rwsemDownWrite,
  rwsemLocked,
  rwsemTryRead,
  rwsemTryWrite,
  rwsemUpRead,
  rwsemUpWrite,
  rwsemWriteHeld,
} from '../../../dist/shared/rwsem.js';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import { CLS, COUNT, COUNT2, LOCK, LOG, STEP } from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

const ME = 9;
let run: SyncThreads;
afterEach(async () => {
  resetSync();
  await run.close();
});

function enterAsTest(options = {}): Int32Array<SharedArrayBuffer> {
  run = new SyncThreads(options);
  Atomics.store(run.tables.sync.threads.state, ME, 2);
  enterSync(run.tables.sync, ME);
  return run.tables.words;
}

const logged = () => Array.from({ length: run.word(LOG) }, (_, i) => run.word(LOG + 1 + i));

it('lets readers share and keeps a writer out until the last has left', async () => {
  const words = enterAsTest();
  rwsemDownRead(words, LOCK, CLS);
  run.start(1, 'readOnce', { entry: 1, step: 1 });
  await run.until(() => run.word(LOG) === 1, 'a second reader inside');
  run.start(2, 'pass', { kind: 'rwsem', entry: 2 });
  await run.blocked(2);
  rwsemUpRead(words, LOCK, CLS);
  expect(rwsemLocked(words, LOCK)).toBe(true);
  expect(logged()).toEqual([1]);
  run.set(STEP, 1);
  await run.result(1);
  await run.result(2);
  expect(logged()).toEqual([1, 2]);
});

it('refuses a read try while a writer holds, and while one waits', async () => {
  const words = enterAsTest();
  rwsemDownWrite(words, LOCK, CLS);
  expect(rwsemWriteHeld(words, LOCK)).toBe(true);
  expect(rwsemTryRead(words, LOCK, CLS)).toBe(false);
  expect(rwsemTryWrite(words, LOCK, CLS)).toBe(false);
  rwsemUpWrite(words, LOCK, CLS);
  expect(rwsemTryRead(words, LOCK, CLS)).toBe(true);
  expect(rwsemTryWrite(words, LOCK, CLS)).toBe(false);
  run.start(1, 'pass', { kind: 'rwsem', entry: 1 });
  await run.blocked(1);
  expect(rwsemContended(words, LOCK)).toBe(true);
  expect(rwsemTryRead(words, LOCK, CLS)).toBe(false);
  rwsemUpRead(words, LOCK, CLS);
  await run.result(1);
  expect(rwsemTryRead(words, LOCK, CLS)).toBe(true);
  rwsemUpRead(words, LOCK, CLS);
});

it('does not starve a writer: readers that come while it waits stay out', async () => {
  const words = enterAsTest();
  rwsemDownRead(words, LOCK, CLS);
  run.start(1, 'pass', { kind: 'rwsem', entry: 1 });
  await run.blocked(1);
  for (const id of [2, 3, 4]) {
    run.start(id, 'readOnce', { entry: id });
    await run.blocked(id);
  }
  expect(logged(), 'no reader passed the writer').toEqual([]);
  rwsemUpRead(words, LOCK, CLS);
  for (const id of [1, 2, 3, 4]) await run.result(id);
  expect(logged()[0]).toBe(1);
});

it('gets a writer in while three readers never leave it free', async () => {
  const words = enterAsTest();
  for (const id of [1, 2, 3]) run.start(id, 'readAlways');
  await run.until(() => run.word(COUNT) > 100, 'readers at work');
  for (let i = 0; i < 20; i++) {
    rwsemDownWrite(words, LOCK, CLS);
    rwsemUpWrite(words, LOCK, CLS);
  }
  run.set(STEP, 1);
  for (const id of [1, 2, 3]) expect(await run.result(id)).toBeGreaterThan(0);
});

it('does not starve readers: a writer that leaves lets them in first', async () => {
  const words = enterAsTest();
  rwsemDownWrite(words, LOCK, CLS);
  run.start(1, 'pass', { kind: 'rwsem', entry: 1 });
  await run.blocked(1);
  for (const id of [2, 3]) {
    run.start(id, 'readOnce', { entry: id });
    await run.blocked(id);
  }
  rwsemUpWrite(words, LOCK, CLS);
  for (const id of [1, 2, 3]) await run.result(id);
  expect(logged().slice(0, 2).sort()).toEqual([2, 3]);
  expect(logged()[2]).toBe(1);
});

it('keeps writes whole under readers and writers at once', async () => {
  enterAsTest();
  for (const id of [1, 2, 3, 4]) run.start(id, 'readWrite', { rounds: 6000, writeEvery: 5 });
  for (const id of [1, 2, 3, 4]) await run.result(id);
  expect(run.word(COUNT)).toBe((6000 / 5) * 4);
  expect(run.word(COUNT2)).toBe((6000 / 5) * 4);
});

it('downgrades without letting a writer in between', async () => {
  const words = enterAsTest();
  rwsemDownWrite(words, LOCK, CLS);
  run.start(1, 'readOnce', { entry: 1 });
  await run.blocked(1);
  run.start(2, 'pass', { kind: 'rwsem', entry: 2 });
  await run.blocked(2);
  rwsemDowngrade(words, LOCK, CLS);
  await run.result(1);
  expect(logged(), 'the waiting reader shares, the writer waits').toEqual([1]);
  rwsemUpRead(words, LOCK, CLS);
  await run.result(2);
});

it('names the misuse of either side and changes nothing', () => {
  const words = enterAsTest();
  expect(() => rwsemUpRead(words, LOCK, CLS)).toThrow(/read unlock of test_lock.*free/);
  expect(() => rwsemUpWrite(words, LOCK, CLS)).toThrow(/unlock of test_lock.*free/);
  rwsemDownWrite(words, LOCK, CLS);
  expect(() => rwsemUpRead(words, LOCK, CLS)).toThrow(/held for writing by/);
  expect(() => rwsemDownRead(words, LOCK, CLS)).toThrow(/already holds/);
  rwsemUpWrite(words, LOCK, CLS);
  expect(rwsemLocked(words, LOCK)).toBe(false);
});

it('names a reader that died inside', async () => {
  enterAsTest();
  run.start(1, 'readForEver', {}, 'reader');
  await run.until(() => run.word(STEP) === 1, 'a reader inside');
  expect(heldLocks(run.tables.sync, 1)).toMatchObject([{ class: 'test_lock', read: true }]);
  run.start(2, 'pass', { kind: 'rwsem', entry: 2 });
  await run.blocked(2);
  await run.kill(1);
  expect(await run.failure(2)).toMatch(/lock test_lock held by dead thread reader\/1/);
});

it('counts reads and writes apart', async () => {
  const words = enterAsTest({ lockStat: true });
  for (let i = 0; i < 130; i++) {
    rwsemDownRead(words, LOCK, CLS);
    rwsemUpRead(words, LOCK, CLS);
  }
  rwsemDownWrite(words, LOCK, CLS);
  rwsemUpWrite(words, LOCK, CLS);
  const { lockStatRows } = await import('../../../dist/shared/lock_report.js');
  expect(lockStatRows(run.tables.sync)).toMatchObject([
    { class: 'test_lock-R', acquisitions: 130, contentions: 0, holdSamples: 3 },
    { class: 'test_lock-W', acquisitions: 1, contentions: 0, holdSamples: 1 },
  ]);
});
