// SPDX-License-Identifier: GPL-2.0-only
/** The swap cache and its slots: what two threads could see between two steps of a third. */
import { describe, expect, it } from 'vitest';
import { fillPage, pageWords } from '../../../dist/src/mm/content.js';
import { folioSet, folioTryLock } from '../../../dist/src/mm/folio.js';
import { PG_DIRTY } from '../../../dist/src/mm/mm_types.js';
import { rmqueue } from '../../../dist/src/mm/page_alloc.js';
import { swapWriteout } from '../../../dist/src/mm/page_io.js';
import { addToSwap, CACHE_EXISTS, swapCacheInsert } from '../../../dist/src/mm/swap_state.js';
import { allocSlot } from '../../../dist/src/mm/swapfile.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { zeromapTest } from '../../../dist/src/mm/zeromap.js';
import { ZRAM_EMPTY, ZRAM_LZ } from '../../../dist/src/mm/zram.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

describe('swap_state', () => {
  it('does not give a slot away that is being handed out', () => {
    const m = bootFixture();
    const slot = allocSlot(m);
    const pfn = rmqueue(m, 0, 0);
    folioTryLock(m, pfn);
    expect(swapCacheInsert(m, pfn, slot)).toBe(CACHE_EXISTS);
  });

  it('keeps one copy of a slot that is written, zeroed and written again', () => {
    const m = bootFixture();
    const pfn = rmqueue(m, 0, 0);
    const write = (words: (page: Int32Array) => void): void => {
      words(pageWords(m, pfn));
      folioTryLock(m, pfn);
      expect(swapWriteout(m, pfn)).toBe(0);
    };
    folioTryLock(m, pfn);
    Atomics.add(m.memcg.own, 0, 1);
    const slot = addToSwap(m, pfn);
    Atomics.and(m.page.flags, pfn, ~(PG_DIRTY | 1));
    write((page) => fillPage(page, 1, 9));
    expect(m.zram.kind[slot]).toBe(ZRAM_LZ);
    write((page) => page.fill(0));
    expect([m.zram.kind[slot], zeromapTest(m, slot)]).toEqual([ZRAM_EMPTY, true]);
    write((page) => fillPage(page, 1, 10));
    expect([m.zram.kind[slot], zeromapTest(m, slot)]).toEqual([ZRAM_LZ, false]);
    folioSet(m, pfn, PG_DIRTY);
    const e = vmEvents(m);
    expect(e.pswpout).toBe(e.kr_swap_overwrite + e.kr_swap_slot_freed + 1);
    expect(e.swpout_zero).toBe(e.kr_swap_zero_freed);
  });
});
