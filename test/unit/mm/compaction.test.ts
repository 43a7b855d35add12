// SPDX-License-Identifier: GPL-2.0-only
/** Allocations of several pages from memory that is free, but scattered. */
import { describe, expect, it } from 'vitest';
import { hasBlock } from '../../../dist/src/mm/compaction.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { folioTryGet } from '../../../dist/src/mm/folio.js';
import { MADV_DONTNEED, madvise } from '../../../dist/src/mm/madvise.js';
import { PFN_NONE, rmqueueBuddy } from '../../../dist/src/mm/page_alloc.js';
import { allocPages } from '../../../dist/src/mm/page_alloc_slow.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootForks, context, pfnOf, range, touch, verify } from '../../helpers/fork_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

const ORDER = 4;

/** Every second page of memory is free: no two side by side. */
function scattered() {
  const m = bootForks({ pages: 1024, swap: 'none' });
  const user = context(m, 1);
  expect(touch(m, user, range(0, 920))).toBe(0);
  drainEverything(m);
  for (let page = 0; page < 920; page++) {
    if (pfnOf(m, 1, page) % 2 !== 0) continue;
    expect(madvise(m, 1, FIRST_VPN + page, FIRST_VPN + page + 1, MADV_DONTNEED)).toBe(0);
    user.forget(FIRST_VPN + page, FIRST_VPN + page + 1);
  }
  drainEverything(m);
  // Larger blocks, which are left at the end, are somebody's.
  for (let order = 10; order > 0; order--) while (rmqueueBuddy(m, 0, order) !== PFN_NONE);
  return { m, user };
}

describe('compaction', () => {
  it('makes room for a block, and every page is as it was', () => {
    const { m, user } = scattered();
    expect(hasBlock(m, 0, ORDER)).toBe(false);
    const block = allocPages(m, 0, ORDER, true);
    expect(block).not.toBe(PFN_NONE);
    expect((block - 1) % (1 << ORDER)).toBe(0);
    const e = vmEvents(m);
    expect(e).toMatchObject({ compact_stall: 1, compact_success: 1, compact_fail: 0 });
    expect(e.pgmigrate_success).toBeGreaterThan(0);
    expect(e.compact_migrate_scanned).toBeGreaterThanOrEqual(e.compact_isolated);
    expect(verify(m, user).mismatches).toBe(0);
  });

  it('fails where every page in use is held, and gives back what it took', () => {
    const { m, user } = scattered();
    for (let page = 0; page < 920; page++) {
      const pfn = pfnOf(m, 1, page);
      if (pfn !== 0) expect(folioTryGet(m, pfn)).toBe(true);
    }
    expect(allocPages(m, 0, ORDER, true)).toBe(PFN_NONE);
    expect(vmEvents(m).compact_success).toBe(0);
    expect(vmEvents(m).compact_fail).toBeGreaterThan(0);
    for (let page = 0; page < 920; page++) {
      const pfn = pfnOf(m, 1, page);
      if (pfn !== 0) Atomics.sub(m.page.refcount, pfn, 1);
    }
    expect(verify(m, user).mismatches).toBe(0);
  });

  it('single pages never wait for it', () => {
    const { m } = scattered();
    expect(allocPages(m, 0, 0)).not.toBe(PFN_NONE);
    expect(vmEvents(m).compact_stall).toBe(0);
  });
});
