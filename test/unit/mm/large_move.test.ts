// SPDX-License-Identifier: GPL-2.0-only
/**
 * Large folios that are moved: split on the way, waited for, forked meanwhile; blocks for new
 * ones.
 */
import { describe, expect, it } from 'vitest';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { folioLock, folioNid, folioTest, folioUnlock } from '../../../dist/src/mm/folio.js';
import {
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  madvise,
} from '../../../dist/src/mm/madvise.js';
import { offlineNode, onlineNode } from '../../../dist/src/mm/memory_hotplug.js';
import { isolateForMigration, migratePages } from '../../../dist/src/mm/migrate.js';
import { mapMigrationEntries, setMigrationEntries } from '../../../dist/src/mm/migrate_entry.js';
import { PG_MAYSHARE, PTE_MIGRATION } from '../../../dist/src/mm/mm_types.js';
import { allocPages } from '../../../dist/src/mm/page_alloc_slow.js';
import { anonVmaUnlockRead, folioLockAnonVmaRead } from '../../../dist/src/mm/rmap.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  context,
  entryOf,
  exit,
  expectEmpty,
  expectSound,
  fork,
  pfnOf,
  range,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { bootNodes } from '../../helpers/migrate_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';
import { bootLarge, folioAt, stats } from '../../helpers/thp_fixture.js';

const THP = { enabled: 'never', orders: { 4: 'always' } } as const;
type Machine = ReturnType<typeof bootNodes>;

function booted(pages = 64, options = {}) {
  const m = bootNodes({ thp: THP, ...options });
  const user = context(m, 1);
  touch(m, user, range(0, pages));
  drainEverything(m);
  return { m, user };
}

function finish(m: Machine, users: ReturnType<typeof context>[]): void {
  drainEverything(m);
  expectSound(m);
  for (const user of users) expect(verify(m, user)).toMatchObject({ mismatches: 0, first: null });
  for (const user of users) exit(m, user.mm);
  rcuBarrier();
  expectEmpty(m);
}

describe('a large folio that is to move', () => {
  it('is split, and its pages move one by one', () => {
    const { m, user } = booted();
    const { pfn } = folioAt(m, 1, 16);
    expect(isolateForMigration(m, pfn)).toBe(true);
    expect(Atomics.load(m.node.isolatedAnon, 0)).toBe(16);
    expect(migratePages(m, [pfn], () => allocPages(m, 1, 0, true), true)).toBe(0);
    expect(folioNid(m, pfnOf(m, 1, 16))).toBe(1);
    expect(folioAt(m, 1, 17)).toEqual({ pfn: pfn + 1, order: 0 });
    expect(vmEvents(m)).toMatchObject({ thp_migration_split: 1, pgmigrate_success: 1 });
    finish(m, [user]);
  });

  it('leaves a node that is taken offline, all of it', () => {
    const { m, user } = booted(256);
    expect(offlineNode(m, 0)).toBe(0);
    for (const page of [0, 17, 255]) expect(folioNid(m, pfnOf(m, 1, page))).toBe(1);
    expectSound(m);
    expect(onlineNode(m, 0)).toBe(0);
    touch(m, user, range(0, 256));
    finish(m, [user]);
  });

  it('knows that it is shared, when it was forked on its way and stays together', () => {
    const { m, user } = booted(16, { lockdep: false });
    const { pfn } = folioAt(m, 1, 0);
    Atomics.add(m.page.refcount, pfn, 1);
    folioLock(m, pfn);
    const anonVma = folioLockAnonVmaRead(m, pfn, true);
    setMigrationEntries(m, pfn, anonVma);
    anonVmaUnlockRead(m, anonVma);
    expect(entryOf(m, 1, 3) & PTE_MIGRATION).toBe(PTE_MIGRATION);
    const child = fork(m, user);
    expect(folioLockAnonVmaRead(m, pfn, true)).toBe(0);
    mapMigrationEntries(m, anonVma, pfn, pfn, 16);
    folioUnlock(m, pfn);
    Atomics.sub(m.page.refcount, pfn, 1);
    expect(folioTest(m, pfn, PG_MAYSHARE)).toBe(true);
    touch(m, user, [3]);
    expect(pfnOf(m, 1, 3)).not.toBe(pfnOf(m, child.mm, 3));
    finish(m, [user, child]);
  });
});

describe('a block for a large folio', () => {
  it('is compacted for where that was advised', () => {
    const m = bootLarge(4, { pages: 1024 });
    const user = context(m, 1);
    madvise(m, 1, FIRST_VPN, FIRST_VPN + 8192, MADV_NOHUGEPAGE);
    // Pages everywhere, and of each block some are given back.
    touch(m, user, range(0, 900));
    for (let vpn = FIRST_VPN; vpn < FIRST_VPN + 900; vpn += 2) {
      madvise(m, 1, vpn, vpn + 1, MADV_DONTNEED);
    }
    drainEverything(m);
    const at = 1024;
    madvise(m, 1, FIRST_VPN + at, FIRST_VPN + at + 512, MADV_HUGEPAGE);
    for (let page = at; page < at + 256; page += 16) touch(m, user, [page]);
    expect(stats(m, 4).anon_fault_alloc).toBeGreaterThan(10);
    expect(vmEvents(m).compact_success).toBeGreaterThan(0);
    drainEverything(m);
    expectSound(m);
    exit(m, 1);
    rcuBarrier();
    expectEmpty(m);
  });
});
