// SPDX-License-Identifier: GPL-2.0-only
/** The ring of numbers over plain shared memory, as a user of the package sees it. */
import { describe, expect, test } from 'vitest';
import {
  RING_ALIGN_BYTES,
  SharedArrayBufferRingBuffer as Ring,
} from '../../../dist/shared/sharedarraybuffer_ringbuffer.js';

describe('SharedArrayBufferRingBuffer', () => {
  test('two rings in one buffer do not touch each other', () => {
    const size = Ring.sizeBytes(4);
    const second = Math.ceil(size / RING_ALIGN_BYTES) * RING_ALIGN_BYTES;
    const sab = new SharedArrayBuffer(second + size);
    const rings = [new Ring(sab, 0, 4), new Ring(sab, second, 4)];
    const readers = [new Ring(sab, 0, 4), new Ring(sab, second, 4)];
    for (let i = 0; i < 4; i++) for (const [r, ring] of rings.entries()) ring.push(r * 10 + i);
    expect(rings.map((ring) => ring.push(99))).toEqual([false, false]);
    expect(readers.map((ring) => ring.length)).toEqual([4, 4]);
    const into = new Int32Array(4);
    expect(readers[0]!.popBatch(into)).toBe(4);
    expect([...into]).toEqual([0, 1, 2, 3]);
    expect(readers[1]!.pop()).toBe(10);
    expect(rings[0]!.pushBatch(Int32Array.of(1, 2, 3), 1)).toBe(2);
    expect(rings[0]!.pushAll(Int32Array.of(1, 2, 3))).toBe(false);
    expect([readers[0]!.pop(), readers[0]!.popWait(1), readers[0]!.popWait(1)]).toEqual([
      2,
      3,
      undefined,
    ]);
  });

  test.each([
    ['another capacity', 0, 8, /hold no ring of capacity 8/],
    ['an odd offset', 2, 4, /multiple of 4/],
    ['a negative offset', -4, 4, /multiple of 4/],
    ['too few bytes', 4096, 4, /needs \d+ bytes/],
    ['no power of two', 0, 6, /power of two/],
    ['NaN', 0, Number.NaN, /power of two/],
  ])('refuses %s', (_what, offset, capacity, message) => {
    const sab = new SharedArrayBuffer(4096);
    new Ring(sab, 0, 4);
    expect(() => new Ring(sab, offset, capacity)).toThrow(message);
    expect(() => new Ring(sab, offset, capacity)).toThrow(RangeError);
  });

  test('refuses bytes that are something else, and ranges outside an array', () => {
    const sab = new SharedArrayBuffer(4096);
    new Int32Array(sab).fill(7);
    expect(() => new Ring(sab, 0, 4)).toThrow(/hold no ring/);
    const ring = new Ring(new SharedArrayBuffer(4096), 0, 4);
    expect(() => ring.pushBatch(new Int32Array(2), 1, 2)).toThrow(/outside the array/);
    expect(() => ring.popBatch(new Int32Array(2), -1, 1)).toThrow(/outside the array/);
  });
});
