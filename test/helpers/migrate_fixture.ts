// SPDX-License-Identifier: GPL-2.0-only
/** Two nodes on one thread, and pages that are moved between them. */
import { expect } from 'vitest';
import { drainEverything } from '../../dist/src/mm/drain.js';
import { folioNid } from '../../dist/src/mm/folio.js';
import { isolateForMigration, migratePages } from '../../dist/src/mm/migrate.js';
import type { Mm } from '../../dist/src/mm/mm.js';
import { allocPages } from '../../dist/src/mm/page_alloc_slow.js';
import { bootForks } from './fork_fixture.js';
import type { FixtureOptions } from './mm_fixture.js';

export const NODE_PAGES = 1024;

export function bootNodes(options: FixtureOptions = {}): Mm {
  const nodes = [{ zonePages: [NODE_PAGES] }, { zonePages: [NODE_PAGES] }];
  return bootForks({ nodes, ...options });
}

/** Moves a page of node 0 to node 1. @returns how many could not be moved: 0 or 1 */
export function migrate(m: Mm, pfn: number, wait = true): number {
  drainEverything(m);
  expect(folioNid(m, pfn)).toBe(0);
  expect(isolateForMigration(m, pfn)).toBe(true);
  const failed = migratePages(m, [pfn], () => allocPages(m, 1, 0, true), wait);
  drainEverything(m);
  return failed;
}
