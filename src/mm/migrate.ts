// SPDX-License-Identifier: GPL-2.0-only
/**
 * Moving the contents and the identity of a page to another frame (mm/migrate.c).
 *
 *   lock both -> migration entries -> shootdown -> copy -> freeze the old one at exactly what is
 *   known, give its place in the swap cache or the file to the new one, its flags, its charge
 *   -> map the new one where the entries are -> unlock, free the old frame
 *
 * Whoever holds a reference that is not known makes the freeze fail: then the old one is mapped
 * again, and nothing has happened. A fault that meets a migration entry waits for the folio lock. A
 * large folio is split first, and its pages move one by one.
 */
import { assert } from '../../shared/assert.ts';
import { bitWait } from '../../shared/bit_lock.ts';
import { faultDelay } from '../../shared/fault.ts';
import { putAnonVma } from './anon_vma.ts';
import { pageWords } from './content.ts';
import { EAGAIN, ENOMEM } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { folioOfHost } from './file_dirty.ts';
import {
  folioLock,
  folioLruList,
  folioLruvec,
  folioNid,
  folioPages,
  folioRefFreeze,
  folioSet,
  folioTest,
  folioTestClear,
  folioTryGet,
  folioTryLock,
  folioUnlock,
  folioWaitWriteback,
  isFileLru,
} from './folio.ts';
import { lruLock, lruUnlock, lruvecDelFolioLocked } from './lruvec.ts';
import { mappingReplace } from './mapping.ts';
import { fileReplaceFolio } from './mapping_file.ts';
import { migrateOut, removeMigrationEntries, tryToMigrate } from './migrate_entry.ts';
import { fileRemoveMigrationEntries, fileTryToMigrate } from './migrate_file.ts';
import { munlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_LOCKED,
  PG_LRU,
  PG_MLOCKED,
  PG_READAHEAD,
  PG_RECLAIM,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PG_WAITERS,
  PG_WORKINGSET,
  PG_WRITEBACK,
} from './mm_types.ts';
import { freePage } from './page_alloc.ts';
import { folioMapcount } from './rmap.ts';
import { folioOfFile } from './shmem_writeout.ts';
import { splitFolio } from './split.ts';
import { discardNewPage, folioAddLru, folioPut } from './swap.ts';
import { folioFreeSwap, swapCacheReplace } from './swap_state.ts';
import { tlbFlush } from './tlb.ts';
import { modIsolated } from './vmscan_count.ts';
import { putbackLru } from './vmscan_lists.ts';
import { EV } from './vmstat_items.ts';

/** What a page is, wherever it lies. PG_SWAPCACHE moves with the slot, PG_MLOCKED with the VMAs. */
const MOVED =
  PG_REFERENCED |
  PG_UPTODATE |
  PG_DIRTY |
  PG_ACTIVE |
  PG_WORKINGSET |
  PG_RECLAIM |
  PG_SWAPBACKED |
  PG_READAHEAD;

/** Times that a page is tried (NR_MAX_MIGRATE_PAGES_RETRY). */
const MIGRATE_RETRIES = 10;

/** Counts an isolated folio, or one that is so no longer. */
function countIsolated(m: Mm, pfn: number, pages: number): void {
  const file = isFileLru(folioLruList(Atomics.load(m.page.flags, pfn)));
  modIsolated(m, folioNid(m, pfn), file, pages);
}

/**
 * Takes a folio off its list, also one that reclaim may not have (folio_isolate_lru).
 * @returns false when it is on none; else a reference is the caller's, until migrateFolio or
 *   `putback` take it
 * @context takes lru_lock
 */
export function isolateForMigration(m: Mm, pfn: number): boolean {
  if (!folioTest(m, pfn, PG_LRU) || !folioTryGet(m, pfn)) return false;
  if (!folioTestClear(m, pfn, PG_LRU)) {
    folioPut(m, pfn);
    return false;
  }
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
  lruUnlock(m, lruvec);
  countIsolated(m, pfn, folioPages(m, pfn));
  return true;
}

const one: number[] = [0];

/** Puts an isolated folio back on its list, or frees it when nobody else holds it. */
export function putbackMigration(m: Mm, pfn: number): void {
  countIsolated(m, pfn, -folioPages(m, pfn));
  one[0] = pfn;
  putbackLru(m, one);
}

/**
 * Moves an isolated folio to another frame.
 * @param dst a page just allocated, charged to nobody @param wait for the folio lock, or try
 * @returns 0: the old frame is back with the allocator, the new one on its way to its list; or
 *   EAGAIN: somebody holds the folio, which stays isolated, and `dst` is the caller's as before
 * @context no lock held; may block
 */
export function migrateFolio(m: Mm, pfn: number, dst: number, wait: boolean): number {
  if (wait) folioLock(m, pfn);
  else if (!folioTryLock(m, pfn)) return EAGAIN;
  if (folioPages(m, pfn) > 1 && !splitIsolated(m, pfn, wait)) {
    folioUnlock(m, pfn);
    return EAGAIN;
  }
  const nid = folioNid(m, pfn);
  const file = isFileLru(folioLruList(Atomics.load(m.page.flags, pfn)));
  // Whoever writes it out needs no lock for that, and does not take the folio's before it is done.
  if (wait) bitWait(m.page.flags, pfn, PG_WRITEBACK, m.folioWait, 0);
  const error = migrateLocked(m, pfn, dst);
  folioUnlock(m, pfn);
  if (error !== 0) return error;
  modIsolated(m, nid, file, -1);
  Atomics.and(m.page.flags, pfn, PG_WAITERS);
  freePage(m, pfn);
  folioPut(m, dst);
  return 0;
}

