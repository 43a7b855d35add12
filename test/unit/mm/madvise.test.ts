// SPDX-License-Identifier: GPL-2.0-only
/** Advice and memory locks on one thread. */
import { describe, expect, it } from 'vitest';
import { folioTest } from '../../../dist/src/mm/folio.js';
import { lruSize } from '../../../dist/src/mm/lruvec.js';
import {
  MADV_COLD,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  madvise,
} from '../../../dist/src/mm/madvise.js';
import { mlock, munlock } from '../../../dist/src/mm/mlock.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  LRU_INACTIVE_FILE,
  LRU_UNEVICTABLE,
  MMF_OOM_VICTIM,
  PG_ACTIVE,
  PG_MLOCKED,
  PG_SWAPBACKED,
} from '../../../dist/src/mm/mm_types.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  bootForks,
  context,
  entryOf,
  exit,
  expectEmpty,
  expectSound,
  fork,
  pfnOf,
  READ,
  range,
  switchMm,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

const at = (page: number): number => FIRST_VPN + page;

function reclaim(m: Mm, pages: number): number {
  switchMm(m, 1);
  return tryToFreeMemcgPages(m, 1, pages, () => false);
}

describe('madvise', () => {
  it('behind a hole leaves locked memory alone as well', () => {
    const m = bootForks();
    const user = context(m, 1);
    munmap(m, 1, at(0), at(10));
    touch(m, user, range(10, 20));
    expect(mlock(m, 1, at(10), at(20))).toBe(0);
    expect(madvise(m, 1, at(5), at(20), MADV_DONTNEED)).toBe(-22);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(10);
    exit(m, 1);
    expectEmpty(m);
  });

  it('DONTNEED frees at once; the next touch finds a new page', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 50));
    expect(madvise(m, 1, at(10), at(20), MADV_DONTNEED)).toBe(0);
    user.forget(at(10), at(20));
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(40);
    expectSound(m);
    touch(m, user, range(0, 50), READ);
    expect(user.firstMismatch).toBeNull();
    expect(madvise(m, 1, at(8190), at(8200), MADV_DONTNEED)).toBe(-12);
    expect(madvise(m, 1, at(0), at(1), 99)).toBe(-22);
    exit(m, 1);
    expectEmpty(m);
  });

  it('FREE lets reclaim drop pages without slots, but not those stored to since', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 64));
    expect(madvise(m, 1, at(0), at(64), MADV_FREE)).toBe(0);
    user.forget(at(0), at(64), true);
    expect(vmEvents(m).pglazyfree).toBe(64);
    expect(lruSize(m, 1, LRU_INACTIVE_FILE)).toBe(64);
    expectSound(m);
    touch(m, user, range(0, 8));
    const kept = pfnOf(m, 1, 3);
    reclaim(m, 64);
    reclaim(m, 64);
    const e = vmEvents(m);
    expect(e.pglazyfreed).toBe(56);
    expect(e.pswpout).toBeLessThanOrEqual(8);
    expect(entryOf(m, 1, 20)).toBe(0);
    if (pfnOf(m, 1, 3) === kept) expect(folioTest(m, kept, PG_SWAPBACKED)).toBe(true);
    expectSound(m);
    touch(m, user, range(0, 64), READ);
    expect(user.firstMismatch).toBeNull();
    expect(verify(m, user)).toEqual({ pages: 64, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it('FREE leaves shared pages alone, and gives slots of swapped ones back', () => {
    const m = bootForks({ memcgMax: 100 });
    const user = context(m, 1);
    touch(m, user, range(0, 150));
    expect(Atomics.load(m.mm.swapEnts, 1)).toBeGreaterThan(0);
    const child = fork(m, user);
    expect(madvise(m, child.mm, at(0), at(150), MADV_FREE)).toBe(0);
    expect(Atomics.load(m.mm.swapEnts, child.mm)).toBe(0);
    expect(vmEvents(m).pglazyfree).toBe(0);
    expectSound(m);
    expect(touch(m, user, range(0, 150), READ)).toBe(0);
    expect(user.firstMismatch).toBeNull();
    exit(m, child.mm);
    exit(m, 1);
    expectEmpty(m);
  });

  it('PAGEOUT sends pages to swap however young; COLD makes them inactive', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 80));
    expect(madvise(m, 1, at(0), at(40), MADV_PAGEOUT)).toBe(0);
    expect(Atomics.load(m.mm.swapEnts, 1)).toBe(40);
    expect(vmEvents(m).pswpout).toBe(40);
    expectSound(m);
    lruAddDrain(m);
    const pfn = pfnOf(m, 1, 50);
    expect(madvise(m, 1, at(40), at(80), MADV_COLD)).toBe(0);
    expect(folioTest(m, pfn, PG_ACTIVE)).toBe(false);
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 80, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it('says how a range is read, and takes it back', () => {
    const m = bootForks();
    const user = context(m, 1);
    touch(m, user, range(0, 30));
    const heads = (): number => {
      let count = 0;
      let vma = m.mm.vmaHead[1] as number;
      for (; vma !== 0; vma = m.vma.next[vma] as number) count++;
      return count;
    };
    expect(madvise(m, 1, at(10), at(20), MADV_SEQUENTIAL)).toBe(0);
    expect(heads()).toBe(3);
    expect(madvise(m, 1, at(10), at(15), MADV_RANDOM)).toBe(0);
    expect(heads()).toBe(4);
    expectSound(m);
    expect(madvise(m, 1, at(0), at(30), MADV_NORMAL)).toBe(0);
    expect(heads()).toBe(1);
    expectSound(m);
  });
});

