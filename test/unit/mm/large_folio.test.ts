// SPDX-License-Identifier: GPL-2.0-only
/** Large folios of anonymous memory: made, shared, taken apart and given back. */
import { describe, expect, it } from 'vitest';
import { enterFaults, leaveFaults } from '../../../dist/shared/fault.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { faultAttrs } from '../../../dist/src/mm/faults.js';
import { folioLock, folioTest, folioUnlock } from '../../../dist/src/mm/folio.js';
import {
  MADV_DONTNEED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_PAGEOUT,
  madvise,
} from '../../../dist/src/mm/madvise.js';
import { mlock, munlock } from '../../../dist/src/mm/mlock.js';
import {
  PG_DEFERRED,
  PG_MAYSHARE,
  PG_MLOCKED,
  PG_SWAPCACHE,
  PTE_WRITE,
} from '../../../dist/src/mm/mm_types.js';
import { mprotect } from '../../../dist/src/mm/mprotect.js';
import { mremap } from '../../../dist/src/mm/mremap.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { readMachineFile, writeMachineFile } from '../../../dist/src/mm/proc_access.js';
import { folioMapcount, tryToUnmap } from '../../../dist/src/mm/rmap.js';
import { splitFolio } from '../../../dist/src/mm/split.js';
import { folioPut } from '../../../dist/src/mm/swap.js';
import { addToSwap } from '../../../dist/src/mm/swap_state.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
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
import { bootLarge, folioAt, stats } from '../../helpers/thp_fixture.js';

type Machine = ReturnType<typeof bootLarge>;
const SYS = '/sys/kernel/mm/transparent_hugepage/';

/** A process with `pages` pages touched by folios of an order, on their lists. */
function booted(order = 4, pages = 64, options = {}) {
  const m = bootLarge(order, options);
  const user = context(m, 1);
  touch(m, user, range(0, pages));
  drainEverything(m);
  return { m, user };
}

/** Everything is where it should be and holds what it should; then all leave, nothing is left. */
function finish(m: Machine, users: ReturnType<typeof context>[]): void {
  drainEverything(m);
  expectSound(m);
  for (const user of users) {
    expect(verify(m, user)).toMatchObject({ mismatches: 0, first: null });
    expect(user.mismatches).toBe(0);
  }
  for (const user of users) exit(m, user.mm);
  rcuBarrier();
  expectEmpty(m);
}

function split(m: Machine, pfn: number): boolean {
  Atomics.add(m.page.refcount, pfn, 1);
  folioLock(m, pfn);
  const done = splitFolio(m, pfn, true);
  folioUnlock(m, pfn);
  folioPut(m, pfn);
  return done;
}

describe('a first touch', () => {
  it.each([2, 4, 9])('of order %i maps a whole folio', (order) => {
    const pages = 1 << order;
    const { m, user } = booted(order, 1);
    const { pfn, order: is } = folioAt(m, 1, pages - 1);
    expect(is).toBe(order);
    expect(pfnOf(m, 1, 0)).toBe(pfn);
    expect(folioMapcount(m, pfn)).toBe(pages);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(pages);
    expect(stats(m, order)).toEqual({ anon_fault_alloc: 1, nr_anon: 1 });
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(pages);
    expect(vmEvents(m).thp_fault_alloc).toBe(order === 9 ? 1 : 0);
    finish(m, [user]);
    expect(stats(m, order)).toEqual({ anon_fault_alloc: 1 });
  });

  it('falls back where an entry is in the way, or the VMA ends', () => {
    const m = bootLarge(4);
    const user = context(m, 1);
    touch(m, user, [5], READ);
    expect(folioAt(m, 1, 5).order).toBe(4);
    expect(munmap(m, 1, FIRST_VPN + 24, FIRST_VPN + 25)).toBe(0);
    touch(m, user, [20, 30]);
    expect(folioAt(m, 1, 20).order).toBe(0);
    expect(folioAt(m, 1, 30).order).toBe(0);
    finish(m, [user]);
  });

  it('takes smaller ones where no block is free, and counts that', () => {
    const orders = { 9: 'always', 4: 'always' } as const;
    const faults = { fail_large_alloc: { oneIn: 2, interval: 1, times: null } };
    const m = bootLarge(4, { thp: { enabled: 'never', orders } });
    const user = context(m, 1);
    enterFaults(m.faults, faultAttrs(faults), 3, 1);
    touch(m, user, range(0, 1024));
    leaveFaults();
    expect(stats(m, 9).anon_fault_fallback).toBeGreaterThan(0);
    expect(stats(m, 4).anon_fault_alloc).toBeGreaterThan(0);
    expect(stats(m, 4).anon_fault_fallback).toBeGreaterThan(0);
    finish(m, [user]);
  });

  it('takes single pages where the group has no room, without reclaim', () => {
    const { m, user } = booted(9, 100, { memcgMax: 300 });
    // Then pages are in its way.
    expect(stats(m, 9)).toEqual({ anon_fault_fallback: 1, anon_fault_fallback_charge: 1 });
    expect(vmEvents(m)).toMatchObject({ thp_fault_fallback_charge: 1, memcg_pgscan_direct: 0 });
    finish(m, [user]);
  });

  it('asks what was advised, and what the files say', () => {
    const thp = { enabled: 'madvise', orders: { 4: 'inherit', 3: 'always' } } as const;
    const m = bootLarge(4, { thp });
    const user = context(m, 1);
    expect(madvise(m, 1, FIRST_VPN, FIRST_VPN + 64, MADV_HUGEPAGE)).toBe(0);
    expect(madvise(m, 1, FIRST_VPN + 128, FIRST_VPN + 192, MADV_NOHUGEPAGE)).toBe(0);
    touch(m, user, [0, 64, 128]);
    expect([0, 64, 128].map((page) => folioAt(m, 1, page).order)).toEqual([4, 3, 0]);
    expect(readMachineFile(m, `${SYS}hugepages-64kB/enabled`)).toBe(
      'always madvise never [inherit]\n',
    );
    expect(readMachineFile(m, `${SYS}enabled`)).toBe('always [madvise] never\n');
    expect(writeMachineFile(m, `${SYS}enabled`, 'always')).toBe(0);
    expect(writeMachineFile(m, `${SYS}hugepages-32kB/enabled`, 'never\n')).toBe(0);
    touch(m, user, [80]);
    expect(folioAt(m, 1, 80).order).toBe(4);
    expect(readMachineFile(m, `${SYS}hugepages-64kB/stats/anon_fault_alloc`)).toBe('2\n');
    expect(writeMachineFile(m, `${SYS}enabled`, 'inherit')).toBeLessThan(0);
    expect(writeMachineFile(m, `${SYS}hugepages-64kB/stats/split`, '0')).toBeLessThan(0);
    finish(m, [user]);
  });
});

