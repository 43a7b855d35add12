// SPDX-License-Identifier: GPL-2.0-only
/**
 * Emptying a zone that gives no page out any more (mm/page_isolation.c; mm/memory_hotplug.c,
 * do_migrate_range): what is on lists moves to other nodes, what is in hands comes home by itself,
 * what holds kernel objects cannot move.
 */
import { condResched } from '../../shared/sched.ts';
import { ENOMEM } from './errno.ts';
import { folioOrder } from './folio.ts';
import { SWAP_CLUSTER_MAX } from './limits.ts';
import { isolateForMigration, migratePages } from './migrate.ts';
import type { Mm } from './mm.ts';
import { PG_LRU, PG_SLAB } from './mm_types.ts';
import { allocPages } from './page_alloc_slow.ts';

/** No page of the zone is in use, as far as this pass saw. */
export const ZONE_EMPTY = 0;
/** Some are, and may be free or movable at the next pass. */
export const ZONE_BUSY = 1;
/** One holds kernel objects. */
export const ZONE_UNMOVABLE = 2;
/** There was no memory to move one to. */
export const ZONE_NO_MEMORY = 3;

/** The page that decided the last pass, and how it was held. Private to the thread. */
export const keptBy = { pfn: 0, why: '' };

const batch: number[] = [];

function keep(pfn: number, why: string): void {
  keptBy.pfn = pfn;
  keptBy.why = why;
}

/** @returns ZONE_EMPTY when all were moved, else as migrateZone */
function moveBatch(m: Mm, nid: number): number {
  if (batch.length === 0) return ZONE_EMPTY;
  const [first] = batch as [number];
  const failed = migratePages(m, batch, () => allocPages(m, nid, 0, true), true);
  if (failed === ENOMEM) {
    keep(first, 'no memory to move it to');
    return ZONE_NO_MEMORY;
  }
  if (failed > 0) keep(first, 'it or one of its neighbours is held by somebody');
  return failed > 0 ? ZONE_BUSY : ZONE_EMPTY;
}

/**
 * One pass over a zone: moves every page that can be isolated now.
 * @param nid where to, if there is room
 * @returns ZONE_*; what kept it in `keptBy`
 * @context the zone isolated, no lock held; may block and reclaim
 */
export function migrateZone(m: Mm, zone: number, nid: number): number {
  const end = m.zone.endPfn[zone] as number;
  let result = ZONE_EMPTY;
  batch.length = 0;
  for (let pfn = m.zone.startPfn[zone] as number; pfn < end; pfn++) {
    if (Atomics.load(m.page.refcount, pfn) === 0) continue;
    const flags = Atomics.load(m.page.flags, pfn);
    if ((flags & PG_SLAB) !== 0) {
      moveBatch(m, nid);
      keep(pfn, `kernel objects of slab ${m.page.private[pfn]}`);
      return ZONE_UNMOVABLE;
    }
    if ((flags & PG_LRU) !== 0 && isolateForMigration(m, pfn)) {
      if (folioOrder(m, pfn) > 0) {
        // It is split, and its other pages are behind us then.
        keep(pfn, 'a large folio');
        result = ZONE_BUSY;
      }
      batch.push(pfn);
      if (batch.length < SWAP_CLUSTER_MAX) continue;
      const moved = moveBatch(m, nid);
      if (moved === ZONE_NO_MEMORY) return moved;
      result = Math.max(result, moved);
      condResched();
    } else {
      keep(pfn, `in use, flags 0x${flags.toString(16)}`);
      result = ZONE_BUSY;
    }
  }
  return Math.max(result, moveBatch(m, nid));
}
