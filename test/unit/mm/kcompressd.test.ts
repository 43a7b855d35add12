// SPDX-License-Identifier: GPL-2.0-only
/** What kswapd hands to kcompressd, on one thread: who has a folio, what is stored, what fails. */
import { afterEach, describe, expect, it } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { TAIL as RING_TAIL } from '../../../dist/shared/kfifo_word.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { kcompressdQueue, kcompressdRing } from '../../../dist/src/mm/kcompressd.js';
import {
  kcompressdClose,
  kcompressdOpen,
  kcompressdStep,
} from '../../../dist/src/mm/kcompressd_step.js';
import {
  KCOMPRESS_FIFO_SIZE,
  KCOMPRESSD_THREADS_MAX,
  type KcompressdBug,
  type KcompressdPolicy,
  kcompressdCapacity,
} from '../../../dist/src/mm/kcompressd_types.js';
import { lruHead, lruSize, lruvecRow } from '../../../dist/src/mm/lruvec.js';
import { memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  LRU_ACTIVE_ANON,
  LRU_INACTIVE_ANON,
  PG_DIRTY,
  PG_LOCKED,
  PG_WRITEBACK,
  PTE_SHIFT,
  PTE_YOUNG,
} from '../../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { type ScanControl, scanControl } from '../../../dist/src/mm/scan_control.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { verifyPages } from '../../../dist/src/mm/verify.js';
import { deferredDone, deferredInVain } from '../../../dist/src/mm/vmscan_deferred.js';
import { shrinkActiveList, shrinkInactiveList } from '../../../dist/src/mm/vmscan_lists.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  bootFixture,
  eventOf,
  FIRST_VPN,
  type FixtureOptions,
  fixtureRegions,
} from '../../helpers/mm_fixture.js';
import { arm } from '../../helpers/swap_fixture.js';

const BATCH = 32;
const PAGES = 64;

interface Machine {
  readonly m: Mm;
  readonly user: UserContext;
  readonly lruvec: number;
  readonly pfns: readonly number[];
}

afterEach(() => leaveFaults());

/** Pages on the inactive list, none of them young; this thread is kswapd. */
function boot(policy: KcompressdPolicy, options: FixtureOptions = {}, pages = PAGES): Machine {
  const m = bootFixture({ pages: 4096, memcgMax: null, kcompressd: policy, ...options });
  memcgRefresh(m, 1);
  const user = new UserContext(m, 1, fixtureRegions());
  touch(user, 0, pages, 1);
  lruAddDrain(m);
  const pfns = Array.from({ length: pages }, (_, page) => pfnOf(m, page));
  const lruvec = lruvecRow(m, m.page.memcg[pfns[0] as number] as number, 0);
  while (lruSize(m, lruvec, LRU_ACTIVE_ANON) > 0) {
    shrinkActiveList(m, BATCH, lruvec, scanControl('kswapd', 0, 60), LRU_ACTIVE_ANON);
  }
  for (let page = 0; page < pages; page++) {
    Atomics.and(m.pte, pteOffset(m, 1, FIRST_VPN + page), ~PTE_YOUNG);
  }
  m.task.kswapd = true;
  if (policy !== 'off') kcompressdOpen(m, 0);
  return { m, user, lruvec, pfns };
}

function touch(user: UserContext, from: number, to: number, kind: number): void {
  const events = Uint32Array.from({ length: to - from }, (_, i) => eventOf(from + i, kind));
  expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
}

function pfnOf(m: Mm, page: number): number {
  return Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page)) >>> PTE_SHIFT;
}

function reclaim({ m, lruvec }: Machine, sc: ScanControl = scanControl('kswapd', 0, 60)): number {
  return shrinkInactiveList(m, BATCH, lruvec, sc, LRU_INACTIVE_ANON);
}

const flagged = ({ m, pfns }: Machine, bit: number): number =>
  pfns.filter((pfn) => (Atomics.load(m.page.flags, pfn) & bit) !== 0).length;

function stepAll(m: Mm): void {
  while (kcompressdStep(m, 0) > 0);
}

