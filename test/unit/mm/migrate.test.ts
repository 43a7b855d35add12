// SPDX-License-Identifier: GPL-2.0-only
/** Migration of a page in each state that it can be in, and what happens to it on its way. */
import { describe, expect, it, vi } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { putAnonVma } from '../../../dist/src/mm/anon_vma.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import {
  folioLock,
  folioNid,
  folioSet,
  folioTest,
  folioTryGet,
  folioUnlock,
} from '../../../dist/src/mm/folio.js';
import { MADV_FREE, madvise } from '../../../dist/src/mm/madvise.js';
import { mappingPeek } from '../../../dist/src/mm/mapping.js';
import { isolateForMigration, putbackMigration } from '../../../dist/src/mm/migrate.js';
import {
  migrationEntryWait,
  removeMigrationEntries,
  tryToMigrate,
} from '../../../dist/src/mm/migrate_entry.js';
import { mlock, munlock } from '../../../dist/src/mm/mlock.js';
import {
  PG_DIRTY,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UNEVICTABLE,
  PG_WORKINGSET,
  PTE_DIRTY,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_WRITE,
} from '../../../dist/src/mm/mm_types.js';
import { mprotect } from '../../../dist/src/mm/mprotect.js';
import { mremap } from '../../../dist/src/mm/mremap.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { folioMapcount } from '../../../dist/src/mm/rmap.js';
import { shmemEvict } from '../../../dist/src/mm/shmem.js';
import { shmemRead, shmemWrite } from '../../../dist/src/mm/shmem_io.js';
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
  moved,
  pfnOf,
  READ,
  range,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { bootNodes, migrate } from '../../helpers/migrate_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';
import { arm } from '../../helpers/swap_fixture.js';

type Machine = ReturnType<typeof bootNodes>;

/** A process with `pages` pages touched, on their lists. */
function booted(pages = 8, lockdep = true) {
  const m = bootNodes({ lockdep });
  const user = context(m, 1);
  touch(m, user, range(0, pages));
  drainEverything(m);
  return { m, user };
}

/** Everything is where it should be, then everybody leaves, and nothing is left. */
function finish(m: Machine, users: ReturnType<typeof context>[], pages: number): void {
  expectSound(m);
  for (const user of users) {
    expect(verify(m, user)).toEqual({ pages, mismatches: 0, first: null });
    expect(user.mismatches).toBe(0);
  }
  for (const user of users) exit(m, user.mm);
  rcuBarrier();
  expectEmpty(m);
}

/**
 * A page on its way, as if by another thread, so that no lock order is checked: locked, isolated,
 * its entries waiting.
 * @returns what maps it again
 */
function onItsWay(m: Machine, pfn: number) {
  expect(isolateForMigration(m, pfn)).toBe(true);
  folioLock(m, pfn);
  const anonVma = tryToMigrate(m, pfn);
  expect(anonVma).toBeGreaterThan(0);
  return () => {
    removeMigrationEntries(m, anonVma, pfn, pfn);
    putAnonVma(m, anonVma);
    folioUnlock(m, pfn);
    putbackMigration(m, pfn);
  };
}

