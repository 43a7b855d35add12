// SPDX-License-Identifier: GPL-2.0-only
/** Text tables: columns, alignment and units. */
import { describe, expect, it } from 'vitest';
import {
  formatNs,
  formatNumber,
  formatPairs,
  formatTable,
} from '../../../../dist/src/report/text_table.js';
import { formatBytes } from '../../../../dist/src/size.js';

describe('numbers for people', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [-1234567, '-1,234,567'],
  ])('%d', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it('keeps digits apart from groups', () => {
    expect(formatNumber(1234.5678, 4)).toBe('1,234.5678');
  });

  it.each([
    [null, '-'],
    [0, '0 ns'],
    [999, '999 ns'],
    [999.6, '1.00 us'],
    [12_345, '12.3 us'],
    [1_500_000, '1.50 ms'],
    [99_960_000, '100 ms'],
    [2e12, '2000 s'],
  ])('%s ns', (ns, text) => {
    expect(formatNs(ns)).toBe(text);
  });

  it.each([
    [512, '512 B'],
    [2 ** 20, '1 MiB'],
    [29_630_464, '28.3 MiB'],
    [2 ** 40, '1 TiB'],
  ])('%d bytes', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('tables', () => {
  it('sets numbers right and text left', () => {
    expect(
      formatTable(
        ['name', 'n'],
        [
          ['a', 1],
          ['long', 1000],
          ['b', null],
        ],
      ),
    ).toEqual(['  name      n', '  a         1', '  long  1,000', '  b         -']);
  });

  it('reads pairs downwards', () => {
    const pairs = [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const;
    expect(formatPairs(pairs, 2)).toEqual(['  a 1   c 3', '  b 2']);
    expect(formatPairs([])).toEqual([]);
  });
});
