// SPDX-License-Identifier: GPL-2.0-only
/** The exact policies against the bundled figures, and against the plainest code that could be. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OFFLINE_POLICIES, offlineRefaults } from '../../../../dist/src/report/offline_policies.js';
import { readReference } from '../../../../dist/src/workload/reference.js';
import { readTrace } from '../../../../dist/src/workload/trace.js';
import { TraceBuilder } from '../../../../dist/src/workload/trace_builder.js';

describe('the bundled traces', async () => {
  const rows = await readReference('traces/reference.json');

  for (const name of ['sort', 'sqlite']) {
    const limits = rows.filter((row) => row.trace === name);
    const trace = await readTrace(`traces/${name}.ftrc.gz`);

    it(`${name} has four limits of its footprint`, () => {
      expect(limits.map((row) => row.frac)).toEqual([0.25, 0.5, 0.75, 0.9]);
      for (const row of limits) {
        expect(row.pages).toBe(trace.pages.length);
        expect(row.limitPages).toBe(Math.floor(row.frac * row.pages));
      }
    });

    for (const row of limits) {
      it(`${name} at ${row.frac * 100} % gives the reference's refaults`, () => {
        const refaults = OFFLINE_POLICIES.map((policy) => [
          policy,
          offlineRefaults(trace, row.limitPages, policy),
        ]);
        expect(Object.fromEntries(refaults)).toEqual(row.offline);
      });
    }
  }
});

/** Misses by lists and searches. */
const NAIVE: Record<string, (pages: number[], frames: number) => number> = {
  lru(pages, frames) {
    let resident: number[] = [];
    let misses = 0;
    for (const page of pages) {
      if (!resident.includes(page)) misses++;
      resident = [page, ...resident.filter((other) => other !== page)].slice(0, frames);
    }
    return misses;
  },
  fifo(pages, frames) {
    const resident: number[] = [];
    let misses = 0;
    for (const page of pages) {
      if (resident.includes(page)) continue;
      misses++;
      resident.unshift(page);
      if (resident.length > frames) resident.pop();
    }
    return misses;
  },
  clock(pages, frames) {
    // A queue whose oldest page goes round again where its bit is set.
    const queue: { page: number; bit: boolean }[] = [];
    let misses = 0;
    for (const page of pages) {
      const hit = queue.find((entry) => entry.page === page);
      if (hit !== undefined) {
        hit.bit = true;
        continue;
      }
      misses++;
      while (queue.length === frames) {
        const oldest = queue.shift()!;
        if (oldest.bit) queue.push({ page: oldest.page, bit: false });
      }
      queue.push({ page, bit: true });
    }
    return misses;
  },
  min(pages, frames) {
    const resident: number[] = [];
    let misses = 0;
    for (const [i, page] of pages.entries()) {
      if (resident.includes(page)) continue;
      misses++;
      if (resident.length === frames) {
        const due = (other: number) => {
          const next = pages.indexOf(other, i + 1);
          return next < 0 ? Infinity : next;
        };
        resident.sort((a, b) => due(a) - due(b) || a - b);
        resident.pop();
      }
      resident.push(page);
    }
    return misses;
  },
};

describe('any trace', () => {
  const page = fc.integer({ min: 0, max: 14 });
  const pages = fc.array(page, { minLength: 1, maxLength: 150, size: 'max' });
  for (const policy of OFFLINE_POLICIES) {
    it(`has the refaults of a naive ${policy}`, () => {
      fc.assert(
        fc.property(pages, fc.integer({ min: 1, max: 16 }), (list, frames) => {
          const builder = new TraceBuilder('t', 'generated');
          for (const page of list) builder.add(page * 300, 0);
          const naive = NAIVE[policy]!(list, frames) - new Set(list).size;
          expect(offlineRefaults(builder.finish(), frames, policy)).toBe(naive);
        }),
        { numRuns: 300 },
      );
    });
  }

  it('needs a frame', () => {
    const builder = new TraceBuilder('t', 'generated');
    builder.add(1, 0);
    expect(() => offlineRefaults(builder.finish(), 0, 'lru')).toThrow('at least one frame');
  });
});
