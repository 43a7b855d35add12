// SPDX-License-Identifier: GPL-2.0-only
/**
 * The buddy allocator: conservation under random allocation and freeing, and splitting and merging.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spinLock, spinUnlock } from '../../../dist/shared/spinlock.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  freeOnePageLocked,
  freePage,
  PFN_NONE,
  rmqueue,
  rmqueueBuddy,
} from '../../../dist/src/mm/page_alloc.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

const LC_ZONE = 12;

function freeBlock(m: Mm, pfn: number, order: number): void {
  spinLock(m.zoneLock, 0, LC_ZONE);
  freeOnePageLocked(m, 0, pfn, order);
  spinUnlock(m.zoneLock, 0, LC_ZONE);
}

function put(m: Mm, pfn: number): void {
  Atomics.sub(m.page.refcount, pfn, 1);
  freePage(m, pfn);
}

describe('page_alloc', () => {
  it('boots with every managed page free', () => {
    const m = bootFixture({ pages: 1537 });
    expect(Atomics.load(m.zone.nrFree, 0)).toBe(1537);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('hands out every page once, and merges them all back', () => {
    const m = bootFixture({ pages: 1024 });
    const before = Array.from(m.freeArea.subarray(0, 11));
    const seen = new Set<number>();
    for (let pfn = rmqueue(m, 0, 0); pfn !== PFN_NONE; pfn = rmqueue(m, 0, 0)) seen.add(pfn);
    expect(seen.size).toBe(1024);
    for (const pfn of seen) put(m, pfn);
    drainEverything(m);
    expect(Array.from(m.freeArea.subarray(0, 11))).toEqual(before);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('never gives out overlapping blocks of mixed orders (property)', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ order: fc.integer({ min: 0, max: 5 }), free: fc.boolean(), at: fc.nat(64) }),
          {
            maxLength: 120,
          },
        ),
        (steps) => {
          const m = bootFixture({ pages: 700 });
          const held: { pfn: number; order: number }[] = [];
          const owner = new Uint8Array(m.sizes.nrPages);
          for (const step of steps) {
            if (step.free && held.length > 0) {
              const [block] = held.splice(step.at % held.length, 1);
              if (block === undefined) continue;
              owner.fill(0, block.pfn, block.pfn + (1 << block.order));
              freeBlock(m, block.pfn, block.order);
              continue;
            }
            const pfn = rmqueueBuddy(m, 0, step.order);
            if (pfn === PFN_NONE) continue;
            for (let i = 0; i < 1 << step.order; i++) {
              expect(owner[pfn + i]).toBe(0);
              owner[pfn + i] = 1;
            }
            held.push({ pfn, order: step.order });
          }
          for (const block of held) freeBlock(m, block.pfn, block.order);
          expect(Atomics.load(m.zone.nrFree, 0)).toBe(700);
          expect(checkQuiescent(m).violations).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('names a page that is freed while somebody holds it', () => {
    const m = bootFixture();
    const pfn = rmqueue(m, 0, 0);
    expect(() => freePage(m, pfn)).toThrow(`freeing pfn ${pfn} with 1 references`);
  });
});
