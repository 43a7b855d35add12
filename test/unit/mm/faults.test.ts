// SPDX-License-Identifier: GPL-2.0-only
/** Each injected fault on one thread: a fallback is taken, nothing is lost, nothing leaks. */
import { afterEach, describe, expect, it } from 'vitest';
import { enterFaults, faultsInjected, leaveFaults } from '../../../dist/shared/fault.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import {
  FAULT_NAMES,
  type FaultConfig,
  type FaultName,
  faultAttrs,
} from '../../../dist/src/mm/faults.js';
import { folioTest } from '../../../dist/src/mm/folio.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { PG_ACTIVE, PG_DIRTY, PG_SWAPCACHE, PTE_SHIFT } from '../../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { nrSwapPages } from '../../../dist/src/mm/swapfile.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { verifyPages } from '../../../dist/src/mm/verify.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootFixture, eventOf, FIRST_VPN, fixtureRegions } from '../../helpers/mm_fixture.js';

const WRITE = 1;
const PAGES = 64;

function arm(m: Mm, name: FaultName, attr: Partial<FaultConfig[FaultName]> = {}): void {
  const faults = { [name]: { oneIn: 1, interval: 1, times: null, ...attr } };
  const attrs = faultAttrs(faults);
  attrs.forEach((one, kind) => {
    if (one?.times != null) m.faults.left[kind] = one.times;
  });
  enterFaults(m.faults, attrs, 1, 1);
}

const injected = (m: Mm, name: FaultName): number =>
  faultsInjected(m.faults)[FAULT_NAMES.indexOf(name)] as number;

function touch(user: UserContext, from = 0, to = PAGES): number {
  const events = Uint32Array.from({ length: to - from }, (_, i) => eventOf(from + i, WRITE));
  return user.run(events, 0, events.length, 1, () => undefined);
}

function pfnOf(m: Mm, page: number): number {
  return Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page)) >>> PTE_SHIFT;
}

/** A process with pages in memory, none of them young. */
function booted() {
  const m = bootFixture();
  const user = new UserContext(m, 1, fixtureRegions());
  expect(touch(user)).toBe(0);
  drainEverything(m);
  return { m, user };
}

const reclaim = (m: Mm): number => tryToFreeMemcgPages(m, 1, PAGES, () => false);

/** The walkers find nothing, every page is as it was stored, and all is given back at the end. */
function expectSound(m: Mm, user: UserContext): void {
  leaveFaults();
  expect(checkQuiescent(m).violations).toEqual([]);
  expect(verifyPages(m, user, true)).toEqual({ pages: PAGES, mismatches: 0, first: null });
  exitMm(m, 1);
  drainEverything(m);
  expect(checkEmpty(m).violations).toEqual([]);
}

afterEach(leaveFaults);

describe('injected faults', () => {
  it('fail_write leaves folios dirty, active and in the swap cache; later they go', () => {
    const { m, user } = booted();
    arm(m, 'fail_write');
    const pfns = Array.from({ length: PAGES }, (_, page) => pfnOf(m, page));
    expect(reclaim(m)).toBe(0);
    expect(injected(m, 'fail_write')).toBeGreaterThan(0);
    const failed = pfns.filter((pfn) => folioTest(m, pfn, PG_SWAPCACHE));
    expect(failed.length).toBeGreaterThan(0);
    for (const pfn of failed) expect(folioTest(m, pfn, PG_DIRTY)).toBe(true);
    expect(failed.some((pfn) => folioTest(m, pfn, PG_ACTIVE))).toBe(true);
    expect(vmEvents(m).pswpout).toBe(0);
    leaveFaults();
    expect(checkQuiescent(m).violations).toEqual([]);
    expect(reclaim(m)).toBeGreaterThan(0);
    expectSound(m, user);
  });

  it('swap_full takes no slot and reclaims nothing', () => {
    const { m, user } = booted();
    const before = nrSwapPages(m);
    arm(m, 'swap_full');
    expect(reclaim(m)).toBe(0);
    expect(injected(m, 'swap_full')).toBeGreaterThan(0);
    expect(nrSwapPages(m)).toBe(before);
    expectSound(m, user);
  });

  it('compress_grow stores pages as they are, and they come back', () => {
    const { m, user } = booted();
    arm(m, 'compress_grow');
    const reclaimed = reclaim(m);
    expect(reclaimed).toBeGreaterThan(0);
    expect(vmEvents(m)).toMatchObject({ kr_zram_huge: reclaimed, kr_zram_store: 0 });
    leaveFaults();
    expect(touch(user)).toBe(0);
    expect(vmEvents(m).pswpin).toBe(reclaimed);
    expectSound(m, user);
  });

  it('fail_trylock keeps every folio', () => {
    const { m, user } = booted();
    arm(m, 'fail_trylock');
    expect(reclaim(m)).toBe(0);
    expect(injected(m, 'fail_trylock')).toBeGreaterThan(0);
    expectSound(m, user);
  });

  it.each(['fail_charge', 'fail_page_alloc'] as const)(
    '%s makes the fault be tried again, and nobody is killed',
    (name) => {
      const m = bootFixture();
      const user = new UserContext(m, 1, fixtureRegions());
      arm(m, name, { times: 5 });
      expect(touch(user)).toBe(0);
      expect(injected(m, name)).toBe(5);
      expect(vmEvents(m)).toMatchObject({ oom_kill: 0 });
      expect(vmEvents(m).pgfault).toBeGreaterThan(PAGES);
      expectSound(m, user);
    },
  );

  it('a stopped program does not wait for an allocation that never succeeds', () => {
    const m = bootFixture();
    const user = new UserContext(m, 1, fixtureRegions());
    let asked = 0;
    user.shouldStop = () => ++asked > 3;
    arm(m, 'fail_charge');
    expect(touch(user)).toBe(3);
    expect(asked).toBe(4);
  });

  it('are off without a configuration', () => {
    expect(faultAttrs(null)).toEqual(FAULT_NAMES.map(() => null));
    const { m, user } = booted();
    expect(faultsInjected(m.faults)).toEqual(FAULT_NAMES.map(() => 0));
    expectSound(m, user);
  });
});
