// SPDX-License-Identifier: GPL-2.0-only
/** Several address spaces on one thread: each by turns the one that the thread runs in. */
import { expect } from 'vitest';
import { checkEmpty, checkQuiescent } from '../../dist/src/mm/check.js';
import { drainEverything } from '../../dist/src/mm/drain.js';
import { exitMm } from '../../dist/src/mm/exit_mm.js';
import { dupMm } from '../../dist/src/mm/fork.js';
import type { Mm } from '../../dist/src/mm/mm.js';
import { allocMm } from '../../dist/src/mm/mm_rows.js';
import { PTE_PRESENT, PTE_SHIFT } from '../../dist/src/mm/mm_types.js';
import { PTE_NONE, pteOffset } from '../../dist/src/mm/pgtable.js';
import { UserContext } from '../../dist/src/mm/user.js';
import { type Verification, verifyPages } from '../../dist/src/mm/verify.js';
import {
  bootFixture,
  eventOf,
  FIRST_VPN,
  type FixtureOptions,
  fixtureRegions,
} from './mm_fixture.js';

export const READ = 0;
export const WRITE = 1;

export function bootForks(options: FixtureOptions = {}): Mm {
  return bootFixture({ pages: 2048, vmasMax: 64, mmsMax: 8, pageTables: 256, ...options });
}

/** Makes the thread run in an address space. */
export function switchMm(m: Mm, mm: number): void {
  if (m.task.mm !== 0) Atomics.and(m.mm.cpuMask, m.task.mm, ~1);
  m.task.mm = mm;
  Atomics.or(m.mm.cpuMask, mm, 1);
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** @returns how the run ended */
export function touch(m: Mm, user: UserContext, pages: Iterable<number>, kind = WRITE): number {
  switchMm(m, user.mm);
  const events = Uint32Array.from(pages, (page) => eventOf(page, kind));
  return user.run(events, 0, events.length, 1, () => undefined);
}

export function context(m: Mm, mm: number): UserContext {
  return new UserContext(m, mm, fixtureRegions());
}

/** Forks the context's process. @returns the child's context, or what dupMm failed with */
export function fork(m: Mm, parent: UserContext): UserContext {
  const child = allocMm(m);
  expect(child).toBeGreaterThan(0);
  expect(dupMm(m, parent.mm, child)).toBe(0);
  const user = context(m, child);
  user.inherit(parent);
  return user;
}

export function entryOf(m: Mm, mm: number, page: number): number {
  const pte = pteOffset(m, mm, FIRST_VPN + page);
  return pte === PTE_NONE ? 0 : Atomics.load(m.pte, pte);
}

/** @returns pfn, or 0 when the page is not present */
export function pfnOf(m: Mm, mm: number, page: number): number {
  const entry = entryOf(m, mm, page);
  return (entry & PTE_PRESENT) === 0 ? 0 : entry >>> PTE_SHIFT;
}

/** Reads all pages of a process back. */
export function verify(m: Mm, user: UserContext): Verification {
  switchMm(m, user.mm);
  return verifyPages(m, user, true);
}

export function exit(m: Mm, mm: number): void {
  switchMm(m, mm);
  expect(exitMm(m, mm)).toBe(true);
}

export function expectSound(m: Mm): void {
  expect(checkQuiescent(m).violations).toEqual([]);
}

/** All processes are gone, and nothing is left of them. */
export function expectEmpty(m: Mm): void {
  drainEverything(m);
  expect(checkEmpty(m).violations).toEqual([]);
}

/** mremap moved pages of one context: what was expected of them goes along. */
export function moved(user: UserContext, from: number, to: number, pages: number): void {
  const expected = range(from, from + pages).map((vpn) => user.expected(vpn) ?? 0);
  user.forget(from, from + pages);
  expected.forEach((seq, i) => {
    user.expect(to + i, seq);
  });
}
