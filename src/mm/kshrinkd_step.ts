// SPDX-License-Identifier: GPL-2.0-only
/**
 * What kshrinkd does with folios whose rmap lock was contended (seed 000, kshrinkd_main).
 *
 * As posted: it takes all that is queued, waits for each rmap lock with the folio locked, and puts
 * what it cannot free at the head of its list. Corrected: the oldest first, no more than one
 * isolation at once; the lock is tried, then waited for, for a while and without the folio; what
 * is contended still is queued again, a few times, and then goes back to the tail it came from.
 */
import { ktimeNs } from '../../shared/ktime.ts';
import { CONTENDED_HEAD, CONTENDED_KSHRINKD_FIXED } from './contended.ts';
import { folioPages } from './folio.ts';
import {
  CONTENDED_TRIES_MAX,
  countTry,
  forgetTries,
  kshrinkdGone,
  kshrinkdPages,
  kshrinkdRequeue,
  kshrinkdTake,
  queuedAsFile,
} from './kshrinkd.ts';
import { SWAP_CLUSTER_MAX } from './limits.ts';
import { countMemcg, MS } from './memcg_events.ts';
import type { Mm } from './mm.ts';
import { contendedFolios } from './rmap_contended.ts';
import { waitRmapFree } from './rmap_wait.ts';
import { type ScanControl, scanControl } from './scan_control.ts';
import { plugFinish } from './swap_plug.ts';
import { allowDirectReclaim } from './throttle.ts';
import { reclaimStat, shrinkFolioList } from './vmscan_folio.ts';
import { wakePfmemallocWaiters } from './vmscan_kswapd.ts';
import { putbackLru } from './vmscan_lists.ts';
import { EV, type VmEvent } from './vmstat_items.ts';

/** Longest wait for the rmap lock of one folio, and for those of one batch together, in ms. */
const WAIT_MS = 5;
const BATCH_WAIT_MS = 20;

/** Folios of the batch in hand, in the order in which they were queued. Private to the thread. */
const batch: number[] = [];
const late: number[] = [];
const one: number[] = [];
const again: number[] = [];

function count(m: Mm, name: VmEvent, by: number): void {
  const { events } = m.task;
  const cell = EV[name];
  events[cell] = (events[cell] as number) + by;
}

/** What a node's kshrinkd is told to have done, by a counter and by a column of the node. */
const COLUMN_OF = {
  pgscan_kshrinkd: 'scanned',
  pgsteal_kshrinkd: 'stolen',
  kr_kshrinkd_requeued: 'requeued',
  kr_kshrinkd_putback: 'putback',
  kr_kshrinkd_dead: 'dead',
} as const;

function countNode(m: Mm, nid: number, name: keyof typeof COLUMN_OF, by: number): void {
  count(m, name, by);
  Atomics.add(m.kshrinkd[COLUMN_OF[name]], nid, by);
}

function scan(m: Mm, tryLock: boolean, policy: number): ScanControl {
  const sc = scanControl('kshrinkd', 0, m.config.swappiness);
  sc.priority = 0;
  sc.rwTryLock = tryLock;
  sc.contended = policy;
  sc.plug = tryLock;
  return sc;
}

function pagesOf(m: Mm, folios: readonly number[]): number {
  let pages = 0;
  for (let i = 0; i < folios.length; i++) pages += folioPages(m, folios[i] as number);
  return pages;
}

/** Pages of files among them. */
function filesOf(m: Mm, folios: readonly number[]): number {
  let pages = 0;
  for (let i = 0; i < folios.length; i++) {
    const pfn = folios[i] as number;
    if (queuedAsFile(m, pfn)) pages += folioPages(m, pfn);
  }
  return pages;
}

/**
 * Frees what it can.
 * @param folios on return, those to be put back
 * @returns pages freed; those whose rmap lock is taken still are in `contendedFolios`
 */
function shrink(m: Mm, nid: number, folios: number[], sc: ScanControl): number {
  const files = filesOf(m, folios);
  contendedFolios.length = 0;
  // The frames of freed ones are somebody else's then: what is known of them is known before.
  const freed = shrinkFolioList(m, folios, sc, reclaimStat());
  const freedFiles = files - filesOf(m, folios) - filesOf(m, contendedFolios);
  kshrinkdGone(m, nid, freed - freedFiles, freedFiles);
  countNode(m, nid, 'pgsteal_kshrinkd', freed);
  if (m.contended === CONTENDED_KSHRINKD_FIXED) {
    count(m, 'pgsteal_anon', freed - freedFiles);
    count(m, 'pgsteal_file', freedFiles);
  }
  return freed;
}

/** Puts a folio back, or frees it where nobody else has it. */
function putbackOne(m: Mm, nid: number, pfn: number, tail: boolean): void {
  const file = queuedAsFile(m, pfn);
  const pages = folioPages(m, pfn);
  one.length = 0;
  one.push(pfn);
  putbackLru(m, one, tail);
  kshrinkdGone(m, nid, file ? 0 : pages, file ? pages : 0);
}

/** Puts folios back, one by one: each may be of another group. @param tail where they came from */
function putback(m: Mm, nid: number, folios: readonly number[], tail: boolean): void {
  countNode(m, nid, 'kr_kshrinkd_putback', pagesOf(m, folios));
  // The oldest comes last to the tail.
  for (let i = 0; i < folios.length; i++) {
    const pfn = folios[tail ? folios.length - 1 - i : i] as number;
    countMemcg(m, m.page.memcg[pfn] as number, MS.pgscan_kshrinkd, folioPages(m, pfn));
    putbackOne(m, nid, pfn, tail);
  }
}

