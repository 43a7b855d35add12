// SPDX-License-Identifier: GPL-2.0-only
/**
 * Files whose pages are memory and swap: tmpfs (mm/shmem.c).
 *
 * A page is PG_SWAPBACKED and on the anonymous lists; nobody maps it. The file's entry holds its
 * one reference (mapping.ts), so reclaim sees isolation and the entry: 2. What goes out is
 * shmem_writeout.ts; here pages come, come back, and go for good.
 *
 * Whoever finds a folio locks it and looks again whether it is still the file's: reclaim may have
 * made a slot of it, truncation may have dropped it.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { rcuBarrier } from '../../shared/rcu_callback.ts';
import { condResched } from '../../shared/sched.ts';
import { memcgCharge } from './charge.ts';
import { pageWords } from './content.ts';
import { EBUSY, EEXIST, EIO, ENOENT, ENOMEM, ENOSPC } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import {
  folioClear,
  folioLock,
  folioOrder,
  folioSet,
  folioTest,
  folioTryLock,
  folioUnlock,
  folioWaitWriteback,
  pageFolio,
} from './folio.ts';
import { HOSTFS } from './fs_types.ts';
import {
  folioInMapping,
  mappingAdd,
  mappingErase,
  mappingGet,
  mappingNext,
  mappingPeek,
  mappingReset,
  XA_NONE,
} from './mapping.ts';
import { memcgRefresh } from './memcg_task.ts';
import { countReadaheadHit, dropStaleSwapin } from './memory.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_READAHEAD, PG_SWAPBACKED, PG_SWAPCACHE, PG_UPTODATE } from './mm_types.ts';
import { PFN_NONE } from './page_alloc.ts';
import { allocPages } from './page_alloc_slow.ts';
import { discardNewPage, folioAddLru, folioPut } from './swap.ts';
import { slotSynchronous } from './swap_info.ts';
import { swapinReadahead } from './swap_readahead.ts';
import { folioFreeSwap, swapCacheGet } from './swap_state.ts';
import { swapFree } from './swapfile.ts';
import { homeNode, swapinNew } from './swapin.ts';
import { freeSwapAndCache } from './zap.ts';

/** Entries between two safe points of a truncation. */
const TRUNCATE_BATCH = 64;

/** @returns the group that this thread's file pages are charged to */
export function chargeGroup(m: Mm): number {
  memcgRefresh(m, m.task.mm);
  return m.task.memcg;
}

/**
 * Finds a page of a file, or makes it (shmem_get_folio).
 * @param inode row, 1 and up @param index page of the file, 0 .. 2^32-1
 * @param create make a zeroed page where there is a hole
 * @returns its pfn, locked, up to date and with a reference for the caller; or ENOENT for a hole,
 *   ENOMEM without memory or charge, ENOSPC when files may hold no more pages, EIO when swap cannot
 *   be read
 * @context a thread registered with RCU, no lock held; may block, reclaim and swap in
 */
export function shmemGetFolio(m: Mm, inode: number, index: number, create: boolean): number {
  for (let waited = false; ; ) {
    const entry = mappingGet(m, inode, index);
    if (entry > 0) {
      faultDelay(FAULT_DELAY);
      folioLock(m, entry);
      if (folioInMapping(m, entry, inode, index)) return entry;
      folioUnlock(m, entry);
      folioPut(m, entry);
      continue;
    }
    if (entry === 0 && !create) return ENOENT;
    const result = entry < 0 ? swapIn(m, inode, index, -entry) : addNew(m, inode, index);
    if (result === EBUSY) {
      // Nodes may be on their way back to the pool; if there is none then, files are too sparse.
      if (waited) return ENOSPC;
      rcuBarrier();
      waited = true;
    } else if (result !== EEXIST) {
      return result;
    }
  }
}

/**
 * Fills a hole.
 * @returns the folio, locked and referenced, or an errno; EEXIST and EBUSY to look again
 */
function addNew(m: Mm, inode: number, index: number): number {
  const pfn = allocPages(m, homeNode(m), 0);
  if (pfn === PFN_NONE) return ENOMEM;
  if (!memcgCharge(m, pfn, chargeGroup(m))) {
    discardNewPage(m, pfn);
    return ENOMEM;
  }
  if (m.config.contents) pageWords(m, pfn).fill(0);
  folioSet(m, pfn, PG_SWAPBACKED | PG_UPTODATE | PG_DIRTY);
  const locked = folioTryLock(m, pfn);
  assert(locked, 'a new folio is locked');
  faultDelay(FAULT_DELAY);
  const added = mappingAdd(m, pfn, inode, index, 0);
  if (added !== 0) {
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return added;
  }
  folioAddLru(m, pfn);
  return pfn;
}