function sound({ m, user }: Machine, pages = PAGES): void {
  m.task.kswapd = false;
  leaveFaults();
  expect(checkQuiescent(m).violations).toEqual([]);
  expect(verifyPages(m, user, true)).toEqual({ pages, mismatches: 0, first: null });
  touch(user, 0, pages, 0);
  expect(user.mismatches).toBe(0);
  expect(exitMm(m, 1)).toBe(true);
  drainEverything(m);
  expect(checkEmpty(m).violations).toEqual([]);
}

describe.each(['zram', 'zswap'] as const)('with %s', (swap) => {
  it('fixed: a folio is in writeback, unlocked, and the first to go when it is stored', () => {
    const machine = boot('fixed', { swap });
    const { m } = machine;
    const sc = scanControl('kswapd', 0, 60);
    expect(reclaim(machine, sc)).toBe(0);
    expect(sc.nrDeferred).toBe(BATCH);
    expect(flagged(machine, PG_WRITEBACK)).toBe(BATCH);
    expect(flagged(machine, PG_LOCKED)).toBe(0);
    expect(kcompressdRing(m, 0).length()).toBe(BATCH);
    stepAll(m);
    expect(flagged(machine, PG_WRITEBACK)).toBe(0);
    const tail = m.link.prev[lruHead(m, machine.lruvec, LRU_INACTIVE_ANON)] as number;
    expect(machine.pfns.slice(0, BATCH)).toContain(tail);
    expect(reclaim(machine)).toBe(BATCH);
    const e = vmEvents(m);
    expect(swap === 'zram' ? e.pswpout : e.zswpout).toBe(BATCH);
    expect(e.pgrotated).toBe(BATCH);
    expect(e.kr_kcompress_queued).toBe(BATCH);
    sound(machine);
  });

  it('seed: a folio stays locked until it is stored, and ages once more', () => {
    const machine = boot('seed', { swap });
    const { m } = machine;
    expect(reclaim(machine)).toBe(0);
    expect(flagged(machine, PG_WRITEBACK)).toBe(0);
    expect(flagged(machine, PG_LOCKED)).toBe(BATCH);
    stepAll(m);
    expect(flagged(machine, PG_LOCKED)).toBe(0);
    const e = vmEvents(m);
    expect(swap === 'zram' ? e.pswpout : e.zswpout).toBe(BATCH);
    expect(e.pgrotated).toBe(0);
    const tail = m.link.prev[lruHead(m, machine.lruvec, LRU_INACTIVE_ANON)] as number;
    expect(machine.pfns.slice(BATCH)).toContain(tail);
    sound(machine);
  });

  it.each(['fixed', 'seed'] as const)('%s: what cannot be stored is dirty again', (policy) => {
    const machine = boot(policy, { swap });
    const { m } = machine;
    reclaim(machine);
    // zswap takes none of them any more: they are for the device.
    if (swap === 'zswap') Atomics.store(m.memcg.zswapLimit, 1, 1);
    arm(m, 'fail_write');
    stepAll(m);
    expect(flagged(machine, PG_DIRTY)).toBeGreaterThanOrEqual(BATCH);
    expect(flagged(machine, PG_LOCKED | PG_WRITEBACK)).toBe(0);
    expect(m.kcompressd.failed[0]).toBe(BATCH);
    expect([deferredDone(m, 0), deferredInVain(m, 0)]).toEqual([0, BATCH]);
    // What the caller could not write itself is put aside as well.
    if (policy === 'fixed') expect(lruSize(m, machine.lruvec, LRU_ACTIVE_ANON)).toBe(BATCH);
    sound(machine);
  });

  it('fixed: a folio that is used while it is compressed stays, and is right', () => {
    const machine = boot('fixed', { swap });
    const { m, user } = machine;
    reclaim(machine);
    m.task.kswapd = false;
    touch(user, 0, 8, 1);
    expect(flagged(machine, PG_WRITEBACK)).toBe(BATCH);
    stepAll(m);
    m.task.kswapd = true;
    expect(reclaim(machine)).toBe(BATCH - 8);
    stepAll(m);
    sound(machine);
  });
});

function queued(m: Mm): number {
  return vmEvents(m).kr_kcompress_queued;
}

