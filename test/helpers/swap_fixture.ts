// SPDX-License-Identifier: GPL-2.0-only
/** A process with pages in memory and swap behind it, on the test's own thread. */
import { expect } from 'vitest';
import { enterFaults, leaveFaults } from '../../dist/shared/fault.js';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { drainEverything } from '../../dist/src/mm/drain.js';
import { exitMm } from '../../dist/src/mm/exit_mm.js';
import { type FaultConfig, type FaultName, faultAttrs } from '../../dist/src/mm/faults.js';
import type { Mm } from '../../dist/src/mm/mm.js';
import { PTE_PRESENT, PTE_SHIFT } from '../../dist/src/mm/mm_types.js';
import { pteOffset } from '../../dist/src/mm/pgtable.js';
import { swapFilesClose } from '../../dist/src/mm/swap_io.js';
import { UserContext } from '../../dist/src/mm/user.js';
import { verifyPages } from '../../dist/src/mm/verify.js';
import { tryToFreeMemcgPages } from '../../dist/src/mm/vmscan_direct.js';
import {
  bootFixture,
  eventOf,
  FIRST_VPN,
  type FixtureOptions,
  fixtureRegions,
} from './mm_fixture.ts';

export const WRITE = 1;
export const READ = 0;
/** Pages that a booted process has. */
export const PAGES = 96;

export interface SwapFixture {
  readonly m: Mm;
  readonly user: UserContext;
}

/** Makes one kind of fault strike on this thread. */
export function arm(m: Mm, name: FaultName, attr: Partial<FaultConfig[FaultName]> = {}): void {
  const attrs = faultAttrs({ [name]: { oneIn: 1, interval: 1, times: null, ...attr } });
  attrs.forEach((one, kind) => {
    if (one?.times != null) m.faults.left[kind] = one.times;
  });
  enterFaults(m.faults, attrs, 1, 1);
}

/** Stores to, or loads, pages `from` .. `to` - 1. @returns RUN_* */
export function touch(user: UserContext, kind = WRITE, from = 0, to = PAGES): number {
  const events = Uint32Array.from({ length: to - from }, (_, i) => eventOf(from + i, kind));
  return user.run(events, 0, events.length, 1, () => undefined);
}

/** Boots it and touches PAGES pages, none of them young. */
export function bootedSwap(options: FixtureOptions): SwapFixture {
  const m = bootFixture(options);
  const user = new UserContext(m, 1, fixtureRegions());
  expect(touch(user)).toBe(0);
  drainEverything(m);
  return { m, user };
}

/** Reclaims from its group. @returns pages reclaimed */
export function reclaim(m: Mm, pages = PAGES): number {
  drainEverything(m);
  return tryToFreeMemcgPages(m, 1, pages, () => false);
}

/** The slots that its pages are in; 0 for a page that is in memory. */
export function slotsOf(m: Mm): number[] {
  return Array.from({ length: PAGES }, (_, page) => {
    const entry = Atomics.load(m.pte, pteOffset(m, 1, FIRST_VPN + page));
    return (entry & PTE_PRESENT) !== 0 ? 0 : entry >>> PTE_SHIFT;
  });
}

/** The walkers find nothing wrong. */
export function expectSound(m: Mm): void {
  leaveFaults();
  expect(checkQuiescent(m).violations).toEqual([]);
}

/** Every page is as it was stored, and at the end all is given back. */
export function expectWhole({ m, user }: SwapFixture): void {
  expectSound(m);
  expect(verifyPages(m, user, true)).toEqual({ pages: PAGES, mismatches: 0, first: null });
  expectGone(m);
}

/** The process ends, and leaves nothing behind. */
export function expectGone(m: Mm): void {
  leaveFaults();
  exitMm(m, 1);
  drainEverything(m);
  expect(checkEmpty(m).violations).toEqual([]);
  swapFilesClose(m);
}
