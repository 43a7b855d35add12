// SPDX-License-Identifier: GPL-2.0-only
/**
 * Large folios that are mapped in part only: a queue for each node, until they are split or freed
 * (mm/huge_memory.c, deferred_split_folio, folio_unqueue_deferred_split).
 *
 * A folio is linked by the row of its first tail, which is on no list of its own. PG_DEFERRED says
 * that it is queued, and the flag and the link change together under the lock.
 */
import { listAddTail, listDel } from '../../shared/list.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { folioClear, folioNid, folioOrder, folioSet, folioTest, folioTryGet } from './folio.ts';
import { LC_SPLIT_QUEUE } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { PG_DEFERRED, PG_SWAPCACHE } from './mm_types.ts';
import { countMthp, countMthpEvent } from './mthp_stat.ts';
import { MTHP } from './thp_types.ts';

/** @returns the link row that heads a node's queue */
export function splitQueueHead(m: Mm, nid: number): number {
  return m.sizes.heads + m.sizes.nrHeads - m.sizes.nrNodes + nid;
}

/** @context takes split_queue_lock of the node */
export function splitQueueLock(m: Mm, nid: number): void {
  spinLock(m.splitQueueLock, nid * LINE_WORDS, LC_SPLIT_QUEUE);
}

/** Releases split_queue_lock. @context the holder */
export function splitQueueUnlock(m: Mm, nid: number): void {
  spinUnlock(m.splitQueueLock, nid * LINE_WORDS, LC_SPLIT_QUEUE);
}

function addLocked(m: Mm, nid: number, pfn: number): void {
  folioSet(m, pfn, PG_DEFERRED);
  listAddTail(m.link.next, m.link.prev, pfn + 1, splitQueueHead(m, nid));
  m.splitQueueLength[nid] = (m.splitQueueLength[nid] as number) + 1;
  countMthp(m, folioOrder(m, pfn), MTHP.nr_anon_partially_mapped, 1);
}

function delLocked(m: Mm, nid: number, pfn: number): void {
  folioClear(m, pfn, PG_DEFERRED);
  listDel(m.link.next, m.link.prev, pfn + 1);
  m.splitQueueLength[nid] = (m.splitQueueLength[nid] as number) - 1;
  countMthp(m, folioOrder(m, pfn), MTHP.nr_anon_partially_mapped, -1);
}

/**
 * Queues a folio of which a page has lost its last mapping. One in the swap cache is reclaim's.
 * @param pfn the head @context the caller holds a reference; takes split_queue_lock
 */
export function deferSplit(m: Mm, pfn: number): void {
  if (folioTest(m, pfn, PG_SWAPCACHE | PG_DEFERRED)) return;
  const nid = folioNid(m, pfn);
  splitQueueLock(m, nid);
  if (!folioTest(m, pfn, PG_DEFERRED)) {
    addLocked(m, nid, pfn);
    countMthpEvent(m, pfn, MTHP.split_deferred, 'thp_deferred_split_page');
  }
  splitQueueUnlock(m, nid);
}

/**
 * Takes a folio off the queue, if it is there.
 * @context the folio is frozen or free: nobody queues it meanwhile; takes split_queue_lock
 */
export function unqueueSplit(m: Mm, pfn: number): void {
  if (!folioTest(m, pfn, PG_DEFERRED)) return;
  const nid = folioNid(m, pfn);
  splitQueueLock(m, nid);
  // The shrinker may have taken it off meanwhile.
  if (folioTest(m, pfn, PG_DEFERRED)) delLocked(m, nid, pfn);
  splitQueueUnlock(m, nid);
}

/**
 * Takes folios off the head of a node's queue.
 * @param taken gets up to `nr` of them, each with a reference
 * @returns folios looked at: those that are being freed are left to who frees them
 * @context takes split_queue_lock
 */
export function takeSplitQueue(m: Mm, nid: number, nr: number, taken: number[]): number {
  const { next } = m.link;
  const head = splitQueueHead(m, nid);
  let looked = 0;
  splitQueueLock(m, nid);
  for (let at = next[head] as number; at !== head && looked < nr; looked++) {
    const pfn = at - 1;
    at = next[at] as number;
    if (!folioTryGet(m, pfn)) continue;
    delLocked(m, nid, pfn);
    taken.push(pfn);
  }
  splitQueueUnlock(m, nid);
  return looked;
}

/** Puts one back that could not be split. @context a reference is held; takes split_queue_lock */
export function requeueSplit(m: Mm, pfn: number): void {
  const nid = folioNid(m, pfn);
  splitQueueLock(m, nid);
  if (!folioTest(m, pfn, PG_DEFERRED)) addLocked(m, nid, pfn);
  splitQueueUnlock(m, nid);
}