describe('mlock', () => {
  it('brings pages in and keeps them from reclaim until they are let go', () => {
    const m = bootForks({ memcgMax: 300 });
    const user = context(m, 1);
    touch(m, user, range(0, 20));
    expect(mlock(m, 1, at(0), at(50))).toBe(0);
    lruAddDrain(m);
    expect(lruSize(m, 1, LRU_UNEVICTABLE)).toBe(50);
    expect(Atomics.load(m.node.mlocked, 0)).toBe(50);
    expect(vmEvents(m).unevictable_pgs_mlocked).toBe(50);
    expectSound(m);
    touch(m, user, range(50, 500));
    for (const page of [0, 19, 20, 49]) expect(pfnOf(m, 1, page)).toBeGreaterThan(0);
    expect(madvise(m, 1, at(0), at(10), MADV_DONTNEED)).toBe(-22);
    expect(munlock(m, 1, at(0), at(25))).toBe(0);
    expect(Atomics.load(m.node.mlocked, 0)).toBe(25);
    expect(vmEvents(m).unevictable_pgs_rescued).toBe(25);
    expectSound(m);
    touch(m, user, range(50, 500));
    expect(pfnOf(m, 1, 30)).toBeGreaterThan(0);
    expectSound(m);
    expect(verify(m, user)).toEqual({ pages: 500, mismatches: 0, first: null });
    exit(m, 1);
    expectEmpty(m);
  });

  it('is not inherited; the page that both have stays for the one who locked it', () => {
    const m = bootForks({ memcgMax: 300 });
    const user = context(m, 1);
    touch(m, user, range(0, 20));
    mlock(m, 1, at(0), at(20));
    const child = fork(m, user);
    touch(m, child, range(100, 500));
    expect(pfnOf(m, 1, 5)).toBeGreaterThan(0);
    expect(folioTest(m, pfnOf(m, 1, 5), PG_MLOCKED)).toBe(true);
    exit(m, 1);
    expectSound(m);
    expect(Atomics.load(m.node.mlocked, 0)).toBe(0);
    expect(verify(m, child)).toEqual({ pages: 420, mismatches: 0, first: null });
    exit(m, child.mm);
    expectEmpty(m);
  });

  it('of a process that is killed ends where it is', () => {
    const m = bootForks();
    switchMm(m, 1);
    expect(mlock(m, 1, at(0), at(50))).toBe(0);
    Atomics.or(m.mm.flags, 1, MMF_OOM_VICTIM);
    expect(mlock(m, 1, at(50), at(200))).toBe(-4);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(50);
    exit(m, 1);
    expectEmpty(m);
  });
});
