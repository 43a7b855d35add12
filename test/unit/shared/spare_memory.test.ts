// SPDX-License-Identifier: GPL-2.0-only
/** Memory of what is gone, for what comes next: zeroed, and for one taker. */
import { expect, it } from 'vitest';
import { createArena } from '../../../dist/shared/arena.js';
import { SpareMemory } from '../../../dist/shared/spare_memory.js';
import { newSharedMemory } from '../../../dist/shared/wasm.js';

const PAGE = 65536;

it('is taken where it has the size, with nothing in it', () => {
  const spare = new SpareMemory();
  const memory = newSharedMemory(2 * PAGE);
  const buffer = new SharedArrayBuffer(100);
  new Uint8Array(memory.buffer).fill(7);
  new Uint8Array(buffer).fill(7);
  spare.giveMemory(memory);
  spare.giveBuffer(buffer);
  expect(spare.bytes).toBe(2 * PAGE + 100);
  expect(newSharedMemory(PAGE, spare)).not.toBe(memory);
  expect(spare.takeBuffer(101)).toBeUndefined();
  expect(newSharedMemory(2 * PAGE - 1, spare)).toBe(memory);
  expect(spare.takeBuffer(100)).toBe(buffer);
  expect(spare.bytes).toBe(0);
  expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
});

it('is given to one taker', () => {
  const spare = new SpareMemory();
  const memories = [newSharedMemory(PAGE), newSharedMemory(PAGE)];
  for (const memory of memories) spare.giveMemory(memory);
  const taken = [newSharedMemory(PAGE, spare), newSharedMemory(PAGE, spare)];
  expect(new Set(taken)).toEqual(new Set(memories));
  expect(memories).not.toContain(newSharedMemory(PAGE, spare));
});

it('can be an arena of other tables', () => {
  const spare = new SpareMemory();
  const first = createArena((builder) => builder.columns('a', { x: 'i32' }, 9));
  first.tables.x.fill(-1);
  spare.giveMemory(first.memory);
  const other = createArena((builder) => builder.columns('b', { y: 'f64' }, 7), spare);
  expect(other.memory).toBe(first.memory);
  expect([...other.tables.y]).toEqual(Array.from({ length: 7 }, () => 0));
});
