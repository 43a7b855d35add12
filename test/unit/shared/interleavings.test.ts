// SPDX-License-Identifier: GPL-2.0-only
/** Two-party races of the substrate, every interruption point tried. */
import { describe, expect, test } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import { testAndSetBitAtomic } from '../../../dist/shared/bitmap.js';
import { KfifoMpsc, KfifoSpsc } from '../../../dist/shared/kfifo.js';
import { declarePercpuState, PercpuState, percpuStateRead } from '../../../dist/shared/percpu.js';
import { declareXaPool, initXaPool, Xarray } from '../../../dist/shared/xarray.js';
import { interleave } from '../../fixtures/interleave.mjs';

const words = (count: number) => new Int32Array(new SharedArrayBuffer(count * 4));

function drain(ring: { pop(): number | undefined }): number[] {
  const values: number[] = [];
  for (let value = ring.pop(); value !== undefined; value = ring.pop()) values.push(value);
  return values;
}

/** A ring of four with `filled` elements 100, 101 ..., its indices about to wrap. */
function makeMpsc(filled: number) {
  const w = words(KfifoMpsc.words(4));
  KfifoMpsc.init(w, 0, 4, 2 ** 31 - 2);
  const [one, two, consumer] = [0, 1, 2].map(() => new KfifoMpsc(w, 0, 4));
  for (let i = 0; i < filled; i++) one!.push(100 + i);
  return {
    one: one!,
    two: two!,
    consumer: consumer!,
    pushed: [] as boolean[],
    popped: [] as unknown[],
  };
}

describe('KfifoMpsc', () => {
  test.each([0, 2, 3, 4])('push against push, %i of 4 filled: as many in as said so', (filled) => {
    const points = interleave(
      () => makeMpsc(filled),
      (s) => s.pushed.push(s.one.push(1)),
      (s) => s.pushed.push(s.two.push(2)),
      (s) => {
        const room = Math.min(2, 4 - filled);
        expect(s.pushed.filter(Boolean).length).toBe(room);
        expect(drain(s.consumer).slice(filled)).toHaveLength(room);
      },
    );
    expect(points).toBeGreaterThan(2);
  });

  test('push against two pushes: three in, each once', () => {
    interleave(
      () => makeMpsc(0),
      (s) => s.pushed.push(s.one.push(1)),
      (s) => s.pushed.push(s.two.push(2), s.two.push(3)),
      (s) => {
        // Between claim and fill, those behind wait: the first to be popped is then not there yet.
        expect(drain(s.consumer).sort()).toEqual([1, 2, 3]);
        expect(s.pushed).toEqual([true, true, true]);
      },
    );
  });

  test.each([0, 1, 4])('push against pop, %i of 4 filled', (filled) => {
    interleave(
      () => makeMpsc(filled),
      (s) => s.pushed.push(s.one.push(1)),
      (s) => s.popped.push(s.consumer.pop()),
      (s, point) => {
        const rest = drain(s.consumer);
        const all = [...s.popped.filter((v) => v !== undefined), ...rest];
        const old = [100, 101, 102, 103].slice(0, filled);
        expect(all, `point ${point}`).toEqual(s.pushed[0] ? [...old, 1] : old);
        if (filled < 4) expect(s.pushed).toEqual([true]);
      },
    );
  });
});

describe('KfifoSpsc', () => {
  const make = (filled: number) => {
    const w = words(KfifoSpsc.words(4));
    KfifoSpsc.init(w, 0, 2 ** 31 - 2);
    const [producer, consumer] = [new KfifoSpsc(w, 0, 4), new KfifoSpsc(w, 0, 4)];
    for (let i = 0; i < filled; i++) producer.push(100 + i);
    return { producer, consumer, log: [] as unknown[] };
  };

  test.each([0, 1, 4])('push against pop and pop against push, %i of 4 filled', (filled) => {
    const old = [100, 101, 102, 103].slice(0, filled);
    const push = (s: ReturnType<typeof make>) => s.log.push(s.producer.push(1));
    const pop = (s: ReturnType<typeof make>) => s.log.push(s.consumer.pop());
    const check = (s: ReturnType<typeof make>) => {
      const popped = s.log.filter((v) => typeof v === 'number');
      const pushed = s.log.includes(true) ? [1] : [];
      expect([...popped, ...drain(s.consumer)]).toEqual([...old, ...pushed]);
    };
    interleave(() => make(filled), push, pop, check);
    interleave(() => make(filled), pop, push, check);
  });
});

