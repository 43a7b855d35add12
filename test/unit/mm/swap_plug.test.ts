// SPDX-License-Identifier: GPL-2.0-only
/** Writes to a swap file that are under way, and the order in which readahead reads. */
import { afterEach, describe, expect, it } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { folioTest, folioWaitWriteback } from '../../../dist/src/mm/folio.js';
import { lruHead, lruvecRow } from '../../../dist/src/mm/lruvec.js';
import { tryChargeSwap } from '../../../dist/src/mm/memcg_swap.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  LRU_INACTIVE_ANON,
  PG_READAHEAD,
  PTE_PRESENT,
  PTE_YOUNG,
} from '../../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { scanControl } from '../../../dist/src/mm/scan_control.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { clusterLock, clusterUnlock } from '../../../dist/src/mm/swap_cluster.js';
import { plugFinish, plugPoll, plugSubmit, plugTick } from '../../../dist/src/mm/swap_plug.js';
import { allocSlot, putCacheRefLocked } from '../../../dist/src/mm/swapfile.js';
import { reclaimThrottleIsolated } from '../../../dist/src/mm/throttle.js';
import { shrinkNode } from '../../../dist/src/mm/vmscan.js';
import { shrinkInactiveList } from '../../../dist/src/mm/vmscan_lists.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';
import {
  bootedSwap,
  expectWhole,
  PAGES,
  READ,
  reclaim,
  slotsOf,
  touch,
  WRITE,
} from '../../helpers/swap_fixture.js';

const FILE = { swap: 'file' as const, pageCluster: 0 };

let machine: Mm | null = null;
afterEach(() => {
  leaveFaults();
  if (machine !== null) plugFinish(machine);
});

/** So many pages scanned take longer than the device. */
const DEVICE_PAGES = 1000;

/** Nobody has used any page of late. */
function forget(m: Mm): void {
  const first = pteOffset(m, 1, FIRST_VPN);
  for (let i = 0; i < PAGES; i++) {
    const entry = Atomics.load(m.pte, first + i);
    if ((entry & PTE_PRESENT) !== 0) Atomics.and(m.pte, first + i, ~PTE_YOUNG);
  }
}

/** Boots a process whose pages nobody has used lately. */
function idleSwap(options = {}) {
  const swap = bootedSwap({ ...FILE, ...options });
  machine = swap.m;
  forget(swap.m);
  return swap;
}

/** Pages of the process that are in memory, mapped or in the swap cache. */
function residentOf(m: Mm): number {
  return slotsOf(m).filter((slot) => slot === 0).length + Atomics.load(m.node.swapCache, 0);
}

/** One turn of a pass. @returns pages reclaimed */
function turn(m: Mm): number {
  const sc = scanControl('direct', 1, 60);
  return shrinkInactiveList(m, 32, lruvecRow(m, 1, 0), sc, LRU_INACTIVE_ANON);
}

const underWay = (m: Mm): number => Atomics.load(m.node.writeback, 0);
const cachedOf = (m: Mm): number[] =>
  slotsOf(m)
    .filter((slot) => slot !== 0)
    .map((slot) => m.slot.cache[slot] as number);

/** Slots of the pages on the inactive list, the youngest first; 0 for one without. */
function listed(m: Mm): number[] {
  const head = lruHead(m, lruvecRow(m, 1, 0), LRU_INACTIVE_ANON);
  const slots: number[] = [];
  for (let at = m.link.next[head] as number; at !== head; at = m.link.next[at] as number) {
    slots.push(m.page.private[at] as number);
  }
  return slots;
}

