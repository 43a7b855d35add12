// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reclaim on one thread: the reference table, swap and back, limits, refault activation, walkers.
 */
import { describe, expect, it } from 'vitest';
import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../../../dist/shared/rwsem.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { folioSet, folioTest } from '../../../dist/src/mm/folio.js';
import { lruSize } from '../../../dist/src/mm/lruvec.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  LRU_ACTIVE_ANON,
  LRU_INACTIVE_ANON,
  PG_REFERENCED,
  PTE_SHIFT,
  PTE_YOUNG,
} from '../../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { scanControl } from '../../../dist/src/mm/scan_control.js';
import { lruAddDrain } from '../../../dist/src/mm/swap.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { verifyPages } from '../../../dist/src/mm/verify.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import {
  FOLIOREF_ACTIVATE,
  FOLIOREF_KEEP,
  FOLIOREF_RECLAIM,
  folioCheckReferences,
  reclaimStat,
} from '../../../dist/src/mm/vmscan_folio.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootFixture, eventOf, FIRST_VPN, fixtureRegions } from '../../helpers/mm_fixture.js';

const WRITE = 1;
const READ = 0;

function touch(user: UserContext, pages: Iterable<number>, kind = WRITE): void {
  const events = Uint32Array.from(pages, (page) => eventOf(page, kind));
  expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

function pfnOf(m: Mm, page: number): number {
  return Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page)) >>> PTE_SHIFT;
}

describe('vmscan', () => {
  it.each([
    [false, false, FOLIOREF_RECLAIM],
    [false, true, FOLIOREF_RECLAIM],
    [true, false, FOLIOREF_KEEP],
    [true, true, FOLIOREF_ACTIVATE],
  ])('young %s, referenced %s decides %d', (young, referenced, decision) => {
    const m = bootFixture();
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, [3]);
    lruAddDrain(m);
    const pfn = pfnOf(m, 3);
    const pte = pteOffset(m, 1, FIRST_VPN + 3);
    if (!young) Atomics.and(m.pte, pte, ~PTE_YOUNG);
    if (referenced) folioSet(m, pfn, PG_REFERENCED);
    const sc = scanControl('direct', 0, 60);
    expect(folioCheckReferences(m, pfn, sc, reclaimStat())).toBe(decision);
    expect(Atomics.load(m.pte, pte) & PTE_YOUNG).toBe(0);
    expect(folioTest(m, pfn, PG_REFERENCED)).toBe(young);
  });

  it('keeps a folio whose rmap lock is taken, and leaves its bits alone', () => {
    const m = bootFixture({ lockdep: false });
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, [3]);
    lruAddDrain(m);
    const pfn = pfnOf(m, 3);
    folioSet(m, pfn, PG_REFERENCED);
    const lock = (m.page.mapping[pfn] as number) * RWSEM_WORDS;
    rwsemDownWrite(m.anonVmaLock, lock, 4);
    const stat = reclaimStat();
    const decision = folioCheckReferences(m, pfn, scanControl('direct', 0, 60), stat);
    rwsemUpWrite(m.anonVmaLock, lock, 4);
    expect(decision).toBe(FOLIOREF_KEEP);
    expect(stat.nrContended).toBe(1);
    expect(folioTest(m, pfn, PG_REFERENCED)).toBe(true);
    expect(Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + 3)) & PTE_YOUNG).not.toBe(0);
  });

  it('swaps out at the limit, brings every page back right, and leaves nothing behind', () => {
    const m = bootFixture({ pages: 4096, memcgMax: 300 });
    const user = new UserContext(m, 1, fixtureRegions());
    for (let round = 0; round < 4; round++) {
      touch(user, range(0, 1000));
      touch(user, range(0, 1000), READ);
      expect(checkQuiescent(m).violations).toEqual([]);
    }
    const e = vmEvents(m);
    expect(e.pswpin).toBeGreaterThan(1000);
    expect(e.pgmajfault).toBe(e.pswpin);
    expect(Atomics.load(m.memcg.usage, 1)).toBeLessThanOrEqual(300);
    expect(user.mismatches).toBe(0);
    expect(verifyPages(m, user, true)).toEqual({ pages: 1000, mismatches: 0, first: null });
    expect(exitMm(m, 1)).toBe(true);
    drainEverything(m);
    expect(checkEmpty(m).violations).toEqual([]);
  });

  it('finds a lost store: a slot changed behind its back is a mismatch', () => {
    const m = bootFixture();
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, [7]);
    const frame = m.frame32[0] as Int32Array;
    frame[pfnOf(m, 7) * 1024 + 1] = 999;
    touch(user, [7], READ);
    expect(user.mismatches).toBe(1);
    expect(user.firstMismatch).toContain(`vpn ${FIRST_VPN + 7}`);
  });

  it('finds a page that was stored to and is gone', () => {
    const m = bootFixture();
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, range(0, 20));
    Atomics.store(m.pte, pteOffset(m, 1, FIRST_VPN + 7), 0);
    const found = verifyPages(m, user, true);
    expect([found.pages, found.mismatches]).toEqual([19, 1]);
    expect(found.first).toContain(`vpn ${FIRST_VPN + 7}: stored to, and gone`);
  });

  it('activates a page that refaults within the active list, and not one from long ago', () => {
    const m = bootFixture({ pages: 4096, memcgMax: 400 });
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, range(0, 380));
    for (let i = 0; i < 6; i++) {
      touch(user, range(0, 120), READ);
      tryToFreeMemcgPages(m, 1, 1, () => false);
    }
    expect(lruSize(m, 1, LRU_ACTIVE_ANON)).toBeGreaterThan(0);
    const before = vmEvents(m);
    const gone = range(120, 380).filter(
      (page) => (Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page)) & 1) === 0,
    );
    const last = gone.slice(-1);
    touch(user, last, READ);
    const after = vmEvents(m);
    expect(after.workingset_refault_anon - before.workingset_refault_anon).toBe(1);
    expect(after.workingset_activate_anon - before.workingset_activate_anon).toBe(1);
    expect(lruSize(m, 1, LRU_INACTIVE_ANON)).toBeGreaterThan(0);
  });

  it('answers a program that needs more than memory and swap with a victim', () => {
    const m = bootFixture({ pages: 512, swapPages: 100 });
    const user = new UserContext(m, 1, fixtureRegions());
    const events = Uint32Array.from(range(0, 4000), (page) => eventOf(page, WRITE));
    expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(1);
    expect(vmEvents(m).oom_kill).toBe(1);
    exitMm(m, 1);
    drainEverything(m);
    expect(checkEmpty(m).violations).toEqual([]);
  });
});

