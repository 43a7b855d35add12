// SPDX-License-Identifier: GPL-2.0-only
/** Rings beside arrays as their model, and their sides on threads. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KfifoMpsc, KfifoSpsc } from '../../../dist/shared/kfifo.js';
import { spawnWorker, until } from '../../fixtures/spawn_worker.mjs';

const BASE = 32;

function words(count: number) {
  return new Int32Array(new SharedArrayBuffer((BASE + count) * 4));
}

/** Where free-running indices start: at zero, and where index x 2 wraps past 2^31 and 2^32. */
const STARTS = [0, 2 ** 30 - 3, 2 ** 31 - 3, 5];

function spsc(capacity: number, start: number) {
  const w = words(KfifoSpsc.words(capacity));
  KfifoSpsc.init(w, BASE, start);
  return {
    w,
    producer: new KfifoSpsc(w, BASE, capacity),
    consumer: new KfifoSpsc(w, BASE, capacity),
  };
}

describe('KfifoSpsc: one thread', () => {
  test.each(STARTS)('fills to capacity, empties, and says so; indices from %i on', (start) => {
    const { producer, consumer } = spsc(4, start);
    for (let round = 0; round < 3; round++) {
      expect(consumer.pop()).toBeUndefined();
      for (let i = 0; i < 4; i++) expect(producer.push(i - 2)).toBe(true);
      expect(producer.push(9)).toBe(false);
      expect([consumer.length(), producer.free()]).toEqual([4, 0]);
      for (let i = 0; i < 3; i++) expect(consumer.pop()).toBe(i - 2);
      expect(producer.push(7)).toBe(true);
      expect([consumer.pop(), consumer.pop()]).toEqual([1, 7]);
      expect(consumer.pop()).toBeUndefined();
    }
  });

  test('any mix of single and batch operations leaves what it leaves on an array', () => {
    const step = fc.tuple(fc.nat(4), fc.nat(20));
    const steps = fc.array(step, { maxLength: 80 });
    fc.assert(
      fc.property(fc.constantFrom(...STARTS), steps, (start, list) => {
        const { producer, consumer } = spsc(16, start);
        const model: number[] = [];
        const scratch = new Int32Array(32);
        let serial = 0;
        for (const [op, count] of list) {
          if (op === 0 && producer.push(serial)) model.push(serial++);
          if (op === 1) expect(consumer.pop()).toBe(model.shift());
          if (op === 2 || op === 4) {
            for (let i = 0; i < count; i++) scratch[3 + i] = serial + i;
            const room = 16 - model.length;
            const fits = op === 2 ? Math.min(count, room) : count <= room ? count : 0;
            if (op === 2) expect(producer.pushBatch(scratch, 3, count)).toBe(fits);
            else expect(producer.pushAll(scratch, 3, count)).toBe(count <= room);
            for (let i = 0; i < fits; i++) model.push(serial++);
          }
          if (op === 3) {
            scratch.fill(-1);
            const nr = consumer.popBatch(scratch, 2, count);
            expect([...scratch.subarray(2, 2 + nr)]).toEqual(model.splice(0, count));
            expect([scratch[1], scratch[2 + nr]]).toEqual([-1, -1]);
          }
          expect(consumer.length()).toBe(model.length);
        }
      }),
      { seed: 0x5eed, numRuns: 200 },
    );
  });

  test('waits end at their timeout and leave the ring usable', () => {
    const { producer, consumer } = spsc(2, 2 ** 31 - 1);
    expect(consumer.popWait(1)).toBeUndefined();
    expect(producer.push(1)).toBe(true);
    expect(producer.pushWait(2, 1)).toBe(true);
    expect(producer.pushWait(3, 1)).toBe(false);
    expect([consumer.popWait(1), consumer.popWait(1)]).toEqual([1, 2]);
    expect(consumer.waitReadable(0)).toBe(false);
    expect(producer.waitWritable(0)).toBe(true);
  });

  test('a side that attaches later continues where the words stand', () => {
    const { w, producer, consumer } = spsc(4, 1);
    for (let i = 0; i < 3; i++) producer.push(i);
    consumer.pop();
    expect(new KfifoSpsc(w, BASE, 4).pop()).toBe(1);
    expect(() => new KfifoSpsc(w, BASE, 3)).toThrow(/power of two/);
    expect(() => new KfifoSpsc(w, BASE, 64)).toThrow(/exceeds its words/);
  });
});