describe('the ring', () => {
  it('that is full leaves the rest to kswapd', () => {
    const pages = KCOMPRESS_FIFO_SIZE + 2 * BATCH;
    const machine = boot('fixed', {}, pages);
    const { m } = machine;
    let freed = 0;
    for (let turn = 0; turn < pages / BATCH; turn++) freed += reclaim(machine);
    expect(queued(m)).toBe(KCOMPRESS_FIFO_SIZE);
    expect(vmEvents(m).kr_kcompress_full).toBe(2 * BATCH);
    expect(freed).toBe(2 * BATCH);
    stepAll(m);
    sound(machine, pages);
  });

  it('that is shut takes nothing, and has nothing left', () => {
    const machine = boot('fixed');
    const { m } = machine;
    reclaim(machine);
    kcompressdClose(m, 0);
    expect(kcompressdRing(m, 0).length()).toBe(0);
    expect(reclaim(machine)).toBe(BATCH);
    expect(vmEvents(m).kr_kcompress_off).toBe(0);
    const [pfn] = machine.pfns as [number];
    expect(kcompressdQueue(m, pfn, 1)).toBe(false);
    sound(machine);
  });

  it('takes nothing from others than kswapd', () => {
    const machine = boot('fixed');
    machine.m.task.kswapd = false;
    expect(reclaim(machine)).toBe(BATCH);
    expect(queued(machine.m)).toBe(0);
    sound(machine);
  });

  it('of each of three threads is a third of what one thread would have, at most', () => {
    for (let threads = 1; threads <= KCOMPRESSD_THREADS_MAX; threads++) {
      expect(threads * kcompressdCapacity(threads)).toBeLessThanOrEqual(KCOMPRESS_FIFO_SIZE);
      expect(threads * kcompressdCapacity(threads)).toBeGreaterThan(KCOMPRESS_FIFO_SIZE / 2);
    }
  });

  it('that fills up between a look and a push leaves the folio locked by who has it: seed', () => {
    const pages = KCOMPRESS_FIFO_SIZE + BATCH;
    const machine = boot('seed', { lockdep: true }, pages);
    const { m } = machine;
    for (let turn = 0; turn < KCOMPRESS_FIFO_SIZE / BATCH; turn++) reclaim(machine);
    expect(kcompressdRing(m, 0).length()).toBe(KCOMPRESS_FIFO_SIZE);
    // The thread says that it has taken one before the place of it is free.
    Atomics.add(m.kcompressFifo, RING_TAIL, 2);
    expect(reclaim(machine)).toBe(BATCH);
    Atomics.sub(m.kcompressFifo, RING_TAIL, 2);
    expect(vmEvents(m).kr_kcompress_full).toBe(BATCH);
    stepAll(m);
    sound(machine, pages);
  });

  it('of each thread is used in turn', () => {
    const machine = boot('fixed', { kcompressdThreads: 2 });
    const { m } = machine;
    kcompressdOpen(m, 1);
    reclaim(machine);
    expect([0, 1].map((row) => kcompressdRing(m, row).length())).toEqual([16, 16]);
    while (kcompressdStep(m, 0) + kcompressdStep(m, 1) > 0);
    sound(machine);
  });
});

describe('large folios', () => {
  it('take one place in the ring, and are stored page by page', () => {
    const thp = { transparentHugepage: 'always', thpAnon: '64K:always' } as const;
    const machine = boot('fixed', thp as FixtureOptions);
    reclaim(machine);
    stepAll(machine.m);
    sound(machine);
  });
});

describe('as posted', () => {
  it.each<[KcompressdBug, (machine: Machine) => void]>([
    [
      'lost-dirty',
      (machine) => {
        const { m } = machine;
        reclaim(machine);
        arm(m, 'fail_write');
        stepAll(m);
        leaveFaults();
        m.task.kswapd = false;
        // Clean, and nowhere else: it goes, and its bytes with it.
        reclaim(machine);
        reclaim(machine);
        expect(() => {
          const { mismatches } = verifyPages(m, machine.user, true);
          if (mismatches > 0) throw new Error('mismatch');
        }).toThrow();
      },
    ],
    [
      'struct-bytes',
      (machine) => {
        reclaim(machine);
        expect(() => stepAll(machine.m)).toThrow();
      },
    ],
  ])('%s is found out', (bug, story) => {
    story(boot('seed', { kcompressdBugs: [bug] }));
  });
});