/** Those that nobody but us has any more are freed as they are. */
function takeDead(m: Mm, nid: number): void {
  let left = 0;
  for (let i = 0; i < batch.length; i++) {
    const pfn = batch[i] as number;
    const pages = folioPages(m, pfn);
    if (Atomics.load(m.page.refcount, pfn) !== 1) {
      batch[left++] = pfn;
      continue;
    }
    putbackOne(m, nid, pfn, false);
    countNode(m, nid, 'kr_kshrinkd_dead', pages);
  }
  batch.length = left;
}

function stepAsPosted(m: Mm, nid: number): number {
  kshrinkdTake(m, nid, batch, Infinity);
  const freed = shrink(m, nid, batch, scan(m, false, CONTENDED_HEAD));
  countNode(m, nid, 'pgscan_kshrinkd', freed + pagesOf(m, batch));
  putback(m, nid, batch, false);
  return freed;
}

/** Tries folio after folio again, those waited for. @returns pages freed; the rest in `again` */
function retryLate(m: Mm, nid: number, sc: ScanControl, patient: boolean): number {
  const untilNs = ktimeNs() + BATCH_WAIT_MS * 1e6;
  let freed = 0;
  again.length = 0;
  for (let i = 0; i < late.length; i++) {
    const pfn = late[i] as number;
    if (patient && ktimeNs() < untilNs) waitRmapFree(m, pfn, WAIT_MS);
    const folios = [pfn];
    freed += shrink(m, nid, folios, sc);
    // More than one where the folio was split.
    for (const contended of contendedFolios) again.push(contended);
    for (const kept of folios) forgetTries(m, kept);
    putback(m, nid, folios, false);
    plugFinish(m);
  }
  return freed;
}

/**
 * Folios that are contended still: queued again, or back to the tail.
 * @param patient false when nothing may stay queued
 * @returns those that are off the queue now
 */
function settle(m: Mm, nid: number, patient: boolean): number {
  const requeue: number[] = [];
  const back: number[] = [];
  for (let i = 0; i < again.length; i++) {
    const pfn = again[i] as number;
    const tried = countTry(m, pfn) >= CONTENDED_TRIES_MAX;
    (tried || !patient ? back : requeue).push(pfn);
  }
  // Once it is in the queue, a folio is not ours to look at.
  const pages = pagesOf(m, requeue);
  const left = requeue.slice(kshrinkdRequeue(m, nid, requeue));
  countNode(m, nid, 'kr_kshrinkd_requeued', pages - pagesOf(m, left));
  back.push(...left);
  const gone = pagesOf(m, back);
  putback(m, nid, back, true);
  return gone;
}

function stepFixed(m: Mm, nid: number, patient: boolean): number {
  kshrinkdTake(m, nid, batch, SWAP_CLUSTER_MAX);
  takeDead(m, nid);
  const sc = scan(m, true, CONTENDED_KSHRINKD_FIXED);
  let freed = shrink(m, nid, batch, sc);
  late.length = 0;
  for (let i = 0; i < contendedFolios.length; i++) late.push(contendedFolios[i] as number);
  for (let i = 0; i < batch.length; i++) forgetTries(m, batch[i] as number);
  let handled = freed + pagesOf(m, batch) + pagesOf(m, late);
  putback(m, nid, batch, false);
  plugFinish(m);
  freed += retryLate(m, nid, sc, patient);
  handled -= pagesOf(m, again);
  handled += settle(m, nid, patient);
  contendedFolios.length = 0;
  countNode(m, nid, 'pgscan_kshrinkd', handled);
  if (freed > 0 && allowDirectReclaim(m, nid)) wakePfmemallocWaiters(m, nid);
  return freed;
}

/**
 * One pass over what a node has queued.
 * @param patient waits for rmap locks; false also leaves nothing queued that the pass has taken
 * @returns pages freed
 * @context kshrinkd of the node, no lock held; may block, as posted for as long as others hold a
 *   lock
 */
export function kshrinkdStep(m: Mm, nid: number, patient: boolean): number {
  return m.contended === CONTENDED_KSHRINKD_FIXED
    ? stepFixed(m, nid, patient)
    : stepAsPosted(m, nid);
}

/** Empties a node's queue: frees what it can, puts the rest back. @context as kshrinkdStep */
export function kshrinkdDrain(m: Mm, nid: number): void {
  while (kshrinkdPages(m, nid) > 0) kshrinkdStep(m, nid, false);
}

/**
 * Puts what all nodes have queued of a group back on the lists, where a reclaimer that found
 * nothing sees it.
 * @param memcg that group, and those below it; 0 for all
 * @returns pages
 * @context any thread, no lock held
 */
export function kshrinkdPutbackAll(m: Mm, memcg: number): number {
  const taken: number[] = [];
  let pages = 0;
  for (let nid = 0; nid < m.sizes.nrNodes; nid++) {
    if (kshrinkdPages(m, nid) === 0) continue;
    kshrinkdTake(m, nid, taken, Infinity, memcg);
    const handled = pagesOf(m, taken);
    countNode(m, nid, 'pgscan_kshrinkd', handled);
    putback(m, nid, taken, true);
    pages += handled;
  }
  return pages;
}
