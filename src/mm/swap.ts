// SPDX-License-Identifier: GPL-2.0-only
/**
 * Per-CPU LRU batches and the last put of a folio (mm/swap.c).
 *
 * A new folio waits in its CPU's add batch, which holds a reference; it is not PG_LRU yet and so
 * cannot be isolated. Whoever is about to isolate drains its own batch first; before an OOM
 * decision all are drained. A batch has a spinlock of its own, because the kernel's way (work on
 * that CPU) needs a CPU that answers.
 */

import { cpuRelax } from '../../shared/cpu_relax.ts';
import { shouldFail } from '../../shared/fault.ts';
import { THREADS_MAX } from '../../shared/limits.ts';
import { spinLock, spinTryLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { FAULT_TRYLOCK } from './faults.ts';
import {
  folioLruvec,
  folioOrder,
  folioPages,
  folioPutTestZero,
  folioRefFreeze,
  folioTestClear,
} from './folio.ts';
import { PAGEVEC_SIZE } from './limits.ts';
import { LC_LRU_BATCH } from './lock_order.ts';
import { lruLock, lruUnlock, lruvecAddFolioLocked, lruvecDelFolioLocked } from './lruvec.ts';
import { countMemcg, MS } from './memcg_events.ts';
import { uncharge } from './memcontrol.ts';
import { clearMlocked, cullFlags, mlockFolio } from './mlock_folio.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_LARGE_FILE,
  PG_LRU,
  PG_REFERENCED,
  PG_UNEVICTABLE,
  PG_WORKINGSET,
  VM_LOCKED,
} from './mm_types.ts';
import { countMthp } from './mthp_stat.ts';
import { freeFolio } from './page_alloc.ts';
import { unqueueSplit } from './split_queue.ts';
import { MTHP } from './thp_types.ts';
import { EV } from './vmstat_items.ts';
import { workingsetAgeNonresident } from './workingset.ts';

const BATCH_WORDS = 2 * LINE_WORDS;
const COUNT = 1;
const ENTRIES = 2;

/**
 * Queues a folio for its LRU list; the batch takes a reference of its own. A large one does not
 * wait: the batch goes to the lists at once.
 * @context the folio is not PG_LRU; takes lru_batch, and lru_lock when the batch goes
 */
export function folioAddLru(m: Mm, pfn: number): void {
  const row = m.task.id * BATCH_WORDS;
  Atomics.add(m.page.refcount, pfn, 1);
  spinLock(m.lruBatch, row, LC_LRU_BATCH);
  const count = m.lruBatch[row + COUNT] as number;
  m.lruBatch[row + ENTRIES + count] = pfn;
  m.lruBatch[row + COUNT] = count + 1;
  // A large one would hold many pages back from who looks for them.
  if (count + 1 === PAGEVEC_SIZE || folioOrder(m, pfn) > 0) lruAddDrainLocked(m, row);
  spinUnlock(m.lruBatch, row, LC_LRU_BATCH);
}

/**
 * Queues a new page of a VMA, locked in memory if the VMA is (folio_add_lru_vma).
 * @context as folioAddLru
 */
export function folioAddLruVma(m: Mm, pfn: number, vma: number): void {
  if (((m.vma.flags[vma] as number) & VM_LOCKED) !== 0) mlockFolio(m, pfn);
  folioAddLru(m, pfn);
}

/**
 * Moves the batch of this thread to the lists.
 * @context takes this thread's lru_batch, then lru_lock
 */
export function lruAddDrain(m: Mm): void {
  const row = m.task.id * BATCH_WORDS;
  spinLock(m.lruBatch, row, LC_LRU_BATCH);
  lruAddDrainLocked(m, row);
  spinUnlock(m.lruBatch, row, LC_LRU_BATCH);
}

/**
 * Moves every thread's batch to the lists. A batch in use is skipped unless `force`.
 * @context takes every lru_batch in turn, then lru_lock
 */
export function lruAddDrainAll(m: Mm, force: boolean): void {
  for (let id = 1; id < THREADS_MAX; id++) {
    const row = id * BATCH_WORDS;
    if (force) spinLock(m.lruBatch, row, LC_LRU_BATCH);
    else if (shouldFail(FAULT_TRYLOCK) || !spinTryLock(m.lruBatch, row, LC_LRU_BATCH)) continue;
    lruAddDrainLocked(m, row);
    spinUnlock(m.lruBatch, row, LC_LRU_BATCH);
  }
}

/** @context the batch's lock held; takes lru_lock, once per run of folios of one lruvec */
function lruAddDrainLocked(m: Mm, row: number): void {
  const count = m.lruBatch[row + COUNT] as number;
  if (count === 0) return;
  m.lruBatch[row + COUNT] = 0;
  let locked = -1;
  for (let i = 0; i < count; i++) {
    const pfn = m.lruBatch[row + ENTRIES + i] as number;
    const lruvec = folioLruvec(m, pfn);
    if (lruvec !== locked) {
      if (locked >= 0) lruUnlock(m, locked);
      lruLock(m, lruvec);
      locked = lruvec;
    }
    // PG_LRU before the batch's reference goes, so that the last put always finds it.
    const flags = cullFlags(m, pfn, Atomics.or(m.page.flags, pfn, PG_LRU) | PG_LRU);
    lruvecAddFolioLocked(m, lruvec, pfn, flags);
  }
  if (locked >= 0) lruUnlock(m, locked);
  for (let i = 0; i < count; i++) folioPutBatch(m, m.lruBatch[row + ENTRIES + i] as number);
}

