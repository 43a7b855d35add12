// SPDX-License-Identifier: GPL-2.0-only
/** Cells with generations, on one thread; the exploration has the rest. */
import { describe, expect, test } from 'vitest';
import { BugError } from '../../../dist/shared/assert.js';
import { POISON_FREE, RcuCells, rcuCellsWords } from '../../../dist/shared/rcu_cells.js';

const BASE = 3;

function pool(
  cells: number,
  size: number,
): { words: Int32Array<SharedArrayBuffer>; cells: RcuCells } {
  const bytes = (BASE + rcuCellsWords(cells, size)) * 4;
  const words = new Int32Array(new SharedArrayBuffer(bytes));
  return { words, cells: new RcuCells(words, BASE, cells, size) };
}

describe('RcuCells', () => {
  test('hands out every cell once, and again when it was freed', () => {
    const { cells } = pool(3, 2);
    const handles = [cells.alloc(), cells.alloc(), cells.alloc()];
    expect(new Set(handles).size).toBe(3);
    expect(cells.alloc()).toBe(0);
    cells.free(handles[1] as number);
    const again = cells.alloc();
    expect(again).not.toBe(0);
    expect(handles).not.toContain(again);
  });

  test('a freed cell is poison, and its handle is of no more use', () => {
    const { words, cells } = pool(2, 2);
    const handle = cells.alloc();
    cells.write(handle, 0, 11);
    cells.write(handle, 1, 12);
    expect([cells.read(handle, 0), cells.read(handle, 1)]).toEqual([11, 12]);
    cells.free(handle);
    expect([...words.subarray(BASE + 1, BASE + 3)]).toEqual([POISON_FREE, POISON_FREE]);
    expect(() => cells.read(handle, 0)).toThrow(/reads cell 0 after its grace period.*is free/);
    expect(() => cells.write(handle, 0, 1)).toThrow(BugError);
    expect(() => cells.free(handle)).toThrow(/frees cell 0 after its grace period/);
    cells.alloc();
    expect(() => cells.read(handle, 0)).toThrow(/handed out again at generation 3/);
  });

  test('generations come round', () => {
    const { words, cells } = pool(1, 1);
    words[BASE] = 2 ** 20 - 2;
    const last = cells.alloc();
    expect(last).toBeGreaterThan(0);
    cells.free(last);
    expect(words[BASE]).toBe(0);
    expect(cells.read(cells.alloc(), 0)).toBe(POISON_FREE);
  });

  test('a handle of another pool, and a pool that does not fit, are refused', () => {
    const { words, cells } = pool(1, 1);
    expect(() => cells.read(0, 0)).toThrow(/a handle of no cell/);
    expect(() => cells.free((1 << 11) | 2)).toThrow(/a handle of no cell/);
    expect(() => new RcuCells(words, BASE, 2, 1)).toThrow(/do not hold/);
  });
});