describe('a large folio that is shared', () => {
  it('is copied page by page, by whoever writes', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 0);
    const child = fork(m, user);
    expect(folioMapcount(m, pfn)).toBe(32);
    expect(folioTest(m, pfn, PG_MAYSHARE)).toBe(true);
    expectSound(m);
    touch(m, child, [3, 4, 5]);
    expect(folioAt(m, child.mm, 4).order).toBe(0);
    expect(folioAt(m, child.mm, 6)).toEqual({ pfn, order: 4 });
    touch(m, user, [3]);
    expect(folioAt(m, 1, 3).order).toBe(0);
    // Nobody maps its page 3 any more.
    expect(folioTest(m, pfn, PG_DEFERRED)).toBe(true);
    finish(m, [user, child]);
  });

  it('is its own, and not copied, after mprotect', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 0);
    expect(mprotect(m, 1, FIRST_VPN, FIRST_VPN + 8, 1)).toBe(0);
    expect(entryOf(m, 1, 3) & PTE_WRITE).toBe(0);
    expect(mprotect(m, 1, FIRST_VPN, FIRST_VPN + 8, 3)).toBe(0);
    touch(m, user, [3]);
    expect(folioAt(m, 1, 3)).toEqual({ pfn, order: 4 });
    expect(vmEvents(m).pgreuse).toBe(1);
    finish(m, [user]);
  });
});

describe('a part of a large folio', () => {
  it('that is unmapped leaves the rest, until the shrinker splits it', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 16);
    madvise(m, 1, FIRST_VPN + 20, FIRST_VPN + 28, MADV_DONTNEED);
    expect(folioMapcount(m, pfn)).toBe(8);
    expect(stats(m, 4)).toMatchObject({ split_deferred: 1, nr_anon_partially_mapped: 1 });
    expectSound(m);
    const dir = '/sys/kernel/debug/shrinker/';
    const names = readMachineFile(m, dir) as string;
    const name = names.split('\n').find((line) => line.startsWith('thp-deferred_split'));
    const free = m.zone.nrFree[0] as number;
    expect(writeMachineFile(m, `${dir}${name}/scan`, '0 0 10')).toBe(0);
    drainEverything(m);
    expect(stats(m, 4)).toMatchObject({ split: 1, nr_anon: 3 });
    expect(m.zone.nrFree[0]).toBe(free + 8);
    expect(folioAt(m, 1, 16).order).toBe(0);
    touch(m, user, range(16, 32));
    finish(m, [user]);
  });

  it('that was the last is no part: nothing is queued for a whole', () => {
    const { m, user } = booted();
    madvise(m, 1, FIRST_VPN + 16, FIRST_VPN + 48, MADV_DONTNEED);
    expect(stats(m, 4)).toEqual({ anon_fault_alloc: 4, nr_anon: 2 });
    touch(m, user, range(0, 64));
    finish(m, [user]);
  });

  it('that moves is found at its new place', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 0);
    const to = FIRST_VPN + 8192 + 7;
    expect(mremap(m, 1, FIRST_VPN + 3, 6, 6, to)).toBe(0);
    expectSound(m);
    expect(split(m, pfn)).toBe(true);
    expect(mremap(m, 1, to, 6, 6, FIRST_VPN + 3)).toBe(0);
    finish(m, [user]);
  });

  it('that is locked in memory locks it all', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 0);
    expect(mlock(m, 1, FIRST_VPN + 2, FIRST_VPN + 3)).toBe(0);
    expect(folioTest(m, pfn, PG_MLOCKED)).toBe(true);
    expect(Atomics.load(m.node.mlocked, 0)).toBe(16);
    expectSound(m);
    expect(split(m, pfn)).toBe(true);
    expectSound(m);
    expect(munlock(m, 1, FIRST_VPN + 2, FIRST_VPN + 3)).toBe(0);
    finish(m, [user]);
  });
});

