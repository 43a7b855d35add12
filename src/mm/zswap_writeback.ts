// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writing zswap's coldest entries to the swap file (mm/zswap.c, zswap_writeback_entry, shrink_memcg
 * and shrink_worker).
 *
 * A folio of the swap cache is made for the entry's slot, exclusively: whoever wants the slot
 * meanwhile finds it locked. Its page was allocated from the reserves, is charged to nobody, and
 * goes back at once: who has waited for it finds it gone from the cache, and looks again. So no
 * group has to have room for what leaves it, and the shadow that the slot had stays.
 *
 * An entry is named by its slot and its object: between the list and the swap cache it may be freed
 * or replaced, and is then left alone.
 */
import { assert } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { rcuReadLock, rcuReadUnlock } from '../../shared/rcu.ts';
import { condResched } from '../../shared/sched.ts';
import { pageBytes } from './content.ts';
import { EAGAIN, EEXIST, EIO, ENOENT, ENOMEM } from './errno.ts';
import { FAULT_WRITE } from './faults.ts';
import {
  folioClear,
  folioEndWriteback,
  folioNid,
  folioSet,
  folioTryLock,
  folioUnlock,
} from './folio.ts';
import { MAX_RECLAIM_RETRIES } from './limits.ts';
import {
  LRU_REMOVED_RETRY,
  LRU_RETRY,
  LRU_ROTATE,
  LRU_STOP,
  listLruCount,
  listLruMoveTail,
  listLruUnlock,
  listLruWalk,
} from './list_lru.ts';
import { memcgOnline, memcgPut, memcgTryGet } from './memcg_css.ts';
import { nextDescendant } from './memcg_iter.ts';
import type { Mm } from './mm.ts';
import { PG_SWAPBACKED, PG_UPTODATE, PG_WRITEBACK } from './mm_types.ts';
import { PFN_NONE } from './page_alloc.ts';
import { allocPages } from './page_alloc_slow.ts';
import { discardNewPage } from './swap.ts';
import { deviceWrite } from './swap_backend.ts';
import { clusterLock, clusterUnlock } from './swap_cluster.ts';
import { CACHE_EXISTS, shadowFound, swapCacheInsert, swapCacheRemove } from './swap_state.ts';
import { homeNode } from './swapin.ts';
import { EV } from './vmstat_items.ts';
import {
  registerZswapShrink,
  zswapAcceptPages,
  zswapReadInto,
  zswapWritebackEnabled,
} from './zswap.ts';
import { zswapFreeLocked, zswapHolds, zswapTotalPages } from './zswap_entry.ts';
import { ZSWAP_CURSOR, ZSWAP_LRU, ZSWAP_REJECT_RECLAIM_FAIL, ZSWAP_WORK } from './zswap_types.ts';

/** Pages for writing back come from the reserves: it is reclaim, whoever does it. */
function allocForWriteback(m: Mm): number {
  const before = m.task.memalloc;
  m.task.memalloc = true;
  const pfn = allocPages(m, homeNode(m), 0);
  m.task.memalloc = before;
  return pfn;
}

/** Unpacks and writes. @returns 0 or EIO @context folio locked, in the swap cache */
function writeOut(m: Mm, pfn: number, slot: number): number {
  if (m.config.contents && !zswapReadInto(m, slot, pageBytes(m, pfn))) return EIO;
  folioSet(m, pfn, PG_UPTODATE | PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), 1);
  const written = !shouldFail(FAULT_WRITE) && deviceWrite(m, pfn, slot);
  folioEndWriteback(m, pfn);
  if (!written) return EIO;
  const { events } = m.task;
  clusterLock(m, slot);
  zswapFreeLocked(m, slot);
  clusterUnlock(m, slot);
  events[EV.zswpwb] = (events[EV.zswpwb] as number) + 1;
  events[EV.pswpout] = (events[EV.pswpout] as number) + 1;
  events[EV.pgpgout] = (events[EV.pgpgout] as number) + 4;
  events[EV.nr_written] = (events[EV.nr_written] as number) + 1;
  return 0;
}

/** Has the slot still the entry that was on the list? */
function sameEntry(m: Mm, slot: number, handle: number): boolean {
  clusterLock(m, slot);
  const same = zswapHolds(m, slot) && m.zswap.handle[slot] === handle;
  clusterUnlock(m, slot);
  return same;
}

/**
 * Writes an entry to the file, and frees it (zswap_writeback_entry).
 * @param handle its object, when it was found
 * @returns 0; EEXIST when the slot has a folio, ENOENT when the entry is gone or another, ENOMEM
 *   without a page, EIO when the file did not take it: then the entry stays
 * @context no spinlock held; folio locks of others may be; takes swap_cluster; waits for the file,
 *   and for those who have found the folio to let go of it
 */