describe('a write to a swap file', () => {
  it('is kept back until the pass ends: no turn of it gets back what another wrote', () => {
    const swap = idleSwap();
    const { m } = swap;
    for (let i = 1; i <= 3; i++) {
      expect(turn(m)).toBe(0);
      expect(underWay(m)).toBe(32 * i);
    }
    expect(vmEvents(m)).toMatchObject({ pswpout: PAGES, pgrotated: 0 });
    plugFinish(m);
    expect(underWay(m)).toBe(0);
    expect(vmEvents(m).pgrotated).toBe(PAGES);
    expect(turn(m)).toBe(32);
    expectWhole(swap);
  });

  it('takes as long as some forty more; then its pages are the first to go', () => {
    const swap = idleSwap();
    const { m } = swap;
    expect(turn(m)).toBe(0);
    const written = cachedOf(m);
    plugSubmit();
    for (let passes = 2; passes <= 3; passes++) {
      expect(turn(m)).toBe(0);
      plugSubmit();
      expect(underWay(m)).toBe(32 * passes);
    }
    // 96 us for a turn that writes, and 125 for the device.
    expect(turn(m)).toBe(32);
    expect(underWay(m)).toBe(64);
    expect(vmEvents(m).pgrotated).toBe(32);
    for (const pfn of written) expect(m.slot.cache.includes(pfn)).toBe(false);
    plugFinish(m);
    expectWhole(swap);
  });

  it('is handed over in the middle of a pass when the plug is full of requests', () => {
    const swap = idleSwap();
    const { m } = swap;
    while (residentOf(m) > 0) reclaim(m);
    // Every second slot: no page is the neighbour of the one before.
    const odd = slotsOf(m).flatMap((slot, page) => (slot % 2 === 1 ? [page] : []));
    for (const page of odd) expect(touch(swap.user, READ, page, page + 1)).toBe(0);
    for (const page of odd) expect(touch(swap.user, WRITE, page, page + 1)).toBe(0);
    expect(odd).toHaveLength(PAGES / 2);
    drainEverything(m);
    forget(m);
    expect(turn(m)).toBe(0);
    expect(underWay(m)).toBe(32);
    // The 33rd request does not fit: the device has had 32 since, and here writes 16 more.
    expect(turn(m)).toBe(0);
    expect(underWay(m)).toBe(48);
    plugTick(DEVICE_PAGES);
    plugPoll(m);
    expect(underWay(m)).toBe(16);
    plugFinish(m);
    expectWhole(swap);
  });

  it('is handed over when another begins elsewhere, if it is of 32 pages', () => {
    const swap = idleSwap();
    const { m } = swap;
    expect(turn(m)).toBe(0);
    // One slot is somebody else's: what comes next is no neighbour of what was before.
    expect(tryChargeSwap(m, 0)).toBe(true);
    const gap = allocSlot(m);
    expect(turn(m)).toBe(0);
    plugTick(DEVICE_PAGES);
    plugPoll(m);
    expect(underWay(m)).toBe(32);
    plugFinish(m);
    clusterLock(m, gap);
    putCacheRefLocked(m, gap);
    clusterUnlock(m, gap);
    expectWhole(swap);
  });

  it('leaves the page to whoever wants it meanwhile', () => {
    const swap = idleSwap();
    const { m, user } = swap;
    expect(turn(m)).toBe(0);
    const page = slotsOf(m).findIndex((slot) => slot !== 0);
    expect(touch(user, READ, page, page + 1)).toBe(0);
    expect(vmEvents(m)).toMatchObject({ pswpin: 0, pgmajfault: 0 });
    plugFinish(m);
    // It was used: found first, and kept.
    expect(turn(m)).toBe(31);
    plugFinish(m);
    expectWhole(swap);
  });

  it('is under way between the passes of a reclaim, and never after it', () => {
    const swap = idleSwap();
    const { m } = swap;
    const sc = scanControl('direct', 1, 60);
    sc.priority = 1;
    shrinkNode(m, 0, sc);
    expect(sc.nrReclaimed).toBe(0);
    expect(underWay(m)).toBeGreaterThan(0);
    expect(underWay(m)).toBe(vmEvents(m).pswpout);
    // The pass has ended: the device has them all.
    plugTick(DEVICE_PAGES);
    plugPoll(m);
    expect(underWay(m)).toBe(0);
    expect(turn(m)).toBeGreaterThan(0);
    plugFinish(m);
    expect(reclaim(m)).toBeGreaterThan(0);
    expect(underWay(m)).toBe(0);
    expectWhole(swap);
  });

  it('ends before its thread waits for it, or sleeps', () => {
    const swap = idleSwap();
    const { m } = swap;
    expect(turn(m)).toBe(0);
    folioWaitWriteback(m, cachedOf(m)[7] as number);
    expect(underWay(m)).toBe(0);
    expect(turn(m)).toBe(32);
    expect(turn(m)).toBe(0);
    expect(underWay(m)).toBe(32);
    reclaimThrottleIsolated(m, 0);
    expect(underWay(m)).toBe(0);
    expectWhole(swap);
  });
});

describe('a window of readahead', () => {
  /** Its first slot: the thread's own cluster. */
  const BASE = 256;
  /** All pages swapped out and forgotten; then faults on the pages of these slots, from BASE on. */
  function windowOf(faults: readonly number[]) {
    const swap = idleSwap({ pageCluster: 3 });
    const { m, user } = swap;
    while (residentOf(m) > 0) reclaim(m);
    const pageOf = new Map(slotsOf(m).map((slot, page) => [slot - BASE, page]));
    for (const slot of faults) {
      const page = pageOf.get(slot) as number;
      expect(touch(user, READ, page, page + 1)).toBe(0);
    }
    return swap;
  }

  it('is read in the order of its slots, the wanted one among them', () => {
    // 35: alone. 36, beside it: two. 37 was read ahead: so four around 41.
    const swap = windowOf([35, 36, 37, 41]);
    const { m } = swap;
    lruAddDrain(m);
    expect(listed(m)).toEqual([43, 42, 41, 40, 37, 36, 35].map((slot) => BASE + slot));
    const ahead = [40, 41, 42, 43].map((slot) =>
      folioTest(m, m.slot.cache[BASE + slot] as number, PG_READAHEAD),
    );
    expect(ahead).toEqual([true, false, true, true]);
    expect(vmEvents(m)).toMatchObject({ swap_ra: 4, swap_ra_hit: 1, pgmajfault: 3 });
    expectWhole(swap);
  });

  it('puts its pages on the list at once', () => {
    const { m } = windowOf([35, 36]);
    expect(listed(m)).toEqual([BASE + 37, BASE + 36, BASE + 35]);
  });

  it('that was of use leaves the place that the next is measured from', () => {
    expect(windowOf([35, 36]).m.node.readaheadPrev[0]).toBe(BASE + 36);
    expect(windowOf([35, 36, 37, 41]).m.node.readaheadPrev[0]).toBe(BASE + 36);
  });
});
