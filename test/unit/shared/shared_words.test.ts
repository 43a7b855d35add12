// SPDX-License-Identifier: GPL-2.0-only
/** Words whose readers or bits others share: seqlock, bit lock, refcount. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  bitLock,
  bitLocked,
  bitTryLock,
  bitUnlock,
  bitWait,
} from '../../../dist/shared/bit_lock.js';
import {
  REFCOUNT_MAX,
  REFCOUNT_SATURATED,
  refcountDec,
  refcountDecAndTest,
  refcountFreeze,
  refcountInc,
  refcountIncNotZero,
  refcountRead,
  refcountSet,
  refcountUnfreeze,
} from '../../../dist/shared/refcount.js';
import {
  seqReadBegin,
  seqReadRetry,
  seqWriteLock,
  seqWriteUnlock,
} from '../../../dist/shared/seqlock.js';
import { BIT_LOCKED, BIT_WAITERS, CLS, COUNT, FLAGS, LOCK } from '../../fixtures/sync_tables.mjs';
import { SyncThreads } from '../../fixtures/sync_threads.mjs';

let run: SyncThreads;
afterEach(async () => {
  await run?.close();
});

const newWords = () => new Int32Array(new SharedArrayBuffer(256));

describe('seqlock', () => {
  it('gives readers whole values, 2 writers and 2 readers', async () => {
    run = new SyncThreads();
    for (const id of [1, 2]) run.start(id, 'seqRead');
    for (const id of [3, 4]) run.start(id, 'seqWrite', { rounds: 8000 });
    for (const id of [3, 4]) await run.result(id);
    for (const id of [1, 2]) expect(await run.result(id)).toBeGreaterThan(0);
    expect(run.word(LOCK)).toBe(2 * 2 * 8000);
  });

  it('tells a reader that a writer was in', () => {
    const words = newWords();
    const seq = seqReadBegin(words, 0, 0);
    expect(seqReadRetry(words, 0, seq)).toBe(false);
    seqWriteLock(words, 0, 0);
    expect(seqReadRetry(words, 0, seq)).toBe(true);
    seqWriteUnlock(words, 0, 0);
    expect(seqReadRetry(words, 0, seq)).toBe(true);
    expect(() => seqWriteUnlock(words, 0, 0)).toThrow(/free/);
  });

  it('parks a reader while a writer is in, and names one that died', async () => {
    run = new SyncThreads();
    run.start(1, 'holdForEver', { kind: 'seqlock' }, 'writer');
    run.start(2, 'seqRead');
    await run.blocked(2);
    await run.kill(1);
    expect(await run.failure(2)).toMatch(/lock test_lock held by dead thread writer\/1/);
  });
});

describe('bit lock', () => {
  it.each([1, 4])(
    'loses no waiter and no flag, 4 threads, 3 words, %i buckets',
    async (buckets) => {
      run = new SyncThreads({ buckets });
      for (const id of [1, 2, 3, 4]) {
        run.start(id, 'bitFlags', { rounds: 30_000, mine: 1 << (id + 3), nr: 3 });
      }
      for (const id of [1, 2, 3, 4]) await run.result(id);
      for (const i of [0, 1, 2]) {
        expect(run.word(COUNT + FLAGS + i)).toBe((30_000 / 3) * 4);
        expect(run.word(FLAGS + i) & (BIT_LOCKED | (0xff00 << 4))).toBe(0);
      }
    },
  );

  it('leaves the other bits alone and clears WAITERS', () => {
    run = new SyncThreads();
    const { words, bits } = run.tables;
    Atomics.store(words, FLAGS, 0x700);
    bitLock(words, FLAGS, BIT_LOCKED, bits, CLS);
    expect(bitTryLock(words, FLAGS, BIT_LOCKED, CLS)).toBe(false);
    Atomics.or(words, FLAGS, BIT_WAITERS | 0x1000);
    expect(bitLocked(words, FLAGS, BIT_LOCKED)).toBe(true);
    bitUnlock(words, FLAGS, BIT_LOCKED, bits, CLS);
    expect(run.word(FLAGS)).toBe(0x1700);
    bitWait(words, FLAGS, BIT_LOCKED, bits, CLS);
  });
});

describe('refcount', () => {
  it('reaches zero exactly once, 4 threads', async () => {
    run = new SyncThreads();
    refcountSet(run.tables.words, LOCK, 4);
    for (const id of [1, 2, 3, 4]) run.start(id, 'refcountChurn', { rounds: 10_000 });
    const last: unknown[] = [];
    for (const id of [1, 2, 3, 4]) last.push(await run.result(id));
    expect(last.filter(Boolean)).toHaveLength(1);
    expect(refcountRead(run.tables.words, LOCK)).toBe(0);
  });

  it('takes no reference to what is gone or frozen', () => {
    const words = newWords();
    expect(refcountIncNotZero(words, 0)).toBe(false);
    refcountSet(words, 0, 2);
    expect(refcountFreeze(words, 0, 1)).toBe(false);
    expect(refcountFreeze(words, 0, 2)).toBe(true);
    expect(refcountIncNotZero(words, 0)).toBe(false);
    refcountUnfreeze(words, 0, 2);
    expect(refcountIncNotZero(words, 0)).toBe(true);
    expect(refcountRead(words, 0)).toBe(3);
  });

  it.each([
    ['overflow', REFCOUNT_MAX, refcountInc],
    ['overflow', REFCOUNT_MAX, refcountIncNotZero],
    ['use after free', 0, refcountInc],
    ['more references', 0, refcountDecAndTest],
    ['decrement of 0', 0, refcountDec],
    ['last reference', 1, refcountDec],
  ] as const)('saturates and reports: %s from %i', (message, count, operation) => {
    const words = newWords();
    refcountSet(words, 0, count);
    expect(() => operation(words, 0)).toThrow(message);
    expect(refcountRead(words, 0)).toBe(REFCOUNT_SATURATED);
    for (let i = 0; i < 1000; i++) {
      refcountInc(words, 0);
      expect(refcountDecAndTest(words, 0)).toBe(false);
      expect(refcountDecAndTest(words, 0)).toBe(false);
    }
    expect(refcountIncNotZero(words, 0)).toBe(true);
    expect(refcountFreeze(words, 0, 1)).toBe(false);
    expect(refcountRead(words, 0), 'sticky').toBe(REFCOUNT_SATURATED);
  });
});