export function zswapWriteback(m: Mm, slot: number, handle: number): number {
  const pfn = allocForWriteback(m);
  if (pfn === PFN_NONE) return ENOMEM;
  folioSet(m, pfn, PG_SWAPBACKED);
  const locked = folioTryLock(m, pfn);
  assert(locked, 'a new folio is locked');
  const inserted = swapCacheInsert(m, pfn, slot);
  let result = inserted === CACHE_EXISTS ? EEXIST : ENOENT;
  if (inserted === 0) {
    const { tag, age } = shadowFound;
    result = sameEntry(m, slot, handle) ? writeOut(m, pfn, slot) : ENOENT;
    swapCacheRemove(m, pfn, slot, tag, age);
  }
  folioUnlock(m, pfn);
  folioClear(m, pfn, PG_SWAPBACKED | PG_UPTODATE);
  discardNewPage(m, pfn);
  return result;
}

/** A walk met a slot with a folio: what is warm was reached. Private to the thread. */
const walk = { encountered: false, stopThere: false };

/** Second chance, or out (shrink_memcg_cb). @context list_lru held */
function shrinkItem(m: Mm, item: number, list: number): number {
  if (walk.encountered && walk.stopThere) return LRU_STOP;
  const slot = item - m.sizes.lists.firstZswap;
  if (Atomics.exchange(m.zswap.referenced, slot, 0) === 1) return LRU_ROTATE;
  // On its list, the entry is whole. Other walks go on with the next one.
  const handle = m.zswap.handle[slot] as number;
  listLruMoveTail(m, item, list);
  listLruUnlock(m, list);
  const result = zswapWriteback(m, slot, handle);
  if (result === 0) return LRU_REMOVED_RETRY;
  Atomics.add(m.zswapWords, ZSWAP_REJECT_RECLAIM_FAIL, 1);
  walk.encountered ||= result === EEXIST;
  return LRU_RETRY;
}

/**
 * Writes back up to `nr` entries of a group's list.
 * @param memcg referenced by the caller @param stopThere end where a slot has a folio
 * @returns entries that are gone, with `encountered` when the walk ended early
 * @context as zswapWriteback
 */
export function zswapWalk(m: Mm, nid: number, memcg: number, nr: number, stopThere: boolean) {
  walk.encountered = false;
  walk.stopThere = stopThere;
  const lru = m.zswapWords[ZSWAP_LRU] as number;
  const freed = listLruWalk(m, lru, nid, memcg, shrinkItem, nr);
  return { freed, encountered: walk.encountered };
}

/**
 * Writes back an entry of a group on every node (shrink_memcg).
 * @returns 0 when any is gone, EAGAIN when none, ENOENT where there is none that could
 * @context as zswapWriteback; the caller holds a reference on the group
 */
export function zswapShrinkMemcg(m: Mm, memcg: number): number {
  if (!memcgOnline(m, memcg) || !zswapWritebackEnabled(m, memcg)) return ENOENT;
  const lru = m.zswapWords[ZSWAP_LRU] as number;
  let scanned = 0;
  let freed = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    if (listLruCount(m, lru, nid, memcg) === 0) continue;
    scanned++;
    freed += zswapWalk(m, nid, memcg, 1, false).freed;
  }
  if (scanned === 0) return ENOENT;
  return freed > 0 ? 0 : EAGAIN;
}

registerZswapShrink((m, memcg) => zswapShrinkMemcg(m, memcg) === 0);

/** The group after the last one, online, with a reference; -1 at the end of a round. */
function nextGroup(m: Mm): number {
  rcuReadLock();
  // Cleared before a group's grace period: what it names stays for this section.
  let at = Atomics.load(m.zswapWords, ZSWAP_CURSOR) - 1;
  do at = nextDescendant(m, 0, at);
  while (at > 0 && !(memcgOnline(m, at) && memcgTryGet(m, at)));
  Atomics.store(m.zswapWords, ZSWAP_CURSOR, at + 1);
  rcuReadUnlock();
  return at;
}

/** @returns whether zswap_shrink has something to do @context any */
export function zswapShrinkPending(m: Mm): boolean {
  // PAIRS(zswap-shrink): read in the queue, or before the daemon gets there.
  return Atomics.load(m.zswapWords, ZSWAP_WORK) === 1;
}

/**
 * Writes back entries of all groups in turn until the pool is below the threshold, or nothing helps
 * (shrink_worker).
 * @context the zswap_shrink kthread; as zswapWriteback
 */
export function zswapShrinkPass(m: Mm): void {
  Atomics.store(m.zswapWords, ZSWAP_WORK, 0);
  let failures = 0;
  let attempts = 0;
  while (zswapTotalPages(m) > zswapAcceptPages(m)) {
    condResched();
    const memcg = nextGroup(m);
    if (memcg < 0) {
      if (attempts === 0 && ++failures === MAX_RECLAIM_RETRIES) return;
      attempts = 0;
      continue;
    }
    const result = zswapShrinkMemcg(m, memcg);
    if (memcg !== 0) memcgPut(m, memcg);
    if (result === ENOENT) continue;
    attempts++;
    if (result !== 0 && ++failures === MAX_RECLAIM_RETRIES) return;
  }
}

/** The cursor must not name a row that goes away. @context as invalidateIterators */
export function zswapForgetGroup(m: Mm, memcg: number): void {
  Atomics.compareExchange(m.zswapWords, ZSWAP_CURSOR, memcg + 1, 0);
}