/**
 * Brings a page back from its slot (shmem_swapin_folio), and gives the slot up.
 * @returns the folio, locked and referenced, or an errno; EEXIST to look again
 */
function swapIn(m: Mm, inode: number, index: number, slot: number): number {
  let pfn = swapCacheGet(m, slot);
  const read = pfn === 0;
  if (!read && folioOrder(m, pageFolio(m, pfn)) > 0) {
    // The slot has changed hands: a file's pages are single.
    folioPut(m, pageFolio(m, pfn));
    return EEXIST;
  }
  if (read) {
    const memcg = chargeGroup(m);
    pfn = slotSynchronous(m, slot)
      ? swapinNew(m, slot, memcg, false)
      : swapinReadahead(m, slot, memcg);
    if (pfn === PFN_NONE) return ENOMEM;
    if (pfn < 0) return EEXIST;
  }
  faultDelay(FAULT_DELAY);
  folioLock(m, pfn);
  folioWaitWriteback(m, pfn);
  const ours = folioTest(m, pfn, PG_SWAPCACHE) && m.page.private[pfn] === slot;
  const broken = ours && !folioTest(m, pfn, PG_UPTODATE);
  if (broken && mappingPeek(m, inode, index) === -slot) {
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return EIO;
  }
  if (!ours || broken || mappingAdd(m, pfn, inode, index, -slot) !== 0) {
    if (read) dropStaleSwapin(m, pfn);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    return EEXIST;
  }
  if (folioTest(m, pfn, PG_READAHEAD)) countReadaheadHit(m, pfn);
  // The entry's reference was the only one: the slot goes with the cache's.
  swapFree(m, slot);
  const freed = folioFreeSwap(m, pfn);
  assert(freed, 'the slot of a file page has one reference');
  return pfn;
}

/**
 * Removes every page and slot of a file (shmem_truncate_range). A folio that reclaim has isolated
 * or locked is waited for, taken out of the file, and left to its holder to free.
 * @context no lock held; nobody adds pages meanwhile, or they may stay; may block
 */
export function shmemTruncate(m: Mm, inode: number): void {
  let left = TRUNCATE_BATCH;
  for (let index = mappingNext(m, inode, 0); index !== XA_NONE; ) {
    while (!removeEntry(m, inode, index));
    if (--left === 0) {
      left = TRUNCATE_BATCH;
      condResched();
    }
    index = mappingNext(m, inode, index + 1);
  }
}

/** @returns false when the entry changed under our eyes: look again */
function removeEntry(m: Mm, inode: number, index: number): boolean {
  const entry = mappingGet(m, inode, index);
  if (entry === 0) return true;
  faultDelay(FAULT_DELAY);
  if (entry < 0) {
    if (!mappingErase(m, inode, index, entry)) return false;
    freeSwapAndCache(m, -entry);
    return true;
  }
  folioLock(m, entry);
  const ours = folioInMapping(m, entry, inode, index) && mappingErase(m, inode, index, entry);
  if (ours) {
    folioClear(m, entry, PG_DIRTY);
    // The entry's reference: ours is still there.
    Atomics.sub(m.page.refcount, entry, 1);
  }
  folioUnlock(m, entry);
  folioPut(m, entry);
  return ours;
}

/**
 * The file is gone: removes its pages, and makes the row ready for another (shmem_evict_inode).
 * @context as shmemTruncate; nobody can open the file any more
 */
export function shmemEvict(m: Mm, inode: number): void {
  shmemTruncate(m, inode);
  mappingReset(m, inode);
}

/** Evicts every file that has pages. @context as shmemEvict */
export function shmemEvictAll(m: Mm): void {
  for (let inode = 1; inode < m.sizes.fs.nrInodes; inode++) {
    const ofHost = m.fs.super.type[m.fs.inode.sb[inode] as number] === HOSTFS;
    if (!ofHost && Atomics.load(m.mapping.head, inode) !== 0) shmemEvict(m, inode);
  }
}