describe('a page that migrates', () => {
  it('keeps its bytes, its flags, its entry and its charge', () => {
    const { m, user } = booted();
    const pfn = pfnOf(m, 1, 3);
    folioSet(m, pfn, PG_REFERENCED | PG_WORKINGSET | PG_DIRTY);
    const before = entryOf(m, 1, 3);
    expect(migrate(m, pfn)).toBe(0);
    const moved = pfnOf(m, 1, 3);
    expect(folioNid(m, moved)).toBe(1);
    expect(entryOf(m, 1, 3) & 0xff).toBe(before & 0xff);
    for (const bit of [PG_REFERENCED, PG_WORKINGSET, PG_DIRTY, PG_SWAPBACKED]) {
      expect(folioTest(m, moved, bit)).toBe(true);
    }
    expect(m.page.memcg[moved]).toBe(1);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(0);
    expect(vmEvents(m)).toMatchObject({ pgmigrate_success: 1, pgmigrate_fail: 0 });
    finish(m, [user], 8);
  });

  it('is found in every process that shares it, read-only as before', () => {
    const { m, user } = booted();
    const child = fork(m, user);
    const grandchild = fork(m, child);
    expect(migrate(m, pfnOf(m, 1, 2))).toBe(0);
    const moved = pfnOf(m, 1, 2);
    expect(folioMapcount(m, moved)).toBe(3);
    for (const { mm } of [user, child, grandchild]) {
      expect(pfnOf(m, mm, 2)).toBe(moved);
      expect(entryOf(m, mm, 2) & PTE_WRITE).toBe(0);
    }
    touch(m, child, range(0, 8));
    finish(m, [user, child, grandchild], 8);
  });

  it('takes its place in the swap cache along, mapped or not', () => {
    const { m, user } = booted();
    const mapped = pfnOf(m, 1, 1);
    folioLock(m, mapped);
    const slot = addToSwap(m, mapped);
    folioUnlock(m, mapped);
    expect(migrate(m, mapped)).toBe(0);
    const moved = pfnOf(m, 1, 1);
    expect(m.slot.cache[slot]).toBe(moved);
    expect(m.page.private[moved]).toBe(slot);
    expect(folioTest(m, moved, PG_SWAPCACHE)).toBe(true);
    expect(folioTest(m, mapped, PG_SWAPCACHE)).toBe(false);
    expect([0, 1].map((nid) => Atomics.load(m.node.swapCache, nid))).toEqual([0, 1]);
    finish(m, [user], 8);
  });

  it('stays the file’s', () => {
    const { m, user } = booted(1);
    for (let i = 0; i < 8; i++) expect(shmemWrite(m, 7, i, 100 + i)).toBe(0);
    const pfn = mappingPeek(m, 7, 5);
    expect(migrate(m, pfn)).toBe(0);
    const moved = mappingPeek(m, 7, 5);
    expect(folioNid(m, moved)).toBe(1);
    expect(m.page.mapping[moved]).toBe(-7);
    expect([0, 1].map((nid) => Atomics.load(m.node.shmem, nid))).toEqual([7, 1]);
    for (let i = 0; i < 8; i++) expect(shmemRead(m, 7, i)).toBe(100 + i);
    expectSound(m);
    tryToFreeMemcgPages(m, 1, 64, () => false);
    shmemEvict(m, 7);
    finish(m, [user], 1);
  });

  it('stays locked in memory, and can be let go', () => {
    const { m, user } = booted();
    expect(mlock(m, 1, FIRST_VPN, FIRST_VPN + 4)).toBe(0);
    expect(migrate(m, pfnOf(m, 1, 2))).toBe(0);
    const moved = pfnOf(m, 1, 2);
    expect(folioTest(m, moved, PG_MLOCKED)).toBe(true);
    expect([0, 1].map((nid) => Atomics.load(m.node.mlocked, nid))).toEqual([3, 1]);
    expectSound(m);
    expect(munlock(m, 1, FIRST_VPN, FIRST_VPN + 4)).toBe(0);
    expect(folioTest(m, moved, PG_MLOCKED)).toBe(false);
    finish(m, [user], 8);
  });

  it('is freed lazily wherever it lies', () => {
    const { m, user } = booted();
    expect(madvise(m, 1, FIRST_VPN, FIRST_VPN + 1, MADV_FREE)).toBe(0);
    user.forget(FIRST_VPN, FIRST_VPN + 1, true);
    expect(migrate(m, pfnOf(m, 1, 0))).toBe(0);
    expect(folioTest(m, pfnOf(m, 1, 0), PG_SWAPBACKED)).toBe(false);
    finish(m, [user], 8);
  });

  it('stays where it is while somebody holds a reference, and nothing has happened', () => {
    const { m, user } = booted();
    const pfn = pfnOf(m, 1, 3);
    const before = entryOf(m, 1, 3);
    drainEverything(m);
    expect(folioTryGet(m, pfn)).toBe(true);
    expect(migrate(m, pfn)).toBe(1);
    expect(entryOf(m, 1, 3)).toBe(before);
    expect(vmEvents(m)).toMatchObject({ pgmigrate_success: 0, pgmigrate_fail: 1 });
    folioPut(m, pfn);
    expectSound(m);
    expect(migrate(m, pfn)).toBe(0);
    finish(m, [user], 8);
  });
});