describe('a split', () => {
  it.each([1, 2])('keeps bytes, entries and places: %i processes', (processes) => {
    const { m, user } = booted(5, 64);
    const users = [user];
    if (processes === 2) users.push(fork(m, user));
    const { pfn } = folioAt(m, 1, 0);
    const before = range(0, 32).map((page) => entryOf(m, 1, page));
    expect(split(m, pfn)).toBe(true);
    expect(range(0, 32).map((page) => entryOf(m, 1, page))).toEqual(before);
    expect(folioAt(m, 1, 9)).toEqual({ pfn: pfn + 9, order: 0 });
    expectSound(m);
    for (const one of users) touch(m, one, range(0, 64));
    finish(m, users);
  });

  it('fails while somebody holds the folio, and changes nothing', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 0);
    Atomics.add(m.page.refcount, pfn, 1);
    expect(split(m, pfn)).toBe(false);
    folioPut(m, pfn);
    expect(folioAt(m, 1, 0)).toEqual({ pfn, order: 4 });
    expect(stats(m, 4)).toMatchObject({ split_failed: 1 });
    finish(m, [user]);
  });
});

describe('reclaim', () => {
  it('writes a large folio out as one, and frees it', () => {
    const { m, user } = booted(4, 256, { memcgMax: 400 });
    // Once to find that they were used, once more to take them.
    const freed = [1, 2].map(() => tryToFreeMemcgPages(m, 1, 128, () => false));
    expect(Math.max(...freed)).toBeGreaterThanOrEqual(128);
    expect(stats(m, 4).swpout).toBeGreaterThanOrEqual(8);
    expect(stats(m, 4).split).toBeUndefined();
    expectSound(m);
    touch(m, user, range(0, 256));
    finish(m, [user]);
  });

  it('splits what has no run of slots, and what is mapped in part', () => {
    const { m, user } = booted(9, 1024, {});
    madvise(m, 1, FIRST_VPN + 512, FIRST_VPN + 600, MADV_DONTNEED);
    tryToFreeMemcgPages(m, 1, 700, () => false);
    expect(stats(m, 9)).toMatchObject({ swpout_fallback: 1, split: 2 });
    expectSound(m);
    touch(m, user, range(0, 1024));
    finish(m, [user]);
  });

  it('keeps it together while its pages come back one by one', () => {
    const { m, user } = booted(4, 16);
    const child = fork(m, user);
    switchMm(m, 1);
    const { pfn } = folioAt(m, 1, 0);
    // Shared: nobody's to page out.
    madvise(m, 1, FIRST_VPN, FIRST_VPN + 16, MADV_PAGEOUT);
    expect(folioAt(m, 1, 0)).toEqual({ pfn, order: 4 });
    expect(folioMapcount(m, pfn)).toBe(32);
    // In the swap cache and unmapped, as where somebody else held it.
    folioLock(m, pfn);
    expect(addToSwap(m, pfn)).toBeGreaterThan(0);
    expect(tryToUnmap(m, pfn, true)).toBe(true);
    folioUnlock(m, pfn);
    expectSound(m);
    touch(m, child, [3]);
    expect(folioAt(m, child.mm, 3).order).toBe(0);
    touch(m, user, [3, 4], READ);
    expect(folioAt(m, 1, 4)).toEqual({ pfn, order: 4 });
    expect(folioTest(m, pfn, PG_SWAPCACHE)).toBe(true);
    expectSound(m);
    expect(split(m, pfn)).toBe(true);
    expectSound(m);
    touch(m, user, range(0, 16));
    touch(m, child, range(0, 16), READ);
    finish(m, [user, child]);
  });

  it('drops one that was freed lazily, unless it was written to', () => {
    const { m, user } = booted(4, 64);
    expect(madvise(m, 1, FIRST_VPN, FIRST_VPN + 40, MADV_FREE)).toBe(0);
    expect(folioAt(m, 1, 0).order).toBe(4);
    expect(folioAt(m, 1, 36).order).toBe(0);
    expect(vmEvents(m).pglazyfree).toBe(40);
    touch(m, user, range(16, 32));
    expectSound(m);
    tryToFreeMemcgPages(m, 1, 64, () => false);
    expect(vmEvents(m).pglazyfreed).toBeGreaterThanOrEqual(16);
    touch(m, user, range(0, 64));
    drainEverything(m);
    expectSound(m);
    exit(m, 1);
    rcuBarrier();
    expectEmpty(m);
  });
});
