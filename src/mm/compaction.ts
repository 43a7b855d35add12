// SPDX-License-Identifier: GPL-2.0-only
/**
 * Compaction: free pages side by side where there are enough of them, but scattered
 * (mm/compaction.c). Two scanners meet in a zone:
 *
 *   start -> migrate scanner: pages in use             free scanner: free pages <- end
 *            ------------------ are moved to ------------------->
 *
 * What is behind the migrate scanner becomes free, and its blocks merge. A page that cannot be
 * isolated or moved now is passed over.
 */
import { listDel } from '../../shared/list.ts';
import { condResched } from '../../shared/sched.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { compactionDeferred, deferCompaction, deferReset } from './compaction_defer.ts';
import { ENOMEM } from './errno.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { folioOrder, folioPages } from './folio.ts';
import { NR_PAGE_ORDERS, SWAP_CLUSTER_MAX } from './limits.ts';
import { LC_ZONE } from './lock_order.ts';
import { isolateForMigration, migratePages } from './migrate.ts';
import type { Mm } from './mm.ts';
import { PG_BUDDY } from './mm_types.ts';
import { drainAllPages, noteRmqueue, PFN_NONE, zoneFree, zoneOnline } from './page_alloc.ts';
import { discardNewPage, lruAddDrain } from './swap.ts';
import { EV, type VmEvent } from './vmstat_items.ts';
import { WMARK_LOW, wmarkPages } from './watermark.ts';

/** Too little is free, or the block is there already: moving pages would not help. */
export const COMPACT_SKIPPED = 0;
/** The scanners met. */
export const COMPACT_COMPLETE = 1;
/** A block of the order is there. */
export const COMPACT_SUCCESS = 2;

/** For an order: all of the zone, until the scanners meet. */
export const COMPACT_ALL = -1;

/** Free pages that the free scanner took, each with a reference; one compaction per thread. */
const taken: number[] = [];
const batch: number[] = [];
/** Where the free scanner is: it takes what lies below. */
let freePfn = 0;

function count(m: Mm, event: VmEvent, by: number): void {
  m.task.events[EV[event]] = (m.task.events[EV[event]] as number) + by;
}

/** Has the zone a free block of the order? @context any; a hint without zone->lock */
export function hasBlock(m: Mm, zone: number, order: number): boolean {
  for (let o = order; o < NR_PAGE_ORDERS; o++) {
    if ((m.freeArea[zone * NR_PAGE_ORDERS + o] as number) > 0) return true;
  }
  return false;
}

/** Free pages above a watermark that a block takes: where pages go, and where they were. */
export function compactGap(order: number): number {
  return 2 << order;
}

/**
 * May compaction give a block (compaction_suitable)? It needs room to move pages to.
 * @param order 0 and up, or COMPACT_ALL @context any; a hint
 */
export function compactionSuitable(m: Mm, zone: number, order: number): boolean {
  if (!zoneOnline(m, zone)) return false;
  if (order === COMPACT_ALL) return true;
  if (hasBlock(m, zone, order)) return false;
  return zoneFree(m, zone) > wmarkPages(m, zone, WMARK_LOW) + compactGap(order);
}

/**
 * Takes the highest free blocks above `low` apart into pages (isolate_freepages).
 * @context takes zone->lock
 */
function isolateFreePages(m: Mm, zone: number, low: number): void {
  let scanned = 0;
  spinLock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  while (freePfn > low && taken.length < SWAP_CLUSTER_MAX && zoneOnline(m, zone)) {
    freePfn--;
    scanned++;
    if (Atomics.load(m.page.flags, freePfn) !== PG_BUDDY) continue;
    const order = m.page.private[freePfn] as number;
    listDel(m.link.next, m.link.prev, freePfn);
    const cell = zone * NR_PAGE_ORDERS + order;
    m.freeArea[cell] = (m.freeArea[cell] as number) - 1;
    Atomics.store(m.page.flags, freePfn, 0);
    m.page.private[freePfn] = 0;
    Atomics.sub(m.zone.nrFree, zone, 1 << order);
    for (let i = 0; i < 1 << order; i++) taken.push(freePfn + i);
    for (let i = 0; i < 1 << order; i++) noteRmqueue(m, zone, freePfn + i);
  }
  spinUnlock(m.zoneLock, zone * LINE_WORDS, LC_ZONE);
  count(m, 'compact_free_scanned', scanned);
}

