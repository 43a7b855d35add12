// SPDX-License-Identifier: GPL-2.0-only
/**
 * kswapd's side of kcompressd (seed 001, swap_sched_async_compress): a folio that is to be
 * compressed goes to a thread of its node, and kswapd scans on.
 *
 * Who queues holds the folio lock. As corrected, the folio is then in writeback, which keeps its
 * slot, has a reference for the ring, and is unlocked; the thread ends the writeback. As posted, it
 * stays locked, and the thread unlocks it.
 *
 *   producer                        thread that stops
 *   pushing += 1                    state = SHUT
 *   state is RUNNING: push, wake    waits until pushing is 0, empties its ring, ends
 *   pushing -= 1
 *
 * So a folio is in a ring only while there is a thread to take it out.
 */
import { bitLockAdopt, bitLockDisown } from '../../shared/bit_lock.ts';
import { shouldFail } from '../../shared/fault.ts';
import { KfifoMpsc } from '../../shared/kfifo_mpsc.ts';
import { EVENT_READY, waitEventTimeout } from '../../shared/sched.ts';
import { WAIT_QUEUE_WORDS, WAKE_ALL, wakeUp } from '../../shared/wait_queue.ts';
import { FAULT_QUEUE_FULL } from './faults.ts';
import {
  folioEndWriteback,
  folioNid,
  folioPages,
  folioSet,
  folioUnlock,
  ownWrites,
} from './folio.ts';
import {
  KCOMPRESSD_FIXED,
  KCOMPRESSD_RUNNING,
  type KcompressdBug,
  kcompressdCapacity,
  kcompressdRingWords,
} from './kcompressd_types.ts';
import { LC_FOLIO } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { PG_WRITEBACK } from './mm_types.ts';
import { slotSynchronous } from './swap_info.ts';
import { EV } from './vmstat_items.ts';
import { zswapMayStore, zswapWritebackEnabled } from './zswap.ts';
import { zswapEnabled } from './zswap_entry.ts';

/** How long kswapd waits for room in a ring that is nearly full, in ms. */
const ROOM_WAIT_MS = 20;

/** This thread's ends of the rings, made at first use. */
const rings = new WeakMap<Int32Array, KfifoMpsc[]>();

/** @returns the ring of a thread, as this thread sees it */
export function kcompressdRing(m: Mm, row: number): KfifoMpsc {
  let all = rings.get(m.kcompressFifo);
  if (all === undefined) {
    all = [];
    rings.set(m.kcompressFifo, all);
  }
  const { kcompressdThreads } = m.config;
  all[row] ??= new KfifoMpsc(
    m.kcompressFifo,
    row * kcompressdRingWords(kcompressdThreads),
    kcompressdCapacity(kcompressdThreads),
  );
  return all[row];
}

/** Is that bug of the prototype switched on? @context any */
export function kcompressdHasBug(m: Mm, bug: KcompressdBug): boolean {
  return m.config.kcompressdBugs.includes(bug);
}

/** The node's ring with fewest folios. */
function emptiestRow(m: Mm, nid: number): number {
  const { kcompressdThreads } = m.config;
  const first = nid * kcompressdThreads;
  let best = first;
  let least = Infinity;
  for (let row = first; row < first + kcompressdThreads; row++) {
    if (Atomics.load(m.kcompressd.state, row) !== KCOMPRESSD_RUNNING) continue;
    const length = kcompressdRing(m, row).length();
    if (length >= least) continue;
    best = row;
    least = length;
  }
  return best;
}

function count(m: Mm, cell: number): void {
  m.task.events[cell] = (m.task.events[cell] as number) + 1;
}

/** Is writing the slot's page a matter of compressing it, which another thread could do? */
function isCompression(m: Mm, pfn: number, slot: number): boolean {
  const memcg = m.slot.memcg[slot] as number;
  // Anonymous pages only: a file's page is found by others while it is being written.
  if ((m.page.mapping[pfn] as number) <= 0) return false;
  const zswap = zswapEnabled(m);
  if (!zswap) return slotSynchronous(m, slot);
  // It may have to stay in memory, which only who holds it now can see to.
  if (!zswapWritebackEnabled(m, memcg)) return false;
  return m.kcompressdPolicy !== KCOMPRESSD_FIXED || zswapMayStore(m, memcg);
}

