// SPDX-License-Identifier: GPL-2.0-only
/** Bitmaps beside a set of numbers as their model. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as bitmap from '../../../dist/shared/bitmap.js';

const BASE = 2;

function words(nbits: number) {
  return new Int32Array(new SharedArrayBuffer((BASE + bitmap.bitmapWords(nbits) + 1) * 4));
}

function naiveNext(set: Set<number>, nbits: number, start: number, value: boolean): number {
  for (let bit = start; bit < nbits; bit++) if (set.has(bit) === value) return bit;
  return bitmap.BIT_NONE;
}

test('bitmap: any sequence of operations leaves what it leaves on a Set', () => {
  const step = fc.tuple(fc.nat(5), fc.nat(1 << 20), fc.nat(1 << 20));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 130 }), fc.array(step), (nbits, steps) => {
      const w = words(nbits);
      const set = new Set<number>();
      for (const [op, x, y] of steps) {
        const bit = x % nbits;
        const count = y % (nbits - bit + 1);
        const had = set.has(bit);
        if (op === 0) bitmap.setBit(w, BASE, bit);
        if (op === 1) bitmap.clearBit(w, BASE, bit);
        if (op === 2) expect(bitmap.testAndSetBitAtomic(w, BASE, bit)).toBe(had);
        if (op === 3) expect(bitmap.testAndClearBitAtomic(w, BASE, bit)).toBe(had);
        if (op >= 4) bitmap.bitmapFill(w, BASE, bit, count, op === 4);
        for (let i = 0; i < (op < 4 ? 1 : count); i++) {
          if (op % 2 === 0) set.add(bit + i);
          else set.delete(bit + i);
        }
        expect(bitmap.testBit(w, BASE, bit)).toBe(set.has(bit));
        expect(bitmap.testBitAtomic(w, BASE, bit)).toBe(set.has(bit));
        expect(bitmap.bitmapWeight(w, BASE, nbits)).toBe(set.size);
        const start = y % (nbits + 1);
        expect(bitmap.findNextBit(w, BASE, nbits, start)).toBe(naiveNext(set, nbits, start, true));
        const zero = naiveNext(set, nbits, start, false);
        expect(bitmap.findNextZeroBit(w, BASE, nbits, start)).toBe(zero);
        expect([w[0], w[1], w.at(-1)]).toEqual([0, 0, 0]);
      }
    }),
    { seed: 0x5eed, numRuns: 300 },
  );
});

describe('bitmap: words', () => {
  test.each([
    [0, bitmap.BIT_NONE, bitmap.BIT_NONE, 0],
    [1, 0, 0, 1],
    [-1, 0, 31, 32],
    [-0x80000000, 31, 31, 1],
    [0x50, 4, 6, 2],
  ])('ffs, fls, weight of %i', (word, first, last, weight) => {
    expect([bitmap.ffs(word), bitmap.fls(word), bitmap.hweight32(word)]).toEqual([
      first,
      last,
      weight,
    ]);
  });

  test('bits beyond nbits do not count', () => {
    const w = words(40);
    w[BASE + 1] = -1;
    expect(bitmap.bitmapWeight(w, BASE, 40)).toBe(8);
    expect(bitmap.findNextBit(w, BASE, 32, 0)).toBe(bitmap.BIT_NONE);
    w.fill(-1);
    expect(bitmap.findNextZeroBit(w, BASE, 40, 0)).toBe(bitmap.BIT_NONE);
  });
});