describe('on its way', () => {
  it('an entry waits: it keeps its bits and its place in rss, but no reference', () => {
    const { m, user } = booted(8, false);
    const pfn = pfnOf(m, 1, 3);
    const rss = Atomics.load(m.mm.rssAnon, 1);
    const end = onItsWay(m, pfn);
    const entry = entryOf(m, 1, 3);
    expect(entry & (PTE_PRESENT | PTE_MIGRATION)).toBe(PTE_MIGRATION);
    expect(entry & (PTE_DIRTY | PTE_WRITE)).toBe(PTE_DIRTY | PTE_WRITE);
    expect([folioMapcount(m, pfn), Atomics.load(m.page.refcount, pfn)]).toEqual([0, 1]);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(rss);
    end();
    // Not on its way any more: nobody waits.
    migrationEntryWait(m, pteOffset(m, 1, FIRST_VPN + 3));
    finish(m, [user], 8);
  });

  it('fork copies the entry, and both find the page', () => {
    const { m, user } = booted(8, false);
    const pfn = pfnOf(m, 1, 3);
    const end = onItsWay(m, pfn);
    const child = fork(m, user);
    end();
    expect([pfnOf(m, 1, 3), pfnOf(m, child.mm, 3), folioMapcount(m, pfn)]).toEqual([pfn, pfn, 2]);
    expect((entryOf(m, 1, 3) | entryOf(m, child.mm, 3)) & PTE_WRITE).toBe(0);
    touch(m, child, range(0, 8));
    touch(m, user, range(0, 8), READ);
    finish(m, [user, child], 8);
  });

  it('munmap and exit drop the entry: the page goes with the migration', () => {
    const { m, user } = booted(8, false);
    const end = onItsWay(m, pfnOf(m, 1, 3));
    expect(munmap(m, 1, FIRST_VPN + 3, FIRST_VPN + 4)).toBe(0);
    user.forget(FIRST_VPN + 3, FIRST_VPN + 4);
    end();
    expectSound(m);
    const again = onItsWay(m, pfnOf(m, 1, 5));
    exit(m, 1);
    again();
    expectEmpty(m);
  });

  it('munlock lets it go, also when it comes back to where it was', () => {
    const { m, user } = booted(8, false);
    expect(mlock(m, 1, FIRST_VPN, FIRST_VPN + 8)).toBe(0);
    const pfn = pfnOf(m, 1, 3);
    const end = onItsWay(m, pfn);
    expect(munlock(m, 1, FIRST_VPN, FIRST_VPN + 4)).toBe(0);
    end();
    expect(folioTest(m, pfn, PG_MLOCKED | PG_UNEVICTABLE)).toBe(false);
    const locked = pfnOf(m, 1, 5);
    onItsWay(m, locked)();
    expect(folioTest(m, locked, PG_MLOCKED)).toBe(true);
    finish(m, [user], 8);
  });

  it('a page that loses its last entry meanwhile leaves the swap cache', () => {
    const { m, user } = booted(8, false);
    const pfn = pfnOf(m, 1, 3);
    folioLock(m, pfn);
    const slot = addToSwap(m, pfn);
    folioUnlock(m, pfn);
    arm(m, 'delay', {});
    const sleep = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      // Each place where a migration can be held up: at the first, its entry waits.
      const waits = (entryOf(m, 1, 3) & PTE_MIGRATION) !== 0;
      if (waits) munmap(m, 1, FIRST_VPN + 3, FIRST_VPN + 4);
      return 'timed-out';
    });
    expect(migrate(m, pfn)).toBe(0);
    sleep.mockRestore();
    leaveFaults();
    expect([entryOf(m, 1, 3), m.slot.cache[slot], m.slot.count[slot]]).toEqual([0, 0, 0]);
    user.forget(FIRST_VPN + 3, FIRST_VPN + 4);
    finish(m, [user], 7);
  });

  it('mprotect forbids stores in it, mremap moves it, madvise leaves it', () => {
    const { m, user } = booted(8, false);
    const pfn = pfnOf(m, 1, 3);
    const end = onItsWay(m, pfn);
    expect(madvise(m, 1, FIRST_VPN + 3, FIRST_VPN + 4, MADV_FREE)).toBe(0);
    expect(mprotect(m, 1, FIRST_VPN + 3, FIRST_VPN + 4, 1)).toBe(0);
    expect(mremap(m, 1, FIRST_VPN + 3, 1, 1, FIRST_VPN + 9000)).toBe(0);
    end();
    expect(entryOf(m, 1, 9000) & (PTE_WRITE | PTE_PRESENT)).toBe(PTE_PRESENT);
    expect(pfnOf(m, 1, 9000)).toBe(pfn);
    expectSound(m);
    moved(user, FIRST_VPN + 3, FIRST_VPN + 9000, 1);
    exit(m, 1);
    expectEmpty(m);
  });
});
