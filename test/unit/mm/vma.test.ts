// SPDX-License-Identifier: GPL-2.0-only
/** VMAs on one thread: splitting, merging, unmapping, protecting, moving; a model as the oracle. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MADV_DONTNEED, MADV_FREE, madvise } from '../../../dist/src/mm/madvise.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { VM_READ, VM_WRITE } from '../../../dist/src/mm/mm_types.js';
import { mmapAnon } from '../../../dist/src/mm/mmap.js';
import { mprotect } from '../../../dist/src/mm/mprotect.js';
import { mremap } from '../../../dist/src/mm/mremap.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { allocTable, freeTable } from '../../../dist/src/mm/pgtable.js';
import { POOL_ANON_VMAS, poolInUse } from '../../../dist/src/mm/row_pool.js';
import { RUN_SIGSEGV } from '../../../dist/src/mm/user.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  bootForks,
  context,
  exit,
  expectEmpty,
  expectSound,
  fork,
  moved,
  pfnOf,
  READ,
  range,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

const at = (page: number): number => FIRST_VPN + page;

/** Ranges of the process's VMAs, in pages of the fixture. */
function vmas(m: Mm, mm = 1): [number, number][] {
  const found: [number, number][] = [];
  for (let vma = m.mm.vmaHead[mm] as number; vma !== 0; vma = m.vma.next[vma] as number) {
    found.push([(m.vma.start[vma] as number) - FIRST_VPN, (m.vma.end[vma] as number) - FIRST_VPN]);
  }
  return found;
}

describe('munmap', () => {
  it('takes a piece out of the middle: pages free, the rest as it was, new ones fresh', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 100));
    expect(munmap(m, 1, at(20), at(40))).toBe(0);
    user.forget(at(20), at(40));
    expect(vmas(m)).toEqual([
      [0, 20],
      [40, 8192],
    ]);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(80);
    expectSound(m);
    expect(touch(m, user, [30], READ)).toBe(RUN_SIGSEGV);
    expect(touch(m, user, [0, 19, 40, 99], READ)).toBe(0);
    expect(mmapAnon(m, 1, at(20), at(40))).toBeGreaterThan(0);
    expect(vmas(m)).toEqual([[0, 8192]]);
    expect(touch(m, user, range(10, 50), READ)).toBe(0);
    expect(user.firstMismatch).toBeNull();
    expect(verify(m, user)).toEqual({ pages: 100, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it('over swapped pages gives their slots back', () => {
    const m = bootForks({ memcgMax: 200 });
    const user = context(m, 1);
    touch(m, user, range(0, 400));
    expect(Atomics.load(m.mm.swapEnts, 1)).toBeGreaterThan(100);
    expect(munmap(m, 1, at(0), at(400))).toBe(0);
    expect(Atomics.load(m.mm.swapEnts, 1)).toBe(0);
    expectSound(m);
    exit(m, 1);
    expectEmpty(m);
  });

  it('refuses what is no range, and splits that it has no rows for', () => {
    const m = bootForks({ vmasMax: 1 });
    expect(munmap(m, 1, 5, 5)).toBe(-22);
    expect(munmap(m, 1, at(1), at(2))).toBe(-12);
    expect(vmas(m)).toEqual([[0, 8192]]);
    expect(munmap(m, 1, at(0), at(8192))).toBe(0);
    expect(vmas(m)).toEqual([]);
  });
});

describe('mprotect', () => {
  it('forbids stores and allows them again; the page stays the same', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 30));
    const pfn = pfnOf(m, 1, 12);
    expect(mprotect(m, 1, at(10), at(20), VM_READ)).toBe(0);
    expect(vmas(m)).toHaveLength(3);
    expect(touch(m, user, [12], READ)).toBe(0);
    expect(touch(m, user, [12])).toBe(RUN_SIGSEGV);
    expect(touch(m, user, [9, 20])).toBe(0);
    expect(mprotect(m, 1, at(10), at(20), VM_READ | VM_WRITE)).toBe(0);
    expect(vmas(m)).toEqual([[0, 8192]]);
    expect(touch(m, user, range(0, 30))).toBe(0);
    expect(pfnOf(m, 1, 12)).toBe(pfn);
    expect(vmEvents(m).pgreuse).toBe(10);
    expect(mprotect(m, 1, at(8000), at(9000), VM_READ)).toBe(-12);
    expect(mprotect(m, 1, at(0), at(10), 0)).toBe(-22);
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 30, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it('a read-only page of a parent is the child’s too, and copied when both may write', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 10));
    mprotect(m, 1, at(0), at(10), VM_READ);
    const child = fork(m, user);
    expect(mprotect(m, child.mm, at(0), at(10), VM_READ | VM_WRITE)).toBe(0);
    expect(touch(m, child, range(0, 10))).toBe(0);
    expect(touch(m, user, range(0, 10), READ)).toBe(0);
    for (const each of [user, child]) {
      expect(verify(m, each)).toEqual({ pages: 10, mismatches: 0, first: null });
    }
    exit(m, 1);
    exit(m, child.mm);
    expectEmpty(m);
  });
});

