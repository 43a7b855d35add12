// SPDX-License-Identifier: GPL-2.0-only
/** Sparse tables beside a map as their model, and lookups while a writer works. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import {
  declareXaPool,
  initXaPool,
  XA_MARKS,
  XA_NONE,
  type XaPool,
  Xarray,
  xaFreeNode,
  xaPoolUsed,
} from '../../../dist/shared/xarray.js';
import { spawnWorker } from '../../fixtures/spawn_worker.mjs';
import { declareXarrayTest } from '../../fixtures/xarray_tables.mjs';

function make(nodes: number, free?: (node: number) => void) {
  const { tables } = createArena((builder) => ({
    pool: declareXaPool(builder, 'xa', nodes),
    heads: builder.columns('heads', { heads: 'i32' }, 4).heads,
  }));
  initXaPool(tables.pool);
  return { ...tables, xa: new Xarray(tables.pool, tables.heads, 1, free) };
}

type Entry = { value: number; marks: Set<number> };

function naiveNext(map: Map<number, Entry>, start: number, mark: number): number {
  const found = [...map]
    .filter(([index, { marks }]) => index >= start && (mark < 0 || marks.has(mark)))
    .map(([index]) => index);
  return found.length === 0 ? XA_NONE : Math.min(...found);
}

// Few distinct indices, so that operations meet; all heights of the tree.
const index = fc.constantFrom(
  ...[0, 5, 63, 64, 127, 4095, 4096, 262143, 262144, 0x3fffffff, 0x40000000],
  ...[0x7fffffff, 0x80000000, 0xffffffff],
);
const step = fc.tuple(fc.nat(4), index, fc.integer(), fc.nat(XA_MARKS - 1));

describe('xarray: against a Map', () => {
  test('any sequence of operations leaves what it leaves on a Map', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const { xa, pool } = make(400);
        const map = new Map<number, Entry>();
        for (const [op, at, raw, mark] of steps) {
          const value = raw === 0 ? 1 : raw;
          const entry = map.get(at);
          if (op <= 1) {
            expect(xa.store(at, value)).toBe(true);
            map.set(at, { value, marks: entry?.marks ?? new Set() });
          } else if (op === 2) {
            expect(xa.erase(at)).toBe(entry?.value ?? 0);
            map.delete(at);
          } else if (op === 3 && entry !== undefined) {
            xa.setMark(at, mark);
            entry.marks.add(mark);
          } else if (op === 4) {
            xa.clearMark(at, mark);
            entry?.marks.delete(mark);
          }
          expect(xa.load(at)).toBe(map.get(at)?.value ?? 0);
          expect(xa.getMark(at, mark)).toBe(map.get(at)?.marks.has(mark) ?? false);
          expect(xa.next(at)).toBe(naiveNext(map, at, -1));
          expect(xa.nextMarked(at, mark)).toBe(naiveNext(map, at, mark));
          expect(xa.nextMarked(0, mark)).toBe(naiveNext(map, 0, mark));
        }
        for (const at of map.keys()) xa.erase(at);
        expect(xa.empty).toBe(true);
        expect(xaPoolUsed(pool)).toBe(0);
      }),
      { seed: 0x5eed, numRuns: 200 },
    );
  });

  test('a dense table: every index is found, walked in order, and erased to nothing', () => {
    const { xa, pool } = make(100);
    for (let i = 0; i < 5000; i++) xa.store(i, i + 1);
    const walked: number[] = [];
    for (let i = xa.next(0); i !== XA_NONE; i = xa.next(i + 1)) walked.push(i);
    expect(walked).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    for (let i = 4999; i >= 0; i--) expect(xa.erase(i)).toBe(i + 1);
    expect(xaPoolUsed(pool)).toBe(0);
  });
});

describe('xarray: the pool', () => {
  test('store with an empty pool changes nothing', () => {
    const { xa, pool, heads } = make(2);
    expect(xa.store(5, 50)).toBe(true);
    const head = heads[1];
    expect(xa.store(4096, 1)).toBe(false);
    expect(xa.store(64, 1)).toBe(false);
    expect([xa.load(5), xa.load(64), xa.load(4096), heads[1]]).toEqual([50, 0, 0, head]);
    expect(xaPoolUsed(pool)).toBe(1);
    expect(xa.store(6, 60)).toBe(true);
  });

  test('a deferred node is not used again before it is freed', () => {
    const deferred: number[] = [];
    const { xa, pool } = make(2, (node) => deferred.push(node));
    xa.store(1, 10);
    xa.erase(1);
    expect([deferred.length, xaPoolUsed(pool)]).toEqual([1, 1]);
    xa.store(1, 11);
    xa.erase(1);
    expect(xa.store(1, 12)).toBe(false);
    xaFreeNode(pool, deferred[0]!);
    expect(xa.store(1, 12)).toBe(true);
  });

  test('two tables share a pool and nothing else', () => {
    const { xa, pool, heads } = make(10);
    const other = new Xarray(pool, heads, 2);
    xa.store(3, 30);
    other.store(3, 31);
    xa.erase(3);
    expect([xa.load(3), other.load(3)]).toEqual([0, 31]);
  });

  test('misuse throws: storing 0, a mark on an absent entry', () => {
    const { xa } = make(4);
    expect(() => xa.store(1, 0)).toThrow(/cannot hold 0/);
    expect(() => xa.setMark(1, 0)).toThrow(/absent/);
    expect(() => xa.getMark(1, 3)).toThrow(/out of range/);
  });
});

test('xarray: lookups under RCU see only what a growing, shrinking writer stored', async () => {
  const { memory, tables } = createArena<{ pool: XaPool }>(declareXarrayTest);
  initXaPool(tables.pool);
  const common = { memory, rounds: 400 };
  const all = [
    spawnWorker('xarray_thread.mjs', { ...common, id: 1, role: 'writer' }),
    spawnWorker('xarray_thread.mjs', { ...common, id: 2, role: 'reader' }),
    spawnWorker('xarray_thread.mjs', { ...common, id: 3, role: 'reader' }),
  ];
  const [writer, ...readers] = await Promise.all(all.map(({ result }) => result));
  expect(writer).toEqual({ used: 0 });
  for (const reader of readers as { wrong: number; found: number; keptMissed: number }[]) {
    expect(reader).toMatchObject({ wrong: 0, keptMissed: 0 });
    expect(reader.found).toBeGreaterThan(0);
  }
});