/**
 * Hands a folio to kcompressd.
 * @returns false when the caller has to write it: nothing has changed then
 * @context kswapd; folio locked, in the swap cache, clean for I/O, unmapped and flushed. After true
 *   the folio is not the caller's: unlocked, or locked by kcompressd as posted
 */
export function kcompressdQueue(m: Mm, pfn: number, slot: number): boolean {
  if (!m.task.kswapd || !isCompression(m, pfn, slot)) return false;
  const row = emptiestRow(m, folioNid(m, pfn));
  const { state, pushing, queued, full, off } = m.kcompressd;
  // PAIRS(kcompressd-close): counted before the state is looked at.
  Atomics.add(pushing, row, 1);
  const running = Atomics.load(state, row) === KCOMPRESSD_RUNNING;
  const done = running && !shouldFail(FAULT_QUEUE_FULL) && handOver(m, pfn, row);
  Atomics.sub(pushing, row, 1);
  count(m, done ? EV.kr_kcompress_queued : running ? EV.kr_kcompress_full : EV.kr_kcompress_off);
  Atomics.add(done ? queued : running ? full : off, row, 1);
  if (!done) return false;
  if (!kcompressdHasBug(m, 'no-wake')) wakeUp(m.kcompressdWait, row * WAIT_QUEUE_WORDS, WAKE_ALL);
  return true;
}

/** @returns false when the ring is full @context folio locked */
function handOver(m: Mm, pfn: number, row: number): boolean {
  const ring = kcompressdRing(m, row);
  if (m.kcompressdPolicy !== KCOMPRESSD_FIXED) return handOverLocked(m, pfn, ring);
  folioSet(m, pfn, PG_WRITEBACK);
  Atomics.add(m.node.writeback, folioNid(m, pfn), folioPages(m, pfn));
  // The ring's: the folio's lock is not enough, as it goes.
  Atomics.add(m.page.refcount, pfn, 1);
  if (!ring.push(pfn)) {
    Atomics.sub(m.page.refcount, pfn, 1);
    folioEndWriteback(m, pfn);
    return false;
  }
  folioUnlock(m, pfn);
  return true;
}

/** As posted: the lock goes along. */
function handOverLocked(m: Mm, pfn: number, ring: KfifoMpsc): boolean {
  // Before the push: the thread may unlock it at once.
  bitLockDisown(m.page.flags, pfn, LC_FOLIO);
  const garbage = kcompressdHasBug(m, 'struct-bytes');
  if (ring.push(garbage ? Atomics.load(m.page.flags, pfn) : pfn)) return true;
  bitLockAdopt(m.page.flags, pfn, LC_FOLIO);
  return false;
}

/**
 * kswapd has queued faster than the node's threads compress: it waits for room, instead of looking
 * for pages that are harder to get.
 * @returns whether it waited, and there is room now
 * @context kswapd, no lock held; may block for ROOM_WAIT_MS
 */
export function kcompressdThrottle(m: Mm, nid: number): boolean {
  if (m.kcompressdPolicy !== KCOMPRESSD_FIXED) return false;
  const row = emptiestRow(m, nid);
  if (Atomics.load(m.kcompressd.state, row) !== KCOMPRESSD_RUNNING) return false;
  const ring = kcompressdRing(m, row);
  const room = (): boolean => ring.length() <= (ring.capacity * 3) / 4;
  if (room()) return false;
  // Others may wait for what kswapd has begun to write.
  ownWrites.finish?.(m);
  // Woken by the thread, when its ring is half empty.
  const base = row * WAIT_QUEUE_WORDS;
  return waitEventTimeout(m.kcompressdRoom, base, room, ROOM_WAIT_MS) === EVENT_READY;
}