/** Takes pages in use off their lists, from `pfn` on. @returns where the scan stopped */
function isolateMigratePages(m: Mm, pfn: number, end: number): number {
  let at = pfn;
  let scanned = 0;
  batch.length = 0;
  for (; at < end && batch.length < SWAP_CLUSTER_MAX; at++) {
    scanned++;
    // What is together need not be moved to be together.
    if (folioOrder(m, at) > 0) at += folioPages(m, at) - 1;
    else if (isolateForMigration(m, at)) batch.push(at);
  }
  count(m, 'compact_migrate_scanned', scanned);
  count(m, 'compact_isolated', batch.length);
  return at;
}

/**
 * Moves pages in use to the end of a zone until a block of the order is free (compact_zone).
 * @param order 0 and up, or COMPACT_ALL @param shouldStop asked between batches
 * @returns COMPACT_*
 * @context no lock held but mmap_lock; takes folio locks by trylock; may block
 */
export function compactZone(m: Mm, zone: number, order: number, shouldStop: () => boolean): number {
  if (!compactionSuitable(m, zone, order)) return COMPACT_SKIPPED;
  // Pages in our batch, and on lists of CPUs, are in nobody's reach.
  lruAddDrain(m);
  drainAllPages(m, false);
  let migratePfn = m.zone.startPfn[zone] as number;
  freePfn = m.zone.endPfn[zone] as number;
  let noMemory = false;
  const done = (): boolean => (order >= 0 && hasBlock(m, zone, order)) || !zoneOnline(m, zone);
  while (migratePfn < freePfn && !noMemory && !done() && !shouldStop()) {
    migratePfn = isolateMigratePages(m, migratePfn, freePfn);
    const low = migratePfn;
    const alloc = (): number => {
      if (taken.length === 0) isolateFreePages(m, zone, low);
      return taken.pop() ?? PFN_NONE;
    };
    noMemory = batch.length > 0 && migratePages(m, batch, alloc, false) === ENOMEM;
    // What was freed waits on this CPU's list, and merges only in the zone.
    drainAllPages(m, false);
    condResched();
  }
  while (taken.length > 0) discardNewPage(m, taken.pop() as number);
  // kcompactd may sleep for ever after this: what it has moved goes to its lists.
  lruAddDrain(m);
  drainAllPages(m, false);
  return order >= 0 && hasBlock(m, zone, order) ? COMPACT_SUCCESS : COMPACT_COMPLETE;
}

/**
 * A failed allocation's own compaction (try_to_compact_pages): zone by zone, until one has a block.
 * @param zones of the allocation @param order at least 1
 * @returns whether trying again may help
 * @context as compactZone
 */
export function tryToCompactPages(m: Mm, zones: readonly number[], order: number): boolean {
  let stalled = false;
  let found = false;
  for (let i = 0; i < zones.length && !found; i++) {
    const zone = zones[i] as number;
    if (!compactionSuitable(m, zone, order)) continue;
    if (compactionDeferred(m, zone, order)) continue;
    if (!stalled) count(m, 'compact_stall', 1);
    stalled = true;
    found = compactZone(m, zone, order, () => fatalSignalPending(m)) === COMPACT_SUCCESS;
    if (found) deferReset(m, zone, order, false);
    else if (!fatalSignalPending(m)) deferCompaction(m, zone, order);
  }
  if (stalled) count(m, found ? 'compact_success' : 'compact_fail', 1);
  return found;
}
