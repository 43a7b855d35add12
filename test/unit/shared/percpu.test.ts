// SPDX-License-Identifier: GPL-2.0-only
/** Per-thread counters: sums over threads, and how far a cheap read may be off. */
import { describe, expect, test } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import {
  PercpuEvents,
  type PercpuEventTable,
  PercpuState,
  type PercpuStateTable,
  percpuEventOf,
  percpuEventSum,
  percpuStateRead,
  percpuStateReadExact,
} from '../../../dist/shared/percpu.js';
import { Prng } from '../../../dist/shared/prng.js';
import { declarePercpuTest } from '../../fixtures/percpu_tables.mjs';
import { spawnWorker } from '../../fixtures/spawn_worker.mjs';

/** What the fixture declares. */
interface Tables {
  readonly events: PercpuEventTable;
  readonly state: PercpuStateTable;
  readonly words: Int32Array;
}

describe('percpu: events', () => {
  test('rows of two threads add up, each counter by itself, past 2^32', () => {
    const { events } = createArena<Tables>(declarePercpuTest).tables;
    const one = new PercpuEvents(events, 1);
    const two = new PercpuEvents(events, 127);
    one.inc(0);
    one.add(19, 2 ** 33);
    two.add(19, 5);
    two.inc(0);
    expect(percpuEventSum(events, 0)).toBe(2);
    expect(percpuEventSum(events, 19)).toBe(2 ** 33 + 5);
    expect(percpuEventSum(events, 1)).toBe(0);
    expect([one.own(19), percpuEventOf(events, 19, 127)]).toEqual([2 ** 33, 5]);
    expect(() => percpuEventSum(events, 20)).toThrow(/out of range/);
  });
});

describe('percpu: state', () => {
  test('a difference folds when it passes the threshold, either way', () => {
    const { state } = createArena<Tables>(declarePercpuTest).tables;
    const mine = new PercpuState(state, 1, 4);
    for (let i = 0; i < 4; i++) mine.add(1, 1);
    expect([percpuStateRead(state, 1), percpuStateReadExact(state, 1)]).toEqual([0, 4]);
    mine.add(1, 1);
    expect(percpuStateRead(state, 1)).toBe(5);
    mine.add(1, -4);
    expect([percpuStateRead(state, 1), percpuStateReadExact(state, 1)]).toEqual([5, 1]);
    mine.add(1, -1);
    expect(percpuStateRead(state, 1)).toBe(0);
  });

  test('the folded value is off by at most threads x threshold; fold makes it exact', () => {
    const { state } = createArena<Tables>(declarePercpuTest).tables;
    const prng = new Prng(0x5eed);
    const threads = [1, 2, 3].map((id) => new PercpuState(state, id, 10));
    let sum = 0;
    for (let i = 0; i < 5000; i++) {
      const delta = prng.below(31) - 15;
      threads[prng.below(3)]!.add(2, delta);
      sum += delta;
      expect(Math.abs(percpuStateRead(state, 2) - sum)).toBeLessThanOrEqual(30);
      expect(percpuStateReadExact(state, 2)).toBe(sum);
    }
    for (const thread of threads) thread.fold();
    expect(percpuStateRead(state, 2)).toBe(sum);
    expect(percpuStateRead(state, 0)).toBe(0);
  });

  test('four threads at once lose nothing', async () => {
    const { memory, tables } = createArena<Tables>(declarePercpuTest);
    const all = [1, 2, 3, 4].map((id) =>
      spawnWorker('percpu_thread.mjs', { memory, id, count: 200_000, threads: 4 }),
    );
    for (const { result } of all) await result;
    expect(percpuEventSum(tables.events, 7)).toBe(4 * 200_000);
    expect(percpuStateRead(tables.state, 0)).toBe(4 * 200_000);
    expect(percpuStateReadExact(tables.state, 1)).toBe(0);
    expect(percpuStateRead(tables.state, 2)).toBe(4 * 200_000);
  });
});
