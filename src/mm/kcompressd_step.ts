// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd's side (seed 001, kcompressd): compresses and stores what kswapd has queued.
 *
 * The folio may be found in the swap cache, mapped and written to meanwhile: then it is dirty, and
 * is written again before it goes, whatever was stored of it here. Who drops its last entry waits
 * for the end of writeback, and takes it out of the cache.
 */
import { assert } from '../../shared/assert.ts';
import { bitLockAdopt } from '../../shared/bit_lock.ts';
import { cpuRelax } from '../../shared/cpu_relax.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { condResched } from '../../shared/sched.ts';
import { WAIT_QUEUE_WORDS, WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import {
  folioClear,
  folioEndWriteback,
  folioPages,
  folioSet,
  folioTest,
  folioTestClear,
  folioUnlock,
} from './folio.ts';
import { kcompressdHasBug, kcompressdRing } from './kcompressd.ts';
import { KCOMPRESSD_FIXED, KCOMPRESSD_RUNNING, KCOMPRESSD_SHUT } from './kcompressd_types.ts';
import { LC_FOLIO } from './lock_order.ts';
import { rotateReclaimableBatch } from './lru_rotate.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_LOCKED, PG_LRU, PG_RECLAIM, PG_SWAPCACHE, PG_WRITEBACK } from './mm_types.ts';
import { storeFolio, WRITE_FAILED, writeNow } from './page_io.ts';
import { folioActivate, folioPut } from './swap.ts';
import { EV } from './vmstat_items.ts';

/** Folios of one step: between two looks at what is asked of the thread. */
const STEP_MAX = 32;

/** What could not be stored is the folio's alone: it is dirty again, and not the next to go. */
function redirty(m: Mm, pfn: number): void {
  if (!kcompressdHasBug(m, 'lost-dirty')) folioSet(m, pfn, PG_DIRTY);
  folioClear(m, pfn, PG_RECLAIM);
  folioActivate(m, pfn);
}

/** Has the folio all of these PG_* bits? */
function folioHasAll(m: Mm, pfn: number, bits: number): boolean {
  return (Atomics.load(m.page.flags, pfn) & bits) === bits;
}

/**
 * Folios that are the next to go, each with the ring's reference. They are rotated together, as by
 * the kernel's lru_rotate batch. Private to the thread.
 */
const rotating: number[] = [];
/** Few: nobody can free one meanwhile, nor wait for it. */
const ROTATE_MAX = 8;

function rotateAll(m: Mm): void {
  if (rotating.length === 0) return;
  rotateReclaimableBatch(m, rotating);
  for (let i = 0; i < rotating.length; i++) folioPut(m, rotating[i] as number);
  rotating.length = 0;
}

/** One folio, in writeback. @returns whether it was stored */
function compressFolio(m: Mm, pfn: number): boolean {
  const slotKept = PG_SWAPCACHE | PG_WRITEBACK;
  assert(folioHasAll(m, pfn, slotKept), 'a folio of the ring is in the swap cache, in writeback');
  const stored = storeFolio(m, pfn) >= 0;
  if (!stored) redirty(m, pfn);
  const rotate = folioTestClear(m, pfn, PG_RECLAIM);
  // Compressing the next one may take long. Asked while the folio is ours to look at.
  const slow = (m.config.compressCost ?? 1) > 1 || folioPages(m, pfn) > 1;
  folioEndWriteback(m, pfn);
  // Who has it isolated is about to free it, if nobody else has a reference.
  if (rotate && folioTest(m, pfn, PG_LRU)) rotating.push(pfn);
  else folioPut(m, pfn);
  if (slow || rotating.length === ROTATE_MAX) rotateAll(m);
  return stored;
}

/** One folio, locked by kswapd, as posted. @returns whether it was stored */
function compressLocked(m: Mm, pfn: number): boolean {
  assert(pfn > 0 && pfn < m.sizes.nrPages, 'what is in the ring is a folio');
  const slotKept = PG_SWAPCACHE | PG_LOCKED;
  assert(folioHasAll(m, pfn, slotKept), 'a folio of the ring is in the swap cache, and locked');
  bitLockAdopt(m.page.flags, pfn, LC_FOLIO);
  if (writeNow(m, pfn, false) !== WRITE_FAILED) return true;
  if (kcompressdHasBug(m, 'lost-dirty')) folioClear(m, pfn, PG_DIRTY);
  folioUnlock(m, pfn);
  return false;
}

/** A folio was taken out. @param left what is in the ring still: others add meanwhile */
function noteDepth(m: Mm, row: number, left: number): void {
  const { depthSum, depthMax } = m.kcompressd;
  depthSum[row] = (depthSum[row] as number) + left;
  if (left >= (depthMax[row] as number)) depthMax[row] = left + 1;
}

/** What a step came to. Private to the thread. */
export const kcompressdOut = { zswap: false };

/**
 * Stores up to STEP_MAX folios of a ring.
 * @returns how many it took out
 * @context the ring's thread, no lock held
 */
export function kcompressdStep(m: Mm, row: number): number {
  const ring = kcompressdRing(m, row);
  const { busyNs, stored, failed, pages } = m.kcompressd;
  const { events } = m.task;
  const fixed = m.kcompressdPolicy === KCOMPRESSD_FIXED;
  const onePage = kcompressdHasBug(m, 'one-page');
  const since = ktimeNs();
  let taken = 0;
  kcompressdOut.zswap = false;
  for (; taken < STEP_MAX; taken++) {
    const pfn = ring.pop();
    if (pfn === undefined) break;
    const left = ring.length();
    noteDepth(m, row, left);
    const zswpout = events[EV.zswpout];
    const size = folioPages(m, pfn);
    const ok = fixed ? compressFolio(m, pfn) : compressLocked(m, pfn);
    const cell = ok ? stored : failed;
    Atomics.add(cell, row, 1);
    if (ok) pages[row] = (pages[row] as number) + size;
    if (events[EV.zswpout] !== zswpout) kcompressdOut.zswap = true;
    if (left === ring.capacity >> 1) {
      wakeUp(m.kcompressdRoom, row * WAIT_QUEUE_WORDS, WAKE_ALL);
    }
    if (onePage && kcompressdOut.zswap) break;
  }
  rotateAll(m);
  busyNs[row] = (busyNs[row] as number) + (ktimeNs() - since);
  return taken;
}

/** The thread takes folios from now on. */
export function kcompressdOpen(m: Mm, row: number): void {
  Atomics.store(m.kcompressd.state, row, KCOMPRESSD_RUNNING);
}

/**
 * The thread takes no more, and has none left when this returns.
 * @context the ring's thread, no lock held; waits for producers that are at it
 */
export function kcompressdClose(m: Mm, row: number): void {
  const { state, pushing } = m.kcompressd;
  // PAIRS(kcompressd-close): stored before the producers are counted.
  Atomics.store(state, row, KCOMPRESSD_SHUT);
  while (Atomics.load(pushing, row) !== 0) cpuRelax();
  while (kcompressdStep(m, row) > 0) condResched();
}
