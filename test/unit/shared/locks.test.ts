// SPDX-License-Identifier: GPL-2.0-only
/** What every lock kind owes, over one table of adapters: exclusion, trylock, misuse, death. */
import { afterEach, describe, expect, it } from 'vitest';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import { setComm } from '../../../dist/shared/thread.js';
import { KINDS } from '../../fixtures/lock_kinds.mjs';
import { CLS, COUNT, LOCK, LOG, STEP } from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

const ROUNDS = 6_000;
const THREADS = [1, 2, 3, 4];
/** The test itself, where it takes part. */
const ME = 9;

type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

let run: SyncThreads;
afterEach(async () => {
  resetSync();
  await run.close();
});

function enterAsTest(): void {
  const { sync } = run.tables;
  setComm(sync.threads, ME, 'test');
  Atomics.store(sync.threads.state, ME, 2);
  enterSync(sync, ME);
}

describe.each(kinds)('%s', (kind) => {
  const { lock, tryLock, unlock, owned } = KINDS[kind] as (typeof KINDS)['spin'];

  it.each([
    ['off', {}],
    ['statistics', { lockStat: true }],
    ['statistics and order checking', { lockStat: true, lockdep: true }],
  ])('lets one thread in at a time, 4 threads, tracing %s', async (_name, options) => {
    run = new SyncThreads(options);
    for (const id of THREADS) run.start(id, 'exclude', { kind, rounds: ROUNDS });
    for (const id of THREADS) await run.result(id);
    expect(run.word(COUNT)).toBe(ROUNDS * THREADS.length);
    enterAsTest();
    expect(tryLock(run.tables, LOCK, CLS), 'free at the end').toBe(true);
    unlock(run.tables, LOCK, CLS);
  });

  it('refuses a try while held, by another thread and by this one', async () => {
    run = new SyncThreads();
    enterAsTest();
    expect(tryLock(run.tables, LOCK, CLS)).toBe(true);
    expect(tryLock(run.tables, LOCK, CLS)).toBe(false);
    run.start(1, 'tryOnce', { kind });
    expect(await run.result(1)).toBe(false);
    unlock(run.tables, LOCK, CLS);
    run.start(2, 'tryOnce', { kind });
    expect(await run.result(2)).toBe(true);
  });

  it('names a second unlock, and an unlock by another thread', async () => {
    run = new SyncThreads();
    enterAsTest();
    lock(run.tables, LOCK, CLS);
    unlock(run.tables, LOCK, CLS);
    expect(() => unlock(run.tables, LOCK, CLS)).toThrow(/unlock of test_lock.*(free|clear)/);
    if (!owned) return;
    lock(run.tables, LOCK, CLS);
    run.start(1, 'unlockOnly', { kind }, 'thief');
    expect(await run.failure(1)).toMatch(/unlock of test_lock by thief\/1: it is held by test\/9/);
    unlock(run.tables, LOCK, CLS);
  });

  it('names a thread that locks what it holds', () => {
    run = new SyncThreads();
    enterAsTest();
    lock(run.tables, LOCK, CLS);
    expect(() => lock(run.tables, LOCK, CLS)).toThrow(/test\/9 locks test_lock.*already holds/);
    unlock(run.tables, LOCK, CLS);
  });
});

describe.each(kinds)('%s waiters', (kind) => {
  const { lock, unlock, owned } = KINDS[kind] as (typeof KINDS)['spin'];

  it('are told of a holder that died', async () => {
    run = new SyncThreads();
    run.start(1, 'holdForEver', { kind }, 'victim');
    await run.until(() => run.word(STEP) === 1, 'the lock to be held');
    run.start(2, 'pass', { kind, entry: 2 });
    await run.blocked(2);
    run.start(3, 'pass', { kind, entry: 3 });
    await run.blocked(3);
    await run.kill(1);
    for (const id of [2, 3]) {
      expect(await run.failure(id)).toMatch(/lock test_lock held by dead thread/);
    }
    expect(run.word(LOG), 'nobody got in').toBe(0);
  });

  it('park, say what they wait for, and are woken', async () => {
    run = new SyncThreads();
    run.start(1, 'hold', { kind });
    await run.until(() => run.word(STEP) === 1, 'the lock to be held');
    for (const id of [2, 3, 4]) run.start(id, 'pass', { kind, entry: id });
    for (const id of [2, 3, 4]) await run.blocked(id);
    const { threads } = run.tables.sync;
    if (owned) expect(Atomics.load(threads.waitArg, 2)).toBe(CLS);
    run.set(STEP, 2);
    for (const id of [1, 2, 3, 4]) await run.result(id);
    expect(run.word(LOG)).toBe(3);
  });

  it('are counted exactly', async () => {
    run = new SyncThreads({ lockStat: true });
    run.start(1, 'hold', { kind });
    await run.until(() => run.word(STEP) === 1, 'the lock to be held');
    run.start(2, 'pass', { kind, entry: 2 });
    await run.blocked(2);
    run.set(STEP, 2);
    for (const id of [1, 2]) await run.result(id);
    const { lockStatRows } = await import('../../../dist/shared/lock_report.js');
    const rows = lockStatRows(run.tables.sync);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ class: 'test_lock', acquisitions: 2, contentions: 1 });
    expect(rows[0].waitNsTotal).toBeGreaterThan(0);
    expect(rows[0].waitNsMax).toBe(rows[0].waitNsTotal);
    expect(rows[0].holdSamples).toBe(2);
    expect(rows[0].holdNsTotal).toBeGreaterThan(0);
  });

  it('may be RCU readers if the kind is a spinlock, and are told of the bug if not', async () => {
    run = new SyncThreads();
    enterAsTest();
    lock(run.tables, LOCK, CLS);
    run.start(1, 'lockInReader', { kind }, 'reader');
    if (['spin', 'ticket', 'mcs', 'seqlock'].includes(String(kind))) await run.blocked(1);
    else expect(await run.failure(1)).toMatch(/reader\/1 sleeps inside an RCU reader/);
    unlock(run.tables, LOCK, CLS);
    if (['spin', 'ticket', 'mcs', 'seqlock'].includes(String(kind))) await run.result(1);
  });
});