test('bitmap: one of two that set a bit finds it clear', () => {
  interleave(
    () => ({ w: words(2), had: [] as boolean[] }),
    (s) => s.had.push(testAndSetBitAtomic(s.w, 1, 5)),
    (s) => s.had.push(testAndSetBitAtomic(s.w, 1, 5)),
    (s) => expect(s.had.sort()).toEqual([false, true]),
  );
});

test('percpu: a fold against a fold loses nothing', () => {
  const points = interleave(
    () => createArena((builder) => declarePercpuState(builder, 'state', 1)).tables,
    (table) => new PercpuState(table, 1, 0).add(0, 5),
    (table) => new PercpuState(table, 2, 0).add(0, 7),
    (table) => expect(percpuStateRead(table, 0)).toBe(12),
  );
  expect(points).toBe(2); // one atomic operation: a plain addition would be none
});

describe('Xarray: a lookup against a writer sees before or after', () => {
  const KEPT = 70;
  const make = (free?: (node: number) => void, extra = 300) => {
    const { tables } = createArena((builder) => ({
      pool: declareXaPool(builder, 'xa', 20),
      heads: builder.columns('heads', { heads: 'i32' }, 1).heads,
    }));
    initXaPool(tables.pool);
    const xa = new Xarray(tables.pool, tables.heads, 0, free);
    xa.store(KEPT, 7);
    xa.store(300, 3);
    if (extra !== 300) xa.store(extra, 1);
    return { xa, seen: [] as number[] };
  };
  type State = ReturnType<typeof make>;
  const writers: [string, (s: State) => void][] = [
    ['grow', (s) => s.xa.store(0x7fffffff, 1)],
    ['erase', (s) => s.xa.erase(300)],
    ['grow and shrink', (s) => [s.xa.store(5000, 1), s.xa.erase(5000)]],
    ['replace', (s) => s.xa.store(300, 4)],
  ];

  test.each(writers)('%s', (_name, write) => {
    const look = (s: State) => {
      s.seen.push(s.xa.load(KEPT), s.xa.load(300), s.xa.next(0));
    };
    const check = (s: State, point: number) => {
      expect(s.seen[0], `point ${point}`).toBe(7);
      expect([0, 3, 4]).toContain(s.seen[1]);
      expect(s.seen[2]).toBe(KEPT);
    };
    const defer = () => make(() => {});
    expect(interleave(defer, look, write, check)).toBeGreaterThan(4);
    interleave(defer, write, look, check);
  });

  test('shrink: a lookup that is in the old root still finds the child', () => {
    const look = (s: State) => s.seen.push(s.xa.load(KEPT));
    const shrink = (s: State) => s.xa.erase(5000);
    const check = (s: State) => expect(s.seen).toEqual([7]);
    expect(interleave(() => make(() => {}, 5000), look, shrink, check)).toBeGreaterThan(3);
  });

  test('a node used again before a grace period misleads a lookup; deferred, it does not', () => {
    const misled = (free: ((node: number) => void) | undefined) => {
      let count = 0;
      const look = (s: State) => s.seen.push(s.xa.load(300));
      const reuse = (s: State) => [s.xa.erase(300), s.xa.store(64 * 9 + (300 % 64), 99)];
      interleave(
        () => make(free),
        look,
        reuse,
        (s) => (count += s.seen[0] === 99 ? 1 : 0),
      );
      return count;
    };
    expect(misled(undefined)).toBeGreaterThan(0);
    expect(misled(() => {})).toBe(0);
  });
});
