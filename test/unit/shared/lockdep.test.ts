// SPDX-License-Identifier: GPL-2.0-only
/** Lock-order checking: what it reports, and what it leaves alone. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { completionWaitTimeout } from '../../../dist/shared/completion.js';
import { lockAddress } from '../../../dist/shared/held_locks.js';
import { formatHeldLocks, heldLocks } from '../../../dist/shared/lock_report.js';
import {
  assertHeld,
  assertNoLocksHeld,
  assertNotHeld,
  lockdepEdges,
} from '../../../dist/shared/lockdep.js';
import { rwsemDownRead, rwsemUpRead } from '../../../dist/shared/rwsem.js';
import { enterSync, resetSync } from '../../../dist/shared/sync_domain.js';
import { setComm } from '../../../dist/shared/thread.js';
import { KINDS } from '../../fixtures/lock_kinds.mjs';
import {
  CLS,
  CLS_A,
  CLS_B,
  CLS_C,
  CLS_SPIN,
  LOCK,
  LOCK2,
  LOCK3,
  STEP,
} from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

const ME = 9;
const A = ['mutex', LOCK, CLS_A];
const B = ['mutex', LOCK2, CLS_B];
const C = ['mutex', LOCK3, CLS_C];
const { spin, mutex, bit } = KINDS;

let run: SyncThreads;
beforeEach(() => {
  run = new SyncThreads({ lockdep: true });
  const { threads } = run.tables.sync;
  setComm(threads, ME, 'test');
  Atomics.store(threads.state, ME, 2);
  enterSync(run.tables.sync, ME);
});
afterEach(async () => {
  resetSync();
  await run.close();
});

it('reports A-B against B-A of one thread, naming both chains', () => {
  const t = run.tables;
  mutex.lock(t, LOCK, CLS_A);
  mutex.lock(t, LOCK2, CLS_B);
  mutex.unlock(t, LOCK2, CLS_B);
  mutex.unlock(t, LOCK, CLS_A);
  mutex.lock(t, LOCK2, CLS_B);
  expect(() => mutex.lock(t, LOCK, CLS_A)).toThrow(
    [
      'possible circular locking dependency',
      'test/9 asks for A while it holds B',
      '  chain of test/9: B -> A',
      'but A -> B was seen before:',
      '  chain of test/9: A -> B',
    ].join('\n'),
  );
  expect(run.word(LOCK), 'reported before it waits: A is not taken').toBe(0);
  mutex.unlock(t, LOCK2, CLS_B);
});

it('reports an inversion of two threads that never met', async () => {
  run.start(1, 'nest', { locks: [A, B] }, 'first');
  await run.result(1);
  run.start(2, 'nest', { locks: [B, A] }, 'second');
  const message = await run.failure(2);
  expect(message).toContain('second/2 asks for A while it holds B');
  expect(message).toContain('chain of second/2: B -> A');
  expect(message).toContain('chain of first/1: A -> B');
});

it('reports a cycle of three, with the whole way back', async () => {
  run.start(1, 'nest', { locks: [A, B] }, 'one');
  await run.result(1);
  run.start(2, 'nest', { locks: [B, C] }, 'two');
  await run.result(2);
  run.start(3, 'nest', { locks: [C, A] }, 'three');
  const message = await run.failure(3);
  expect(message).toContain('but A -> B -> C was seen before');
  expect(message).toContain('chain of one/1: A -> B');
  expect(message).toContain('chain of two/2: B -> C');
});

it('draws no edge to a lock that was only tried, but edges from it', async () => {
  run.start(1, 'nest', { locks: [A, [...B, true]] });
  await run.result(1);
  run.start(2, 'nest', { locks: [B, A] });
  await run.result(2);
  expect(lockdepEdges(run.tables.sync.lockdep)).toEqual([[CLS_B, CLS_A]]);
  run.start(3, 'nest', { locks: [[...C, true], A] });
  await run.result(3);
  run.start(4, 'nest', { locks: [A, C] });
  expect(await run.failure(4)).toContain('possible circular');
});

it('reports an edge against the declared order, though nobody went the other way', async () => {
  const ordered = new SyncThreads({ lockdep: true, ordered: true });
  ordered.start(1, 'nest', { locks: [A, B] }, 'first');
  await ordered.result(1);
  ordered.start(2, 'nest', {
    locks: [
      [...C, true],
      [...B, true],
    ],
  });
  await ordered.result(2);
  ordered.start(3, 'nest', { locks: [[...C, true], B] }, 'third');
  const message = await ordered.failure(3);
  expect(message).toContain('against the declared order');
  expect(message).toContain('third/3 asks for B while it holds C');
  await ordered.close();
});

it('reports two locks of one class, unless the inner has a class of its own', () => {
  const t = run.tables;
  mutex.lock(t, LOCK, CLS_A);
  expect(() => mutex.lock(t, LOCK2, CLS_A)).toThrow(/recursive locking.*second lock of class A/);
  expect(() => mutex.lock(t, LOCK, CLS_A)).toThrow(/recursive locking.*holds already/);
  mutex.lock(t, LOCK2, CLS_B);
  mutex.unlock(t, LOCK2, CLS_B);
  mutex.unlock(t, LOCK, CLS_A);
});

it('reports a sleep under a spinlock: by a mutex, an rwsem, a bit lock, a completion', () => {
  const t = run.tables;
  spin.lock(t, LOCK, CLS_SPIN);
  for (const sleep of [
    () => mutex.lock(t, LOCK2, CLS_B),
    () => rwsemDownRead(t.words, LOCK2, CLS_B),
    () => bit.lock(t, LOCK2, CLS_B),
    () => completionWaitTimeout(t.words, STEP, 1),
  ]) {
    expect(sleep).toThrow(/test\/9 may sleep .* under a spinlock, holding outer_spin/);
  }
  expect(mutex.tryLock(t, LOCK2, CLS_B), 'a try does not sleep').toBe(true);
  mutex.unlock(t, LOCK2, CLS_B);
  spin.unlock(t, LOCK, CLS_SPIN);
  mutex.lock(t, LOCK2, CLS_B);
  mutex.unlock(t, LOCK2, CLS_B);
});

it('asserts what is held and what is not', () => {
  const t = run.tables;
  const at = lockAddress(t.words, LOCK);
  expect(() => assertHeld(at, CLS_A)).toThrow(/A must be held by test\/9/);
  assertNotHeld(at, CLS_A);
  assertNoLocksHeld();
  mutex.lock(t, LOCK, CLS_A);
  assertHeld(at, CLS_A);
  expect(() => assertNotHeld(at, CLS_A)).toThrow(/must not be held/);
  expect(assertNoLocksHeld).toThrow(/must hold no lock here, it holds A/);
  mutex.unlock(t, LOCK, CLS_A);
});

it('shows what any thread holds, also released out of order', async () => {
  const t = run.tables;
  mutex.lock(t, LOCK, CLS_A);
  rwsemDownRead(t.words, LOCK2, CLS_B);
  expect(spin.tryLock(t, LOCK3, CLS_SPIN)).toBe(true);
  mutex.unlock(t, LOCK, CLS_A);
  expect(heldLocks(t.sync, ME).map((lock) => lock.class)).toEqual(['B', 'outer_spin']);
  expect(formatHeldLocks(t.sync, ME)).toMatch(
    /^2 locks held by test\/9:\n #0: [0-9a-f]{8} \(B\)\{read\}\n #1: [0-9a-f]{8} \(outer_spin\)/,
  );
  spin.unlock(t, LOCK3, CLS_SPIN);
  rwsemUpRead(t.words, LOCK2, CLS_B);
  expect(formatHeldLocks(t.sync, ME)).toBe('no locks held by test/9.');
  run.start(1, 'holdForEver', { kind: 'spin', cls: CLS }, 'holder');
  await run.until(() => run.word(STEP) === 1, 'the other to hold');
  expect(heldLocks(t.sync, 1)).toMatchObject([{ class: 'test_lock', read: false }]);
});