describe('merging', () => {
  it('neighbours that were faulted apart share an anon_vma, so that they can be one', () => {
    const m = bootForks();
    munmap(m, 1, at(0), at(8192));
    mmapAnon(m, 1, at(0), at(10));
    mmapAnon(m, 1, at(10), at(20), VM_READ);
    mmapAnon(m, 1, at(20), at(30));
    const user = context(m, 1);
    touch(m, user, range(0, 10));
    touch(m, user, range(20, 30));
    expect(poolInUse(m, POOL_ANON_VMAS)).toBe(2);
    touch(m, user, range(10, 20), READ);
    expect(poolInUse(m, POOL_ANON_VMAS)).toBe(2);
    expectSound(m);
    expect(mprotect(m, 1, at(10), at(20), VM_READ | VM_WRITE)).toBe(0);
    // The middle has the anon_vma of the one above it; the one below has its own.
    expect(vmas(m)).toEqual([
      [0, 10],
      [10, 30],
    ]);
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 30, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });
});

describe('mremap', () => {
  it('moves pages, resident and swapped: the rmap and the contents follow', () => {
    const m = bootForks({ memcgMax: 250 });
    munmap(m, 1, at(700), at(8192));
    const user = context(m, 1);
    touch(m, user, range(0, 400));
    expect(mremap(m, 1, at(100), 300, 300, at(1000))).toBe(0);
    moved(user, at(100), at(1000), 300);
    expect(vmas(m)).toEqual([
      [0, 100],
      [400, 700],
      [1000, 1300],
    ]);
    expectSound(m);
    expect(touch(m, user, range(1000, 1300), READ)).toBe(0);
    expect(touch(m, user, range(1100, 1200))).toBe(0);
    expect(touch(m, user, [100], READ)).toBe(RUN_SIGSEGV);
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 400, mismatches: 0, first: null });
    expect(mremap(m, 1, at(1000), 300, 300, at(100))).toBe(0);
    moved(user, at(1000), at(100), 300);
    expect(vmas(m)).toEqual([[0, 700]]);
    expect(touch(m, user, range(0, 400), READ)).toBe(0);
    expect(user.firstMismatch).toBeNull();
    exit(m, 1);
    expectEmpty(m);
  });

  it('grows where there is room, shrinks anywhere', () => {
    const m = bootForks();
    munmap(m, 1, at(100), at(8192));
    const user = context(m, 1);
    touch(m, user, range(0, 100));
    expect(mremap(m, 1, at(0), 100, 200)).toBe(0);
    expect(touch(m, user, range(0, 200))).toBe(0);
    expect(mremap(m, 1, at(0), 200, 50)).toBe(0);
    user.forget(at(50), at(200));
    expect(vmas(m)).toEqual([[0, 50]]);
    expect(mmapAnon(m, 1, at(60), at(70))).toBeGreaterThan(0);
    expect(mremap(m, 1, at(0), 50, 70)).toBe(-12);
    expect(mremap(m, 1, at(0), 50, 50, at(30))).toBe(-22);
    expect(mremap(m, 1, at(0), 55, 60)).toBe(-14);
    expect(mremap(m, 1, at(0), 50, 50, at(20))).toBe(-22);
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 50, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it.each([0, 1, 2, 3])('without page tables, %i left, everything stays', (left) => {
    const m = bootForks({ pageTables: 32 });
    munmap(m, 1, at(2048), at(8192));
    const user = context(m, 1);
    const pages = [...range(0, 512), ...range(1024, 1536)];
    touch(m, user, pages);
    const taken: number[] = [];
    for (let table = allocTable(m, 1, 0); table !== 0; table = allocTable(m, 1, 0)) {
      taken.push(table);
    }
    for (const table of taken.splice(0, left)) freeTable(m, 1, table);
    // Half a table further on: four tables there, of which the third lies behind a hole.
    expect(mremap(m, 1, at(0), 1536, 1536, at(4096 + 256))).toBe(-12);
    expect(mremap(m, 1, at(0), 1536, 1500, at(4096 + 256))).toBe(-12);
    for (const table of taken) freeTable(m, 1, table);
    expect(vmas(m)).toEqual([[0, 2048]]);
    expectSound(m);
    expect(touch(m, user, pages, READ)).toBe(0);
    expect(verify(m, user)).toEqual({ pages: 1024, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it('in a forked process leaves the other where it was', () => {
    const m = bootForks({ memcgMax: 300 });
    munmap(m, 1, at(700), at(8192));
    const user = context(m, 1);
    touch(m, user, range(0, 200));
    const child = fork(m, user);
    expect(mremap(m, child.mm, at(0), 200, 200, at(1000))).toBe(0);
    moved(child, at(0), at(1000), 200);
    expectSound(m);
    touch(m, child, range(1000, 1100));
    touch(m, user, range(50, 250));
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 250, mismatches: 0, first: null });
    exit(m, 1);
    expectSound(m);
    expect(verify(m, child).mismatches).toBe(0);
    exit(m, child.mm);
    expectEmpty(m);
  });
});

describe('shootdowns', () => {
  const stops: [string, (m: Mm, user: ReturnType<typeof context>) => unknown][] = [
    ['munmap', (m) => munmap(m, 1, at(0), at(5))],
    ['mprotect', (m) => mprotect(m, 1, at(0), at(5), VM_READ)],
    ['mremap', (m) => mremap(m, 1, at(0), 5, 5, at(9000))],
    ['MADV_DONTNEED', (m) => madvise(m, 1, at(0), at(5), MADV_DONTNEED)],
    ['MADV_FREE', (m) => madvise(m, 1, at(0), at(5), MADV_FREE)],
    ['fork', (m, user) => fork(m, user)],
  ];
  it.each(stops)('%s waits until other CPUs cannot use what it took away', (_, stop) => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 5));
    const before = vmEvents(m).kr_shootdown;
    stop(m, user);
    expect(vmEvents(m).kr_shootdown - before).toBe(1);
  });

  it('a copy on write waits, and a page that is reused does not', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 5));
    const child = fork(m, user);
    const before = vmEvents(m).kr_shootdown;
    touch(m, child, [3]);
    expect(vmEvents(m).kr_shootdown - before).toBe(1);
    touch(m, user, [3]);
    expect(vmEvents(m).kr_shootdown - before).toBe(1);
  });
});

