// SPDX-License-Identifier: GPL-2.0-only
/**
 * The queue between reclaim and kshrinkd, one for each node (seed 000, kshrinkd_folios): folios
 * that reclaim has isolated and whose rmap lock was taken by somebody else.
 *
 * A queued folio is isolated (no PG_lru, one reference for it), not locked, mapped, charged, and
 * anybody may use, lock or free it meanwhile. It is linked by the links of the LRU lists, and
 * counted as isolated until it leaves: put back, or freed.
 *
 *   -> RUNNING    the thread runs
 *   -> DRAINING   it is asked to end, to park or to freeze: nobody queues any more
 *   -> STOPPED    it ends, with an empty queue
 *
 * Producers append at the tail and kshrinkd takes from the head: the oldest goes first.
 */
import { assert } from '../../shared/assert.ts';
import { shouldFail } from '../../shared/fault.ts';
import { listAddTail, listDel, listInit } from '../../shared/list.ts';
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { LINE_WORDS } from '../../shared/types.ts';
import { WAIT_QUEUE_WORDS, WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { CONTENDED_KSHRINKD_FIXED, type KshrinkdBug } from './contended.ts';
import { FAULT_QUEUE_FULL } from './faults.ts';
import { folioPages } from './folio.ts';
import {
  KSHRINKD_DRAINING,
  KSHRINKD_RUNNING,
  KSHRINKD_STOPPED,
  TRIES_FILE,
  TRIES_MASK,
} from './kshrinkd_types.ts';
import { SWAP_CLUSTER_MAX } from './limits.ts';
import { LC_KF } from './lock_order.ts';
import { memcgWithin } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { modIsolated } from './vmscan_count.ts';
import { EV } from './vmstat_items.ts';

/** Folios that a node may have queued, in the corrected design: eight isolations. */
export const KSHRINKD_CAP = 8 * SWAP_CLUSTER_MAX;

/** Pages from which on nothing is queued again: a batch of kshrinkd's beside a full queue. */
export const KSHRINKD_CAP_REQUEUE = KSHRINKD_CAP + SWAP_CLUSTER_MAX;

/** How often in a row a contended folio is tried again before it is kept like any other. */
export const CONTENDED_TRIES_MAX = 3;

/** @returns the link row that heads a node's queue */
export function kshrinkdHead(m: Mm, nid: number): number {
  const { heads, nrHeads, nrNodes } = m.sizes;
  return heads + nrHeads - 2 * nrNodes + nid;
}

/** Locks a node's queue (kf_lock). @context spins; its place is in LOCK_ORDER */
export function kfLock(m: Mm, nid: number): void {
  spinLock(m.kfLock, nid * LINE_WORDS, LC_KF);
}

/** Unlocks a node's queue. @context kf_lock held */
export function kfUnlock(m: Mm, nid: number): void {
  spinUnlock(m.kfLock, nid * LINE_WORDS, LC_KF);
}

/** Is that bug of the seed switched on? @context any */
export function hasBug(m: Mm, bug: KshrinkdBug): boolean {
  return m.config.kshrinkdBugs.includes(bug);
}

/** @returns pages queued on a node; a moment old unless kf_lock is held */
export function kshrinkdPages(m: Mm, nid: number): number {
  return Atomics.load(m.kshrinkd.pages, nid);
}

/** Counts pages of a type as isolated and queued, or no longer. */
function modQueuedIsolated(m: Mm, nid: number, file: boolean, pages: number): void {
  if (!hasBug(m, 'isolated-lost')) modIsolated(m, nid, file, pages);
}

/** Remembers what a folio is counted as, at each of its pages: it may be split. */
function noteType(m: Mm, pfn: number, file: boolean): void {
  const { tries } = m.contendedFolio;
  const end = pfn + folioPages(m, pfn);
  for (let page = pfn; page < end; page++) {
    tries[page] = ((tries[page] as number) & TRIES_MASK) | (file ? TRIES_FILE : 0);
  }
}

/** @returns whether a queued folio is counted as a file's @context the folio is the caller's */
export function queuedAsFile(m: Mm, pfn: number): boolean {
  return ((m.contendedFolio.tries[pfn] as number) & TRIES_FILE) !== 0;
}

/**
 * One more time that a folio was found contended.
 * @returns how often that was in a row; a new owner of the frame may start with what the last left
 * @context the folio is the caller's
 */
export function countTry(m: Mm, pfn: number): number {
  const { tries } = m.contendedFolio;
  const seen = tries[pfn] as number;
  const times = Math.min((seen & TRIES_MASK) + 1, TRIES_MASK);
  tries[pfn] = (seen & TRIES_FILE) | times;
  return times;
}

/**
 * May a contended folio be looked at again at once? After a few times in a row it is kept as any
 * other, so that a lock that is held for long does not fill the tail of a list.
 * @context the folio is the caller's
 */
export function mayTryAgain(m: Mm, pfn: number): boolean {
  if (countTry(m, pfn) <= CONTENDED_TRIES_MAX) return true;
  forgetTries(m, pfn);
  return false;
}

/** The folio starts anew. @context the folio is the caller's */
export function forgetTries(m: Mm, pfn: number): void {
  m.contendedFolio.tries[pfn] = (m.contendedFolio.tries[pfn] as number) & TRIES_FILE;
}

/** @context kf_lock held, the folio the caller's */
function linkLocked(m: Mm, nid: number, pfn: number): void {
  listAddTail(m.link.next, m.link.prev, pfn, kshrinkdHead(m, nid));
  const { pages, pagesMax } = m.kshrinkd;
  const size = folioPages(m, pfn);
  const now = Atomics.add(pages, nid, size) + size;
  if (now > (pagesMax[nid] as number)) pagesMax[nid] = now;
}

/**
 * Queues folios that the caller has isolated, oldest first, and wakes the node's kshrinkd. They are
 * counted as isolated anew: the caller takes what it has isolated off the counts as a whole.
 * @param folios pfns of the node, unlocked; those that found room are removed from its front
 * @param file type that they were isolated as
 * @returns pages that were queued: none when the thread is not running, as many as there is room
 *   for in the corrected design
 * @context no lock held; takes kf_lock
 */
export function kshrinkdQueue(m: Mm, nid: number, folios: number[], file: boolean): number {
  if (folios.length === 0 || Atomics.load(m.kshrinkd.state, nid) !== KSHRINKD_RUNNING) return 0;
  const bounded = m.contended === CONTENDED_KSHRINKD_FIXED;
  let queued = 0;
  let pages = 0;
  kfLock(m, nid);
  const running = Atomics.load(m.kshrinkd.state, nid) === KSHRINKD_RUNNING;
  while (running && queued < folios.length) {
    if (bounded && (kshrinkdPages(m, nid) >= KSHRINKD_CAP || shouldFail(FAULT_QUEUE_FULL))) break;
    const pfn = folios[queued++] as number;
    pages += folioPages(m, pfn);
    noteType(m, pfn, file);
    linkLocked(m, nid, pfn);
  }
  // Before anybody can take them: the count is never less than what is queued.
  modQueuedIsolated(m, nid, file, pages);
  kfUnlock(m, nid);
  if (queued === 0) return 0;
  folios.splice(0, queued);
  const { events } = m.task;
  events[EV.kr_kshrinkd_queued] = (events[EV.kr_kshrinkd_queued] as number) + pages;
  Atomics.add(m.kshrinkd.queued, nid, pages);
  // PAIRS(kshrinkd-wake): the folios are counted before the queue of waiters is looked at.
  wakeUp(m.kshrinkdWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);
  return pages;
}

/**
 * Queues folios again that are contended still: they stay counted as isolated. A batch has room
 * beside what reclaim has queued meanwhile; of a large folio that was split, not every page may.
 * @returns how many found the queue open and room in it, from the front of `folios`; they are not
 *   the caller's to look at any more
 * @context kshrinkd of the node; takes kf_lock
 */
export function kshrinkdRequeue(m: Mm, nid: number, folios: readonly number[]): number {
  let queued = 0;
  kfLock(m, nid);
  const open = Atomics.load(m.kshrinkd.state, nid) === KSHRINKD_RUNNING;
  while (open && queued < folios.length && kshrinkdPages(m, nid) < KSHRINKD_CAP_REQUEUE) {
    linkLocked(m, nid, folios[queued++] as number);
  }
  kfUnlock(m, nid);
  return queued;
}

/**
 * Takes the oldest folios off a node's queue. They stay counted as isolated: `kshrinkdGone` says
 * when they are not.
 * @param batch gets them, oldest first @param most folios
 * @param memcg only those of this group and the groups below it; 0 for all
 * @context takes kf_lock; the caller has isolated them then
 */
export function kshrinkdTake(m: Mm, nid: number, batch: number[], most: number, memcg = 0): void {
  batch.length = 0;
  const { next, prev } = m.link;
  const head = kshrinkdHead(m, nid);
  kfLock(m, nid);
  let pages = 0;
  for (let pfn = next[head] as number; pfn !== head && batch.length < most; ) {
    const following = next[pfn] as number;
    if (memcgWithin(m, m.page.memcg[pfn] as number, memcg)) {
      listDel(next, prev, pfn);
      batch.push(pfn);
      pages += folioPages(m, pfn);
    }
    pfn = following;
  }
  const isolated = Atomics.load(m.node.isolatedAnon, nid) + Atomics.load(m.node.isolatedFile, nid);
  assert(isolated >= kshrinkdPages(m, nid), 'a queued folio is not counted as isolated');
  Atomics.sub(m.kshrinkd.pages, nid, pages);
  kfUnlock(m, nid);
}

/** Pages that were queued are freed, or on a list again. */
export function kshrinkdGone(m: Mm, nid: number, anon: number, file: number): void {
  if (anon > 0) modQueuedIsolated(m, nid, false, -anon);
  if (file > 0) modQueuedIsolated(m, nid, true, -file);
}

/** The node's queue opens. @context its thread, running; takes kf_lock */
export function kshrinkdOpen(m: Mm, nid: number): void {
  kfLock(m, nid);
  Atomics.store(m.kshrinkd.state, nid, KSHRINKD_RUNNING);
  kfUnlock(m, nid);
}

/** Nobody may queue any more; what is queued is the thread's to see to. @context the thread */
export function kshrinkdShut(m: Mm, nid: number): void {
  kfLock(m, nid);
  if (Atomics.load(m.kshrinkd.state, nid) === KSHRINKD_RUNNING) {
    Atomics.store(m.kshrinkd.state, nid, KSHRINKD_DRAINING);
  }
  kfUnlock(m, nid);
}

/**
 * The thread ends, if nothing is queued.
 * @returns false when something is: it must be seen to first
 * @context kshrinkd of the node; takes kf_lock
 */
export function kshrinkdClose(m: Mm, nid: number): boolean {
  kfLock(m, nid);
  const empty = kshrinkdPages(m, nid) === 0;
  if (empty) Atomics.store(m.kshrinkd.state, nid, KSHRINKD_STOPPED);
  kfUnlock(m, nid);
  return empty;
}

/** A node's queue as it must be before its thread runs. @context nobody uses it */
export function kshrinkdInitNode(m: Mm, nid: number): void {
  listInit(m.link.next, m.link.prev, kshrinkdHead(m, nid));
  Atomics.store(m.kshrinkd.pages, nid, 0);
}
