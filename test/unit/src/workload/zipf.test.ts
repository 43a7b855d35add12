// SPDX-License-Identifier: GPL-2.0-only
/** What workloads draw by, and what they time: popularity after Zipf's law, and histograms. */
import { describe, expect, it } from 'vitest';
import { Prng } from '../../../../dist/shared/prng.js';
import {
  addFigure,
  figuresOf,
  makeFigures,
  sumFigures,
} from '../../../../dist/src/workload/figures.js';
import {
  addLatency,
  latencyFigures,
  makeLatencies,
} from '../../../../dist/src/workload/latencies.js';
import { makeZipf, zipfDraw } from '../../../../dist/src/workload/zipf.js';

function draws(n: number, theta: number, count: number): number[] {
  const table = makeZipf(n, theta, 3);
  const prng = new Prng(7);
  const counts = new Array<number>(n).fill(0);
  for (let i = 0; i < count; i++) {
    const number = zipfDraw(table, prng);
    counts[number] = (counts[number] as number) + 1;
  }
  return counts;
}

describe('zipf', () => {
  it.each([1, 2, 10, 5000, 100_000])('deals %i ranks to as many numbers', (n) => {
    const { numbers, firsts, sums } = makeZipf(n, 0.9, 5);
    expect(new Set(numbers).size).toBe(n);
    expect([firsts[0], firsts.at(-1), sums.at(-1)]).toEqual([0, n, 1]);
  });

  it('draws rank k with weight k^-theta', () => {
    const counts = draws(50, 1, 200_000).sort((a, b) => b - a);
    const all = Array.from({ length: 50 }, (_, k) => 1 / (k + 1)).reduce((a, b) => a + b, 0);
    for (const rank of [1, 2, 5, 20]) {
      const expected = 200_000 / rank / all;
      expect(Math.abs((counts[rank - 1] as number) - expected)).toBeLessThan(5 * expected ** 0.5);
    }
  });

  it('is uniform at theta 0, also where ranks share an entry', () => {
    const counts = draws(3000, 0, 600_000);
    expect(Math.min(...counts)).toBeGreaterThan(120);
    expect(Math.max(...counts)).toBeLessThan(290);
  });

  it('gives the same for one seed, and another for another', () => {
    expect(makeZipf(100, 1, 3).numbers).toEqual(makeZipf(100, 1, 3).numbers);
    expect(makeZipf(100, 1, 4).numbers).not.toEqual(makeZipf(100, 1, 3).numbers);
  });
});

describe('latencies', () => {
  it('are right within an eighth of an octave', () => {
    for (const ns of [1, 9, 1000, 123_456, 2 ** 31 - 1, 2 ** 31, 3e9, 7e12]) {
      const latencies = makeLatencies(['x', 'get'], 2);
      addLatency(latencies, 1, 'get', ns);
      const { getP50Us = 0, getMaxUs } = latencyFigures(latencies);
      expect(getMaxUs).toBe(getP50Us);
      expect(Math.abs(getP50Us - ns / 1000)).toBeLessThanOrEqual(0.05 + (0.13 * ns) / 1000);
    }
  });

  it('have percentiles over all CPUs, and 0 where nothing was timed', () => {
    const latencies = makeLatencies(['get', 'set'], 2);
    for (let i = 0; i < 98; i++) addLatency(latencies, i % 2, 'get', 1000);
    addLatency(latencies, 0, 'get', 1e6);
    addLatency(latencies, 1, 'get', 1e9);
    const figures = latencyFigures(latencies);
    expect(figures.getP50Us).toBeCloseTo(1, 0);
    expect(figures.getP99Us).toBeGreaterThan(900);
    expect(figures.getP99Us).toBeLessThan(1100);
    expect(figures.getMaxUs).toBeGreaterThan(8e5);
    expect(figures).toMatchObject({ setP50Us: 0, setP99Us: 0, setMaxUs: 0 });
  });

  it('of several workloads are apart', () => {
    const all = makeFigures(['a.ops', 'b.ops'], 1, ['a.get', 'b.get']);
    const b = figuresOf(all, 'b.');
    addFigure(b, 0, 'ops', 2);
    addLatency(b.latencies, 0, 'get', 5000);
    expect(sumFigures(all)).toMatchObject({ 'a.ops': 0, 'b.ops': 2, 'a.getMaxUs': 0 });
    expect(sumFigures(all)['b.getP50Us']).toBeCloseTo(5, 0);
  });
});