describe('check', () => {
  const broken: [string, (m: Mm) => void, string][] = [
    ['an LRU size', (m) => Atomics.add(m.lruSize, 5, 1), 'lruvec 1 list 0'],
    ['a reference', (m) => Atomics.add(m.page.refcount, pfnOf(m, 990), 1), 'refcount of pfn'],
    ['a mapcount', (m) => Atomics.add(m.page.mapcount, pfnOf(m, 990), 1), 'mapcount of pfn'],
    ['free pages', (m) => Atomics.add(m.zone.nrFree, 0, 1), 'nr_free_pages'],
    ['isolated pages', (m) => Atomics.add(m.node.isolatedAnon, 0, 1), 'nr_isolated_anon'],
    ['a charge', (m) => Atomics.add(m.memcg.own, 1, 1), 'charged pages'],
    ['free swap', (m) => Atomics.add(m.swapInfo, 0, 1), 'free swap slots'],
    ['rss', (m) => Atomics.add(m.mm.rssAnon, 1, 1), 'mm 1 rss'],
    ['a counter', (m) => m.events.fill(1, m.events.length - 20), 'violation'],
  ];
  it.each(broken)('sees %s that is off by one', (name, spoil, says) => {
    const m = bootFixture({ pages: 4096, memcgMax: 300 });
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, range(0, 1000));
    lruAddDrain(m);
    expect(checkQuiescent(m).violations).toEqual([]);
    spoil(m);
    const { violations } = checkQuiescent(m);
    if (name !== 'a counter') expect(violations.join('\n')).toContain(says);
    else expect(violations.length).toBeGreaterThan(0);
  });
});