describe('KfifoMpsc: one thread', () => {
  test.each(STARTS)('fills to capacity, empties, and says so; indices from %i on', (start) => {
    const w = words(KfifoMpsc.words(4));
    KfifoMpsc.init(w, BASE, 4, start);
    const [one, two, consumer] = [0, 1, 2].map(() => new KfifoMpsc(w, BASE, 4));
    for (let round = 0; round < 4; round++) {
      expect(consumer!.pop()).toBeUndefined();
      expect([one!.push(1), two!.push(2), two!.push(3), one!.push(4)]).toEqual(Array(4).fill(true));
      expect([one!.push(5), two!.push(5)]).toEqual([false, false]);
      expect(consumer!.pop()).toBe(1);
      expect(one!.push(5)).toBe(true);
      expect(two!.pushWait(6, 1)).toBe(false);
      // The first that timed out left its PARKED bit.
      expect(one!.pushWait(7, 1)).toBe(false);
      const into = new Int32Array(6);
      expect(consumer!.popBatch(into, 1, 5)).toBe(4);
      expect([...into]).toEqual([0, 2, 3, 4, 5, 0]);
      expect(consumer!.popWait(1)).toBeUndefined();
      expect(consumer!.length()).toBe(0);
    }
  });

  test('zeroed words are an empty ring', () => {
    const ring = new KfifoMpsc(words(KfifoMpsc.words(2)), BASE, 2);
    for (let i = 0; i < 9; i++) expect([ring.push(i), ring.pop()]).toEqual([true, i]);
  });
});

/** Runs producers and a consumer. @returns per producer: how many arrived, and whether in order */
async function transfer(
  kind: string,
  mode: string,
  producers: number,
  count: number,
  start: number,
) {
  const capacity = 8;
  const w = words(kind === 'spsc' ? KfifoSpsc.words(capacity) : KfifoMpsc.words(capacity));
  if (kind === 'spsc') KfifoSpsc.init(w, BASE, start);
  else KfifoMpsc.init(w, BASE, capacity, start);
  const common = { words: w, base: BASE, capacity, kind, mode, producers, count };
  const consumer = spawnWorker('kfifo_thread.mjs', { ...common, role: 'consumer' });
  for (let id = 0; id < producers; id++) {
    spawnWorker('kfifo_thread.mjs', { ...common, role: 'producer', id }).result.catch(() => {});
  }
  return consumer.result;
}

const expected = (producers: number, count: number) => ({
  arrived: Array(producers).fill(count),
  disorder: 0,
});

describe('rings: threads', () => {
  const count = 20_000;
  test.each([
    ['spsc', 'wait', 1],
    ['spsc', 'batch', 1],
    ['mpsc', 'wait', 1],
    ['mpsc', 'wait', 3],
    ['mpsc', 'batch', 3],
  ])(
    '%s %s, %i producers: every element once, in order, across the wrap',
    async (kind, mode, nr) => {
      expect(await transfer(kind, mode, nr, count, 2 ** 31 - 1000)).toEqual(expected(nr, count));
    },
  );

  test.each(['spsc', 'mpsc'])('%s: a consumer asleep on an empty ring wakes', async (kind) => {
    const capacity = 4;
    const w = words(kind === 'spsc' ? KfifoSpsc.words(capacity) : KfifoMpsc.words(capacity));
    const common = { words: w, base: BASE, capacity, kind, mode: 'wait', producers: 1, count: 1 };
    const consumer = spawnWorker('kfifo_thread.mjs', { ...common, role: 'consumer' });
    const parkedAt = BASE + (kind === 'spsc' ? 0 : 64);
    await until(() => (Atomics.load(w, parkedAt) & 1) === 1, 'consumer parked');
    spawnWorker('kfifo_thread.mjs', { ...common, role: 'producer', id: 0 });
    expect(await consumer.result).toEqual(expected(1, 1));
  });

  test.each(['spsc', 'mpsc'])('%s: a producer asleep on a full ring wakes', async (kind) => {
    const capacity = 4;
    const w = words(kind === 'spsc' ? KfifoSpsc.words(capacity) : KfifoMpsc.words(capacity));
    const common = { words: w, base: BASE, capacity, kind, mode: 'wait', producers: 1, count: 5 };
    spawnWorker('kfifo_thread.mjs', { ...common, role: 'producer', id: 0 });
    const parkedAt = BASE + (kind === 'spsc' ? 32 : 64);
    await until(() => (Atomics.load(w, parkedAt) & 1) === 1, 'producer parked');
    const consumer = spawnWorker('kfifo_thread.mjs', { ...common, role: 'consumer' });
    expect(await consumer.result).toEqual(expected(1, 5));
  });
});