/** Drops the batch's reference: the page may have been unmapped and forgotten meanwhile. */
function folioPutBatch(m: Mm, pfn: number): void {
  if (folioPutTestZero(m, pfn)) folioPutFinal(m, pfn);
}

/**
 * A page was used other than through a page table (folio_mark_accessed): the first time it becomes
 * referenced, the second time active. One that is isolated just now stays where its holder puts it.
 * @context the caller holds a reference; takes lru_lock or this thread's lru_batch
 */
export function folioMarkAccessed(m: Mm, pfn: number): void {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_REFERENCED) === 0) {
    Atomics.or(m.page.flags, pfn, PG_REFERENCED);
  } else if ((flags & (PG_ACTIVE | PG_UNEVICTABLE)) === 0) {
    folioActivate(m, pfn);
    Atomics.and(m.page.flags, pfn, ~PG_REFERENCED);
    workingsetAgeNonresident(m, folioLruvec(m, pfn), folioPages(m, pfn));
  }
}

/**
 * Moves a folio to the active list, or lets its place in this thread's batch lead there. One that
 * somebody has isolated stays his.
 * @context the caller holds a reference; takes lru_lock or this thread's lru_batch
 */
export function folioActivate(m: Mm, pfn: number): void {
  if (!folioTestClear(m, pfn, PG_LRU)) {
    activateInBatch(m, pfn);
    return;
  }
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  const before = Atomics.load(m.page.flags, pfn);
  lruvecDelFolioLocked(m, lruvec, pfn, before);
  const flags = Atomics.or(m.page.flags, pfn, PG_ACTIVE | PG_LRU) | PG_ACTIVE | PG_LRU;
  lruvecAddFolioLocked(m, lruvec, pfn, flags);
  lruUnlock(m, lruvec);
  const pages = folioPages(m, pfn);
  m.task.events[EV.pgactivate] = (m.task.events[EV.pgactivate] as number) + pages;
  countMemcg(m, m.page.memcg[pfn] as number, MS.pgactivate, pages);
}

/** Marks a folio that waits in this thread's batch: nobody else drains it meanwhile. */
function activateInBatch(m: Mm, pfn: number): void {
  const row = m.task.id * BATCH_WORDS;
  spinLock(m.lruBatch, row, LC_LRU_BATCH);
  for (let i = (m.lruBatch[row + COUNT] as number) - 1; i >= 0; i--) {
    if (m.lruBatch[row + ENTRIES + i] !== pfn) continue;
    Atomics.or(m.page.flags, pfn, PG_ACTIVE);
    break;
  }
  spinUnlock(m.lruBatch, row, LC_LRU_BATCH);
}

/**
 * Drops a reference; frees the folio when it was the last. @context outside lru_lock and pcp->lock
 */
export function folioPut(m: Mm, pfn: number): void {
  if (folioPutTestZero(m, pfn)) folioPutFinal(m, pfn);
}

function folioPutFinal(m: Mm, pfn: number): void {
  if (folioTestClear(m, pfn, PG_LRU)) {
    const lruvec = folioLruvec(m, pfn);
    lruLock(m, lruvec);
    lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
    lruUnlock(m, lruvec);
  }
  releaseFolio(m, pfn);
}

/**
 * Takes a folio's charge and its marks off it, and frees it.
 * @context count 0, on no list; takes zone->lock or pcp->lock, split_queue_lock
 */
export function releaseFolio(m: Mm, pfn: number): void {
  clearMlocked(m, pfn);
  Atomics.and(m.page.flags, pfn, ~(PG_ACTIVE | PG_REFERENCED | PG_WORKINGSET));
  const order = folioOrder(m, pfn);
  if (order > 0) forgetLarge(m, pfn, order);
  uncharge(m, m.page.memcg[pfn] as number, 1 << order);
  freeFolio(m, pfn);
}

/** A large folio is freed, or taken apart. @context its count is 0 */
export function forgetLarge(m: Mm, pfn: number, order: number): void {
  unqueueSplit(m, pfn);
  const ofFile = folioTestClear(m, pfn, PG_LARGE_FILE);
  countMthp(m, order, ofFile ? MTHP.nr_file : MTHP.nr_anon, -1);
}

/**
 * Frees a page that was allocated but never charged or shown to anybody. A lookup that knows the
 * page from its former life may hold a reference for a moment: it must not be the one to free it.
 * @param pfn a page with the one reference of its allocation
 * @context no zone lock held
 */
export function discardNewPage(m: Mm, pfn: number): void {
  while (!folioRefFreeze(m, pfn, 1)) cpuRelax();
  freeFolio(m, pfn);
}