const tails: number[] = [];

/**
 * Takes an isolated large folio apart; its other pages go back on their list, for another pass.
 * @param wait for the end of writeback
 * @returns false when somebody holds it @context folio locked
 */
function splitIsolated(m: Mm, pfn: number, wait: boolean): boolean {
  tails.length = 0;
  if (wait) folioWaitWriteback(m, pfn);
  if (!splitFolio(m, pfn, false, tails)) return false;
  for (const page of tails) putbackMigration(m, page);
  m.task.events[EV.thp_migration_split] = (m.task.events[EV.thp_migration_split] as number) + 1;
  return true;
}

/** @context the old one locked and isolated */
function migrateLocked(m: Mm, pfn: number, dst: number): number {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_WRITEBACK) !== 0 || (flags & PG_UPTODATE) === 0) return EAGAIN;
  const ofHost = folioOfHost(m, pfn);
  assert(folioMapcount(m, pfn) === 0 || m.page.mapping[pfn] !== 0, 'a mapped page is of something');
  const locked = folioTryLock(m, dst);
  assert(locked, 'a new folio is locked');
  const fileMapped = ofHost && fileTryToMigrate(m, pfn);
  const anonVma = ofHost ? 0 : tryToMigrate(m, pfn);
  faultDelay(FAULT_DELAY);
  if (fileMapped || anonVma !== 0) tlbFlush(m, migrateOut.cpuMask);
  const moved = moveToNew(m, pfn, dst);
  const stays = moved ? dst : pfn;
  faultDelay(FAULT_DELAY);
  if (fileMapped) fileRemoveMigrationEntries(m, pfn, stays);
  if (anonVma !== 0) {
    removeMigrationEntries(m, anonVma, pfn, stays);
    putAnonVma(m, anonVma);
    // Who unmapped it meanwhile found an entry that names no slot, and left the cache to us.
    if (folioMapcount(m, stays) === 0) folioFreeSwap(m, stays);
  }
  if (moved) {
    m.page.mapping[pfn] = 0;
    folioAddLru(m, dst);
  }
  folioUnlock(m, dst);
  return moved ? 0 : EAGAIN;
}

/**
 * Copies, and puts the new folio in the old one's place. On success the old one has no reference.
 * @context both locked, the old one unmapped, no CPU can store to it; takes swap_cluster or i_pages
 */
function moveToNew(m: Mm, pfn: number, dst: number): boolean {
  const cached = folioTest(m, pfn, PG_SWAPCACHE);
  const ofHost = folioOfHost(m, pfn);
  const ofFile = ofHost || folioOfFile(m, pfn);
  assert(!cached || !ofFile, 'a folio of a file is in the swap cache');
  // Isolation, and the one place that has it.
  const refs = cached || ofFile ? 2 : 1;
  if (Atomics.load(m.page.refcount, pfn) !== refs) return false;
  if (m.config.contents) pageWords(m, dst).set(pageWords(m, pfn));
  faultDelay(FAULT_DELAY);
  const frozen = cached
    ? swapCacheReplace(m, pfn, dst, refs)
    : ofHost
      ? fileReplaceFolio(m, pfn, dst, refs)
      : ofFile
        ? mappingReplace(m, pfn, dst, refs)
        : folioRefFreeze(m, pfn, refs);
  if (!frozen) return false;
  // Nobody looks at them before we let go of its lock.
  if (!ofFile) {
    m.page.mapping[dst] = m.page.mapping[pfn] as number;
    m.page.index[dst] = m.page.index[pfn] as number;
  }
  m.page.memcg[dst] = m.page.memcg[pfn] as number;
  if (folioTest(m, pfn, PG_MLOCKED)) munlockFolio(m, pfn);
  folioSet(m, dst, Atomics.load(m.page.flags, pfn) & MOVED);
  Atomics.and(m.page.flags, pfn, PG_LOCKED | PG_WAITERS);
  return true;
}

/**
 * Moves isolated folios (migrate_pages); those that cannot be moved are put back.
 * @param folios isolated pfns, emptied
 * @param alloc a page for one of them, or PFN_NONE: then the rest stays
 * @param wait as migrateFolio
 * @returns how many are where they were; ENOMEM when no page was to be had
 * @context no lock held; may block
 */
export function migratePages(m: Mm, folios: number[], alloc: () => number, wait: boolean): number {
  const { events } = m.task;
  let failed = 0;
  let dst = 0;
  let noMemory = false;
  for (const pfn of folios) {
    let error = EAGAIN;
    for (let pass = 0; pass < MIGRATE_RETRIES && error === EAGAIN && !noMemory; pass++) {
      // Everybody else has forgotten it: putting it back frees it.
      if (Atomics.load(m.page.refcount, pfn) === 1) break;
      if (dst === 0) dst = alloc();
      noMemory = dst === 0;
      if (!noMemory) error = migrateFolio(m, pfn, dst, wait && pass > 2);
    }
    if (error === 0) {
      events[EV.pgmigrate_success] = (events[EV.pgmigrate_success] as number) + 1;
      dst = 0;
      continue;
    }
    if (Atomics.load(m.page.refcount, pfn) > 1) {
      events[EV.pgmigrate_fail] = (events[EV.pgmigrate_fail] as number) + 1;
      failed++;
    }
    putbackMigration(m, pfn);
  }
  folios.length = 0;
  if (dst !== 0) discardNewPage(m, dst);
  return noMemory ? ENOMEM : failed;
}
