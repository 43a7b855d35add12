// SPDX-License-Identifier: GPL-2.0-only
/** Medians with intervals, and on which side of 1 a ratio is. */
import { expect, it } from 'vitest';
import {
  coverageText,
  type Figure,
  figureOf,
  figureText,
  signOf,
} from '../../../../dist/src/report/figure.js';

const of = (...values: number[]): Figure => figureOf(values) as Figure;

it('is the median, within an interval that the runs reach', () => {
  const figure = of(5, 1, 3, 2, 4, 3);
  expect(figure.median).toBe(3);
  const { low, high } = figure.interval as { low: number; high: number };
  expect([low >= 1, low <= 3, high >= 3, high <= 5]).toEqual([true, true, true, true]);
  expect(figureText(figure, 1)).toBe(`3.0 (${low.toFixed(1)}..${high.toFixed(1)})`);
});

it('has no interval of one run, and none is no figure', () => {
  expect(of(7)).toEqual({ median: 7, interval: null, runs: 1 });
  expect(figureText(of(7))).toBe('7');
  expect([figureOf([]), figureText(null)]).toEqual([null, '-']);
});

it('says what so many runs can tell', () => {
  expect([1, 3, 5, 9].map(coverageText).map((text) => text.match(/\d+ %/)?.[0])).toEqual([
    undefined,
    '75 %',
    '94 %',
    '95 %',
  ]);
});

it('is fewer or more only when all of the interval is', () => {
  expect(signOf(of(0.4, 0.5, 0.6))).toBe('fewer');
  expect(signOf(of(1.4, 1.5, 1.6))).toBe('more');
  expect(signOf(of(0.4, 0.9, 1.6))).toBe('no difference');
  expect(signOf(of(1, 1, 1))).toBe('no difference');
  expect(signOf(of(0.1))).toBe('one run');
});