/** One call of the model test: pages of a space of 64. */
type Call = { readonly op: number; readonly from: number; readonly pages: number };
const SPACE = 64;

describe('address spaces against a model', () => {
  it('any sequence of mmap, munmap, mprotect, stores and forks (property)', () => {
    const call = fc.record({
      op: fc.integer({ min: 0, max: 5 }),
      from: fc.integer({ min: 0, max: SPACE - 1 }),
      pages: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 25 }), (calls) => runModel(calls)),
      { numRuns: 25, seed: 7 },
    );
  });
});

/** Each page: 0 unmapped, 1 read-only, 2 writable. */
function runModel(calls: readonly Call[]): void {
  const m = bootForks({ memcgMax: 100, mmsMax: 12 });
  munmap(m, 1, at(0), at(8192));
  const pages = new Uint8Array(SPACE);
  const user = context(m, 1);
  const children: ReturnType<typeof context>[] = [];
  for (const { op, from, pages: length } of calls) {
    const to = Math.min(SPACE, from + length);
    const part = pages.subarray(from, to);
    if (op === 0) {
      const free = part.every((state) => state === 0);
      expect(mmapAnon(m, 1, at(from), at(to)) !== 0).toBe(free);
      if (free) part.fill(2);
    } else if (op === 1) {
      expect(munmap(m, 1, at(from), at(to))).toBe(0);
      user.forget(at(from), at(to));
      part.fill(0);
    } else if (op === 2 || op === 3) {
      const mapped = part.every((state) => state !== 0);
      const prot = op === 2 ? VM_READ : VM_READ | VM_WRITE;
      expect(mprotect(m, 1, at(from), at(to), prot)).toBe(mapped ? 0 : -12);
      if (mapped) part.fill(op - 1);
    } else if (op === 4) {
      for (let page = from; page < to; page++) {
        expect(touch(m, user, [page])).toBe(pages[page] === 2 ? 0 : RUN_SIGSEGV);
        expect(touch(m, user, [page], READ)).toBe(pages[page] === 0 ? RUN_SIGSEGV : 0);
      }
    } else if (children.length < 4) children.push(fork(m, user));
  }
  expectSound(m);
  const ranges = vmas(m).flatMap(([start, end]) => range(start, end));
  expect(ranges).toEqual(range(0, SPACE).filter((page) => pages[page] !== 0));
  for (const each of [user, ...children]) {
    expect(each.firstMismatch).toBeNull();
    expect(verify(m, each).first).toBeNull();
    exit(m, each.mm);
  }
  expectEmpty(m);
}
