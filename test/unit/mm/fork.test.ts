// SPDX-License-Identifier: GPL-2.0-only
/** Fork and copy on write on one thread: sharing, breaking it, swap, rmap, rows. */
import { describe, expect, it } from 'vitest';
import { folioLock, folioTryGet, folioUnlock } from '../../../dist/src/mm/folio.js';
import { dupMm } from '../../../dist/src/mm/fork.js';
import { allocMm } from '../../../dist/src/mm/mm_rows.js';
import { PTE_WRITE } from '../../../dist/src/mm/mm_types.js';
import { folioMapcount, folioReferenced } from '../../../dist/src/mm/rmap.js';
import { folioPut, lruAddDrain } from '../../../dist/src/mm/swap.js';
import { addToSwap } from '../../../dist/src/mm/swap_state.js';
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

describe('fork', () => {
  it('shares every page read-only, and a store of either side gets its own', () => {
    const m = bootForks();
    const parent = context(m, 1);
    expect(touch(m, parent, range(0, 100))).toBe(0);
    const child = fork(m, parent);
    expectSound(m);
    for (const page of [0, 99]) {
      expect(pfnOf(m, child.mm, page)).toBe(pfnOf(m, 1, page));
      expect(folioMapcount(m, pfnOf(m, 1, page))).toBe(2);
      expect(entryOf(m, 1, page) & PTE_WRITE).toBe(0);
      expect(entryOf(m, child.mm, page) & PTE_WRITE).toBe(0);
    }
    expect(touch(m, child, range(0, 50))).toBe(0);
    expect(touch(m, parent, range(25, 75))).toBe(0);
    expect(pfnOf(m, child.mm, 10)).not.toBe(pfnOf(m, 1, 10));
    expect(pfnOf(m, child.mm, 80)).toBe(pfnOf(m, 1, 80));
    expect(touch(m, parent, range(0, 100), READ)).toBe(0);
    expect(touch(m, child, range(0, 100), READ)).toBe(0);
    expect(parent.mismatches + child.mismatches).toBe(0);
    // Copied: the child's 50, and the parent's of those that were still shared.
    expect(vmEvents(m).pgreuse).toBe(25);
    expectSound(m);
    expect(verify(m, parent)).toEqual({ pages: 100, mismatches: 0, first: null });
    expect(verify(m, child)).toEqual({ pages: 100, mismatches: 0, first: null });
    exit(m, 1);
    expectSound(m);
    expect(touch(m, child, range(0, 120))).toBe(0);
    expect(verify(m, child)).toEqual({ pages: 120, mismatches: 0, first: null });
    exit(m, child.mm);
    expectEmpty(m);
  });

  it('finds a page that the other side wrote to: what is expected of a copy is its own', () => {
    const m = bootForks();
    const parent = context(m, 1);
    touch(m, parent, [3]);
    const child = fork(m, parent);
    // As if the child had never got a copy of its own.
    const pte = pfnOf(m, 1, 3);
    touch(m, child, [3]);
    m.frame32[0]?.copyWithin(
      pte * 1024,
      pfnOf(m, child.mm, 3) * 1024,
      pfnOf(m, child.mm, 3) * 1024 + 1024,
    );
    touch(m, parent, [3], READ);
    expect(parent.mismatches).toBe(1);
  });

  it('the rmap of a shared page sees both, and of a copied one its owner', () => {
    const m = bootForks();
    const parent = context(m, 1);
    touch(m, parent, [3, 4]);
    const child = fork(m, parent);
    touch(m, child, [3, 4], READ);
    touch(m, parent, [3, 4], READ);
    lruAddDrain(m);
    const pfn = pfnOf(m, 1, 3);
    folioLock(m, pfn);
    expect(folioReferenced(m, pfn, 0, true)).toBe(2);
    expect(folioReferenced(m, pfn, 0, true)).toBe(0);
    folioUnlock(m, pfn);
    touch(m, child, [4]);
    const copy = pfnOf(m, child.mm, 4);
    expect(m.page.mapping[copy]).not.toBe(m.page.mapping[pfnOf(m, 1, 4)]);
    folioLock(m, copy);
    expect(folioReferenced(m, copy, 0, true)).toBe(1);
    folioUnlock(m, copy);
    exit(m, 1);
    exit(m, child.mm);
    expectEmpty(m);
  });

  it('swaps shared pages out of all who have them, and brings them back right', () => {
    const m = bootForks({ memcgMax: 300 });
    const parent = context(m, 1);
    expect(touch(m, parent, range(0, 250))).toBe(0);
    const child = fork(m, parent);
    const grandchild = fork(m, child);
    const all = [parent, child, grandchild];
    for (let round = 0; round < 3; round++) {
      for (const user of all) {
        expect(touch(m, user, range(0, 250), READ)).toBe(0);
        expect(touch(m, user, range(round * 60, round * 60 + 90))).toBe(0);
        expectSound(m);
      }
      switchMm(m, 1);
      expect(tryToFreeMemcgPages(m, 1, 100, () => false)).toBeGreaterThan(0);
      expectSound(m);
    }
    expect(vmEvents(m).pswpin).toBeGreaterThan(300);
    for (const user of all) {
      expect(user.firstMismatch).toBeNull();
      expect(verify(m, user)).toEqual({ pages: 250, mismatches: 0, first: null });
    }
    for (const mm of [child.mm, 1, grandchild.mm]) {
      exit(m, mm);
      expectSound(m);
    }
    expectEmpty(m);
  });

  it('shares swapped pages that neither brought back, through the swap cache', () => {
    const m = bootForks({ memcgMax: 300, swapSynchronous: false });
    const parent = context(m, 1);
    touch(m, parent, range(0, 250));
    switchMm(m, 1);
    tryToFreeMemcgPages(m, 1, 200, () => false);
    const child = fork(m, parent);
    expectSound(m);
    for (const user of [child, parent, child]) expect(touch(m, user, range(0, 250), READ)).toBe(0);
    expectSound(m);
    for (const user of [parent, child]) expect(touch(m, user, range(0, 250))).toBe(0);
    for (const user of [parent, child]) {
      expect(verify(m, user)).toEqual({ pages: 250, mismatches: 0, first: null });
    }
    exit(m, child.mm);
    exit(m, 1);
    expectEmpty(m);
  });

  it('a page that is copied away from its last owner leaves the swap cache', () => {
    const m = bootForks();
    const parent = context(m, 1);
    touch(m, parent, [3]);
    const child = fork(m, parent);
    exit(m, child.mm);
    lruAddDrain(m);
    const old = pfnOf(m, 1, 3);
    folioLock(m, old);
    expect(addToSwap(m, old)).toBeGreaterThan(0);
    folioUnlock(m, old);
    // As one that reclaim has isolated: a store must not take it for its own.
    expect(folioTryGet(m, old)).toBe(true);
    expect(touch(m, parent, [3])).toBe(0);
    expect(pfnOf(m, 1, 3)).not.toBe(old);
    folioPut(m, old);
    expect(Atomics.load(m.page.refcount, old)).toBe(0);
    expectSound(m);
    exit(m, 1);
    expectEmpty(m);
  });

  it('a line of forks keeps few anon_vmas, whoever ends first', () => {
    const m = bootForks();
    let user = context(m, 1);
    touch(m, user, range(0, 20));
    for (let generation = 0; generation < 30; generation++) {
      const child = fork(m, user);
      expect(touch(m, child, range(generation % 10, 20))).toBe(0);
      exit(m, user.mm);
      expectSound(m);
      user = child;
    }
    expect(verify(m, user)).toEqual({ pages: 20, mismatches: 0, first: null });
    exit(m, user.mm);
    expectEmpty(m);
  });

  it.each([
    ['VMAs', { vmasMax: 1 }],
    ['page tables', { pageTables: 6 }],
  ])('without %s it fails, and takes back what it did', (_, options) => {
    const m = bootForks(options);
    const parent = context(m, 1);
    touch(m, parent, range(0, 600));
    const child = allocMm(m);
    expect(dupMm(m, 1, child)).toBe(-12);
    expectSound(m);
    expect(touch(m, parent, range(0, 600))).toBe(0);
    expect(verify(m, parent)).toEqual({ pages: 600, mismatches: 0, first: null });
    exit(m, child);
    exit(m, 1);
    expectEmpty(m);
  });

  it('has as many address spaces as were asked for', () => {
    const m = bootForks({ mmsMax: 3 });
    const made = [allocMm(m), allocMm(m), allocMm(m)];
    expect(made).toEqual([2, 3, 0]);
    exit(m, 2);
    expect(allocMm(m)).toBe(2);
    exit(m, 3);
    exit(m, 2);
    exit(m, 1);
    expectEmpty(m);
  });
});
