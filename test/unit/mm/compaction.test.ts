// SPDX-License-Identifier: GPL-2.0-only
/** Allocations of several pages from memory that is free, but scattered. */
import { describe, expect, it } from 'vitest';
import { compactGap, hasBlock } from '../../../dist/src/mm/compaction.js';
import {
  kcompactdDoWork,
  kcompactdWanted,
  wakeupKcompactd,
} from '../../../dist/src/mm/compaction_daemon.js';
import {
  compactionDeferred,
  deferCompaction,
  deferReset,
} from '../../../dist/src/mm/compaction_defer.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { EINVAL, EPERM } from '../../../dist/src/mm/errno.js';
import { folioTryGet } from '../../../dist/src/mm/folio.js';
import { MADV_DONTNEED, madvise } from '../../../dist/src/mm/madvise.js';
import { PFN_NONE, rmqueueBuddy } from '../../../dist/src/mm/page_alloc.js';
import { allocPages } from '../../../dist/src/mm/page_alloc_slow.js';
import { readMachineFile, writeMachineFile } from '../../../dist/src/mm/proc_access.js';
import { balanceOut, balancePgdat, wakeupKswapd } from '../../../dist/src/mm/vmscan_kswapd.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootForks, context, pfnOf, range, touch, verify } from '../../helpers/fork_fixture.js';
import { FIRST_VPN, type FixtureOptions } from '../../helpers/mm_fixture.js';

const ORDER = 4;

/** Every second page of memory is free: no two side by side. */
function scattered(options: FixtureOptions = {}) {
  const m = bootForks({ pages: 1024, swap: 'none', ...options });
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

const never = (): boolean => false;

describe('kcompactd', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'makes a block of order %i, and counts what it looked at',
    (order) => {
      const { m, user } = scattered({ kcompactd: true });
      wakeupKcompactd(m, 0, order);
      wakeupKcompactd(m, 0, 1);
      expect(kcompactdWanted(m, 0)).toBe(true);
      kcompactdDoWork(m, 0, never);
      expect(kcompactdWanted(m, 0)).toBe(false);
      expect(hasBlock(m, 0, order)).toBe(true);
      const e = vmEvents(m);
      expect(e).toMatchObject({ compact_daemon_wake: 1, compact_stall: 0 });
      expect(e.compact_daemon_migrate_scanned).toBe(e.compact_migrate_scanned);
      expect(e.compact_daemon_free_scanned).toBe(e.compact_free_scanned);
      expect(e.compact_migrate_scanned).toBeGreaterThan(0);
      // It is there: nobody stalls for it.
      expect(allocPages(m, 0, order, true)).not.toBe(PFN_NONE);
      expect(vmEvents(m).compact_stall).toBe(0);
      expect(verify(m, user).mismatches).toBe(0);
    },
  );

  it('is asked for nothing where there is none, and for single pages', () => {
    const off = scattered().m;
    wakeupKcompactd(off, 0, ORDER);
    expect(kcompactdWanted(off, 0)).toBe(false);
    const { m } = scattered({ kcompactd: true });
    wakeupKcompactd(m, 0, 0);
    expect(kcompactdWanted(m, 0)).toBe(false);
    kcompactdDoWork(m, 0, never);
    expect(vmEvents(m).compact_daemon_wake).toBe(0);
  });

  it('is woken for a costly order where kswapd has nothing to do', () => {
    const { m } = scattered({ kcompactd: true });
    m.node.kswapdFailures[0] = 16;
    wakeupKswapd(m, 0, 0, 3);
    expect(kcompactdWanted(m, 0)).toBe(false);
    wakeupKswapd(m, 0, 0, 4);
    expect(kcompactdWanted(m, 0)).toBe(true);
  });

  it('passes over tries after failures, twice as many each time', () => {
    const { m } = scattered({ kcompactd: true });
    const passedOver = (order: number): number => {
      let tries = 0;
      while (compactionDeferred(m, 0, order)) tries++;
      return tries;
    };
    expect(passedOver(5)).toBe(0);
    deferReset(m, 0, 6, false);
    for (const expected of [1, 3, 7, 15, 31, 63, 63]) {
      deferCompaction(m, 0, 5);
      expect(passedOver(5)).toBe(expected);
    }
    deferCompaction(m, 0, 5);
    // A smaller order has not failed.
    expect(passedOver(4)).toBe(0);
    deferReset(m, 0, 5, true);
    expect(passedOver(5)).toBe(0);
  });

  it('gives up where every page in use is held, and is deferred then', () => {
    const { m } = scattered({ kcompactd: true });
    for (let page = 0; page < 920; page++) {
      const pfn = pfnOf(m, 1, page);
      if (pfn !== 0) expect(folioTryGet(m, pfn)).toBe(true);
    }
    for (let wakes = 0; wakes < 3; wakes++) {
      wakeupKcompactd(m, 0, ORDER);
      kcompactdDoWork(m, 0, never);
    }
    expect(hasBlock(m, 0, ORDER)).toBe(false);
    // The second wake was passed over.
    expect(m.zone.compactDeferShift[0]).toBe(2);
    expect(vmEvents(m).compact_daemon_wake).toBe(3);
  });

  it('compacts everything on request', () => {
    const { m, user } = scattered();
    expect(writeMachineFile(m, '/proc/sys/vm/compact_memory', '2')).toBe(EINVAL);
    expect(readMachineFile(m, '/proc/sys/vm/compact_memory')).toBe(EPERM);
    expect(writeMachineFile(m, '/proc/sys/vm/compact_memory', '1\n')).toBe(0);
    expect(hasBlock(m, 0, 8)).toBe(true);
    expect(verify(m, user).mismatches).toBe(0);
    expect(writeMachineFile(m, '/sys/devices/system/node/node0/compact', '1')).toBe(0);
  });

  it('kswapd leaves it a block once there are free pages enough', () => {
    const m = bootForks({ pages: 1024 });
    const user = context(m, 1);
    expect(touch(m, user, range(0, 960))).toBe(0);
    drainEverything(m);
    for (let order = 10; order > 1; order--) while (rmqueueBuddy(m, 0, order) !== PFN_NONE);
    // Every fourth page is held: there will be no block, whatever is reclaimed.
    const held = range(0, 960)
      .map((page) => pfnOf(m, 1, page))
      .filter((pfn) => pfn % 4 === 0);
    for (const pfn of held) expect(folioTryGet(m, pfn)).toBe(true);
    // All were used of late: the first pass finds that out.
    balancePgdat(m, 0, ORDER, never);
    balancePgdat(m, 0, ORDER, never);
    for (const pfn of held) Atomics.sub(m.page.refcount, pfn, 1);
    expect(balanceOut.order).toBe(0);
    expect(vmEvents(m).pgsteal_kswapd).toBeGreaterThanOrEqual(compactGap(ORDER));
    expect(vmEvents(m).pgsteal_kswapd).toBeLessThan(300);
    expect(verify(m, user).mismatches).toBe(0);
  });
});
