// SPDX-License-Identifier: GPL-2.0-only
/** A machine whose anonymous memory comes in large folios. */
import { expect } from 'vitest';
import { folioOrder, pageFolio } from '../../dist/src/mm/folio.js';
import type { Mm } from '../../dist/src/mm/mm.js';
import { mthpStat } from '../../dist/src/mm/mthp_stat.js';
import { MTHP, type MthpStat } from '../../dist/src/mm/thp_types.js';
import { bootForks, pfnOf } from './fork_fixture.js';
import type { FixtureOptions } from './mm_fixture.js';

/** Boots with `order` always on, and no other. */
export function bootLarge(order: number, options: FixtureOptions = {}): Mm {
  return bootForks({ thp: { enabled: 'never', orders: { [order]: 'always' } }, ...options });
}

/** @returns the head of the folio that a page of an address space is of, and its order */
export function folioAt(m: Mm, mm: number, page: number): { pfn: number; order: number } {
  const at = pfnOf(m, mm, page);
  expect(at).toBeGreaterThan(0);
  const pfn = pageFolio(m, at);
  return { pfn, order: folioOrder(m, pfn) };
}

/** Counters of an order that are not zero. */
export function stats(m: Mm, order: number): Partial<Record<MthpStat, number>> {
  const names = Object.keys(MTHP) as MthpStat[];
  const all = names.map((name) => [name, mthpStat(m, order, MTHP[name])] as const);
  return Object.fromEntries(all.filter(([, value]) => value !== 0));
}
