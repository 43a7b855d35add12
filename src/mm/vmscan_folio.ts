// SPDX-License-Identifier: GPL-2.0-only
/**
 * What reclaim does with folios that it has isolated (mm/vmscan.c, shrink_folio_list).
 *
 * Two phases, because a shootdown costs a time slice when the CPU is descheduled: first every folio
 * of the batch is tested and unmapped, then one flush waits until no CPU can touch any of them,
 * then each is written out and freed. Each folio passes the same tests in the same order as in
 * the kernel; it only stays locked a little longer.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import {
  CONTENDED_KSHRINKD,
  CONTENDED_KSHRINKD_FIXED,
  CONTENDED_ORIGIN,
  CONTENDED_PRIO,
  CONTENDED_TAIL,
} from './contended.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { folioOfHost } from './file_dirty.ts';
import {
  folioClear,
  folioPages,
  folioRefFreeze,
  folioSet,
  folioTest,
  folioTestClear,
  folioTryLock,
  folioUnlock,
} from './folio.ts';
import { mayTryAgain } from './kshrinkd.ts';
import { SWAP_CLUSTER_MAX } from './limits.ts';
import { countMemcg, MS } from './memcg_events.ts';
import { uncharge } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_DEFERRED,
  PG_DIRTY,
  PG_LOCKED,
  PG_LRU,
  PG_MLOCKED,
  PG_RECLAIM,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UNEVICTABLE,
  PG_WORKINGSET,
  PG_WRITEBACK,
  VM_EXEC,
  VM_LOCKED,
} from './mm_types.ts';
import { countMthpEvent } from './mthp_stat.ts';
import { freeUnrefPages } from './page_alloc.ts';
import { swapWriteout, WRITE_FAILED, WRITE_QUEUED } from './page_io.ts';
import {
  folioMapcount,
  folioReferenced,
  REFERENCED_CONTENDED,
  referencedOut,
  tryToUnmap,
} from './rmap.ts';
import { contendedFolios } from './rmap_contended.ts';
import type { ScanControl } from './scan_control.ts';
import { folioOfFile, shmemToSwap } from './shmem_writeout.ts';
import { splitFolio } from './split.ts';
import { releaseFolio } from './swap.ts';
import { addToSwap, folioFreeSwap, removeMapping } from './swap_state.ts';
import { SLOT_NONE, vmSwapFull } from './swapfile.ts';
import { MTHP } from './thp_types.ts';
import { tlbFlush } from './tlb.ts';
import { unmapOut } from './unmap_out.ts';
import {
  FILE_KEEP,
  FILE_MAPPED,
  FILE_READY,
  reclaimFilePage,
  unmapFilePage,
} from './vmscan_file.ts';
import { EV } from './vmstat_items.ts';

export const FOLIOREF_RECLAIM = 0;
export const FOLIOREF_RECLAIM_CLEAN = 1;
export const FOLIOREF_KEEP = 2;
export const FOLIOREF_ACTIVATE = 3;
/** Its rmap lock is taken, and the caller has a place for such folios. */
export const FOLIOREF_LOCK_CONTENDED = 4;

/** What became of a batch (struct reclaim_stat). Private to the thread; cleared per batch. */
export interface ReclaimStat {
  nrPageout: number;
  nrRefKeep: number;
  nrUnmapFail: number;
  nrActivate: number;
  nrContended: number;
  nrUnqueuedDirty: number;
  /** Folios that kcompressd has. */
  nrQueued: number;
}

/** @returns a record with nothing counted */
export function reclaimStat(): ReclaimStat {
  return {
    nrPageout: 0,
    nrRefKeep: 0,
    nrUnmapFail: 0,
    nrActivate: 0,
    nrContended: 0,
    nrUnqueuedDirty: 0,
    nrQueued: 0,
  };
}

/** Below this priority `prio` waits for rmap locks. */
const PRIO_BLOCKS = 3;

/** Of one turn at an isolated batch: at most SWAP_CLUSTER_MAX. Reused per thread. */
const unmapped: number[] = [];
const freed: number[] = [];
/** Those of the batch that kcompressd has, in their order. */
const queuedFolios: number[] = [];

/**
 * Decides by references whether a folio goes, stays or is promoted (folio_check_references).
 * @returns FOLIOREF_*
 * @context folio locked and isolated
 */
export function folioCheckReferences(
  m: Mm,
  pfn: number,
  sc: ScanControl,
  stat: ReclaimStat,
): number {
  const ptes = folioReferenced(m, pfn, sc.targetMemcg, rmapTryLock(m, sc));
  if ((referencedOut.vmFlags & VM_LOCKED) !== 0) return FOLIOREF_ACTIVATE;
  if (ptes === REFERENCED_CONTENDED) {
    stat.nrContended++;
    return contendedPlace(m, pfn, sc);
  }
  const wasReferenced = folioTestClear(m, pfn, PG_REFERENCED);
  if (ptes > 0) {
    folioSet(m, pfn, PG_REFERENCED);
    if (wasReferenced || ptes > 1) return FOLIOREF_ACTIVATE;
    const swapBacked = folioTest(m, pfn, PG_SWAPBACKED);
    if ((referencedOut.vmFlags & VM_EXEC) !== 0 && !swapBacked) return FOLIOREF_ACTIVATE;
    return FOLIOREF_KEEP;
  }
  if (wasReferenced && !folioTest(m, pfn, PG_SWAPBACKED)) return FOLIOREF_RECLAIM_CLEAN;
  return FOLIOREF_RECLAIM;
}

/** Does this reclaim go on without a rmap lock that somebody has? */
function rmapTryLock(m: Mm, sc: ScanControl): boolean {
  if (sc.contended === CONTENDED_PRIO && sc.priority < PRIO_BLOCKS) return false;
  return sc.rwTryLock && m.config.rmapTryLock;
}

/** Where a contended folio goes. @returns FOLIOREF_KEEP for the head of its list */
function contendedPlace(m: Mm, pfn: number, sc: ScanControl): number {
  const { contended, role } = sc;
  const bounded = contended === CONTENDED_ORIGIN || contended === CONTENDED_KSHRINKD_FIXED;
  if (contended === CONTENDED_TAIL || contended === CONTENDED_KSHRINKD) {
    return FOLIOREF_LOCK_CONTENDED;
  }
  if (bounded && (role === 'kshrinkd' || mayTryAgain(m, pfn))) return FOLIOREF_LOCK_CONTENDED;
  const { events } = m.task;
  events[EV.kr_contended_head] = (events[EV.kr_contended_head] as number) + 1;
  return FOLIOREF_KEEP;
}

/** Unlocks a folio that goes back to the active list. */
function activateLocked(m: Mm, pfn: number, stat: ReclaimStat): void {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_SWAPCACHE) !== 0 && vmSwapFull(m)) folioFreeSwap(m, pfn);
  assert((flags & PG_ACTIVE) === 0, 'activating an active folio');
  if ((flags & PG_MLOCKED) === 0) {
    folioSet(m, pfn, PG_ACTIVE);
    const pages = folioPages(m, pfn);
    stat.nrActivate += pages;
    m.task.events[EV.pgactivate] = (m.task.events[EV.pgactivate] as number) + pages;
    countMemcg(m, m.page.memcg[pfn] as number, MS.pgactivate, pages);
  }
  folioUnlock(m, pfn);
}

/**
 * Finds a place for an anonymous folio in swap. A large one that is mapped in part, or for which
 * there is no run of slots, is split first.
 * @param folios gets the other pages of one that was split
 * @returns false when there is none: it stays
 * @context folio locked, isolated, mapped, not in the swap cache
 */
function placeInSwap(m: Mm, pfn: number, folios: number[]): boolean {
  const { rmapTryLock } = m.config;
  if (folioPages(m, pfn) > 1) {
    const partial = folioTest(m, pfn, PG_DEFERRED);
    if (!partial && addToSwap(m, pfn) !== SLOT_NONE) return true;
    if (!partial) countMthpEvent(m, pfn, MTHP.swpout_fallback, 'thp_swpout_fallback');
    if (!splitFolio(m, pfn, rmapTryLock, folios)) return false;
    // Of a part that nothing maps, phase 2 makes short work.
    if (folioMapcount(m, pfn) === 0) return true;
  }
  return addToSwap(m, pfn) !== SLOT_NONE;
}

/**
 * Phase 1 for one folio: test, give it a slot, unmap.
 * @param folios the batch: pages of a folio that is split are added to it
 * @returns true when it is locked, unmapped and in the swap cache: ready for phase 2
 */
function tryPrepare(
  m: Mm,
  pfn: number,
  folios: number[],
  sc: ScanControl,
  stat: ReclaimStat,
): boolean {
  if (shouldFail(FAULT_TRYLOCK) || !folioTryLock(m, pfn)) return false;
  sc.nrScanned += folioPages(m, pfn);
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & (PG_UNEVICTABLE | PG_MLOCKED)) !== 0) {
    activateLocked(m, pfn, stat);
    return false;
  }
  if (!sc.mayUnmap && folioMapcount(m, pfn) > 0) {
    folioUnlock(m, pfn);
    return false;
  }
  if ((flags & PG_WRITEBACK) !== 0) {
    // In flight already: rotated to the tail when it ends.
    folioSet(m, pfn, PG_RECLAIM);
    activateLocked(m, pfn, stat);
    return false;
  }
  const ofHost = folioOfHost(m, pfn);
  if (ofHost && (flags & PG_DIRTY) !== 0) stat.nrUnqueuedDirty += folioPages(m, pfn);
  const references = sc.ignoreReferences
    ? FOLIOREF_RECLAIM
    : folioCheckReferences(m, pfn, sc, stat);
  switch (references) {
    case FOLIOREF_ACTIVATE:
      activateLocked(m, pfn, stat);
      return false;
    case FOLIOREF_KEEP:
      stat.nrRefKeep++;
      folioUnlock(m, pfn);
      return false;
    case FOLIOREF_LOCK_CONTENDED:
      contendedFolios.push(pfn);
      folioUnlock(m, pfn);
      return false;
    default:
      break;
  }
  if (ofHost) return prepareFile(m, pfn, sc, stat, references === FOLIOREF_RECLAIM_CLEAN);
  if (!folioTest(m, pfn, PG_SWAPCACHE)) {
    if (folioOfFile(m, pfn)) {
      // Isolation and the file: anybody else may be about to use it (is_page_cache_freeable).
      if (Atomics.load(m.page.refcount, pfn) !== 2) {
        folioUnlock(m, pfn);
        return false;
      }
      if (shmemToSwap(m, pfn)) return true;
      activateLocked(m, pfn, stat);
      return false;
    }
    // Its process or file is gone: phase 2 frees it without a slot.
    if (folioMapcount(m, pfn) === 0) return true;
    if ((flags & PG_SWAPBACKED) !== 0 && !placeInSwap(m, pfn, folios)) {
      activateLocked(m, pfn, stat);
      return false;
    }
  }
  if (folioMapcount(m, pfn) > 0 && !tryToUnmap(m, pfn, rmapTryLock(m, sc))) {
    stat.nrUnmapFail++;
    activateLocked(m, pfn, stat);
    return false;
  }
  return true;
}

/** As `tryPrepare`, for a page of a file of the host. @returns whether it is ready for phase 2 */
function prepareFile(
  m: Mm,
  pfn: number,
  sc: ScanControl,
  stat: ReclaimStat,
  clean: boolean,
): boolean {
  switch (unmapFilePage(m, pfn, sc, clean)) {
    case FILE_READY:
      return true;
    case FILE_KEEP:
      folioUnlock(m, pfn);
      return false;
    case FILE_MAPPED:
      stat.nrUnmapFail++;
      activateLocked(m, pfn, stat);
      return false;
    default:
      activateLocked(m, pfn, stat);
      return false;
  }
}

/** Writes a dirty folio out. @returns true when it is locked and clean again */
function pageout(m: Mm, pfn: number, sc: ScanControl, stat: ReclaimStat): boolean {
  const pages = folioPages(m, pfn);
  // Isolation and the cache: anybody else may be about to use it.
  if (Atomics.load(m.page.refcount, pfn) !== 1 + pages) {
    folioUnlock(m, pfn);
    return false;
  }
  if (folioTestClear(m, pfn, PG_DIRTY)) {
    folioSet(m, pfn, PG_RECLAIM);
    // Who asks for certain pages to go waits for them.
    // And who waits for an rmap lock leaves no writeback unfinished: its holder may wait for that.
    const written = swapWriteout(m, pfn, sc.plug && rmapTryLock(m, sc));
    if (written === WRITE_QUEUED) {
      stat.nrPageout += pages;
      stat.nrQueued += pages;
      queuedFolios.push(pfn);
      return false;
    }
    if (written === WRITE_FAILED) {
      activateLocked(m, pfn, stat);
      return false;
    }
    m.task.events[EV.nr_vmscan_write] = (m.task.events[EV.nr_vmscan_write] as number) + pages;
    stat.nrPageout += pages;
    if (shouldFail(FAULT_TRYLOCK) || !folioTryLock(m, pfn)) return false;
    const flags = Atomics.load(m.page.flags, pfn);
    if ((flags & (PG_DIRTY | PG_WRITEBACK)) !== 0 || (flags & PG_SWAPCACHE) === 0) {
      folioUnlock(m, pfn);
      return false;
    }
  }
  return true;
}

/** Phase 2 for one folio. @returns true when it is gone: count 0, ready for the allocator */
function tryReclaim(m: Mm, pfn: number, sc: ScanControl, stat: ReclaimStat): boolean {
  if (folioOfHost(m, pfn)) return reclaimFilePage(m, pfn, sc, stat);
  if (folioTest(m, pfn, PG_SWAPCACHE)) {
    if (folioTest(m, pfn, PG_DIRTY) && !pageout(m, pfn, sc, stat)) return false;
    faultDelay(FAULT_DELAY);
    if (removeMapping(m, pfn, sc.targetMemcg)) {
      folioUnlock(m, pfn);
      return true;
    }
  } else if (folioMapcount(m, pfn) === 0 && folioRefFreeze(m, pfn, 1)) {
    // A fault took it out of the cache and its process is gone: nobody else knows it.
    assert(!folioOfFile(m, pfn), 'a file lost a page that it had');
    if (!folioTest(m, pfn, PG_SWAPBACKED)) {
      const pages = folioPages(m, pfn);
      m.task.events[EV.pglazyfreed] = (m.task.events[EV.pglazyfreed] as number) + pages;
    }
    folioUnlock(m, pfn);
    return true;
  }
  folioUnlock(m, pfn);
  return false;
}

/**
 * Frees folios that kcompressd has stored already, while the batch was isolated: its rotation has
 * missed them, as they were on no list (evict_folios has the like).
 * @param folios those that were not reclaimed; on return those that still are not
 * @returns pages reclaimed
 */
function reclaimStored(m: Mm, folios: number[], sc: ScanControl): number {
  const byKshrinkd = sc.role === 'kshrinkd';
  let left = 0;
  let count = 0;
  let pages = 0;
  for (let i = 0, at = 0; i < folios.length; i++) {
    const pfn = folios[i] as number;
    const queued = queuedFolios[at] === pfn;
    if (queued) at++;
    if (!queued || !isStored(m, pfn, sc)) folios[left++] = pfn;
    else freed[count++] = pfn;
    if (count < SWAP_CLUSTER_MAX) continue;
    pages += freeReclaimed(m, count, byKshrinkd);
    count = 0;
  }
  folios.length = left;
  return pages + freeReclaimed(m, count, byKshrinkd);
}

/** Is a folio that was queued stored by now, and wanted by nobody? Then it goes. */
function isStored(m: Mm, pfn: number, sc: ScanControl): boolean {
  const busy = PG_WRITEBACK | PG_DIRTY | PG_LOCKED;
  if (folioTest(m, pfn, busy) || !folioTryLock(m, pfn)) return false;
  const gone =
    !folioTest(m, pfn, PG_WRITEBACK | PG_DIRTY) &&
    folioTest(m, pfn, PG_SWAPCACHE) &&
    folioMapcount(m, pfn) === 0 &&
    removeMapping(m, pfn, sc.targetMemcg);
  folioUnlock(m, pfn);
  return gone;
}

/**
 * Reclaims what it can of an isolated batch.
 * @param folios isolated pfns, oldest first; on return its first `kept` entries are to be put back,
 *   in order, and those in `contendedFolios` are to be placed as `sc.contended` says
 * @returns pages reclaimed
 * @context no lock held; folio locks, ptl and swap locks taken and dropped; may wait for a
 *   shootdown
 */
export function shrinkFolioList(
  m: Mm,
  folios: number[],
  sc: ScanControl,
  stat: ReclaimStat,
): number {
  let reclaimed = 0;
  let kept = 0;
  let lateAt = 0;
  const byKshrinkd = sc.role === 'kshrinkd';
  contendedFolios.length = 0;
  queuedFolios.length = 0;
  // It grows where a folio is split; no more than a turn is locked at a time.
  for (let from = 0, to = 0; from < folios.length; from = to) {
    to = Math.min(from + SWAP_CLUSTER_MAX, folios.length);
    let ready = 0;
    unmapOut.cpuMask = 0;
    for (let i = from; i < to; i++) {
      const pfn = folios[i] as number;
      if (tryPrepare(m, pfn, folios, sc, stat)) unmapped[ready++] = i;
    }
    faultDelay(FAULT_DELAY);
    if (ready > 0) tlbFlush(m, unmapOut.cpuMask);
    let count = 0;
    for (let i = from, at = 0; i < to; i++) {
      const pfn = folios[i] as number;
      const prepared = at < ready && unmapped[at] === i;
      if (prepared) at++;
      if (prepared && tryReclaim(m, pfn, sc, stat)) freed[count++] = pfn;
      else if (contendedFolios[lateAt] === pfn) lateAt++;
      else folios[kept++] = pfn;
    }
    reclaimed += freeReclaimed(m, count, byKshrinkd);
  }
  folios.length = kept;
  if (queuedFolios.length > 0) reclaimed += reclaimStored(m, folios, sc);
  return reclaimed;
}

/** What kshrinkd frees, it has scanned: its folios are of many groups. */
function countKshrinkd(m: Mm, memcg: number, pages: number): void {
  countMemcg(m, memcg, MS.pgscan_kshrinkd, pages);
  countMemcg(m, memcg, MS.pgsteal_kshrinkd, pages);
}

/** Uncharges and frees the large folios in `freed`, and leaves the others. @returns these */
function freeReclaimedLarge(m: Mm, count: number, byKshrinkd: boolean): number {
  let single = 0;
  for (let i = 0; i < count; i++) {
    const pfn = freed[i] as number;
    assert(!folioTest(m, pfn, PG_LRU), 'reclaimed folio is on a list');
    folioClear(m, pfn, PG_ACTIVE | PG_REFERENCED | PG_WORKINGSET | PG_RECLAIM);
    if (folioPages(m, pfn) > 1) {
      const pages = folioPages(m, pfn);
      if (byKshrinkd) countKshrinkd(m, m.page.memcg[pfn] as number, pages);
      releasedPages += pages;
      releaseFolio(m, pfn);
    } else freed[single++] = pfn;
  }
  return single;
}

/** Pages of large folios that the batch under way has freed. */
let releasedPages = 0;

/**
 * Uncharges and frees the folios in `freed`.
 * @param byKshrinkd its groups count them here; what others free, they count themselves
 * @returns their pages
 */
function freeReclaimed(m: Mm, all: number, byKshrinkd: boolean): number {
  releasedPages = 0;
  const count = freeReclaimedLarge(m, all, byKshrinkd);
  for (let i = 0, run = 0; i < count; i++) {
    run++;
    const memcg = m.page.memcg[freed[i] as number] as number;
    if (i + 1 === count || m.page.memcg[freed[i + 1] as number] !== memcg) {
      if (byKshrinkd) countKshrinkd(m, memcg, run);
      uncharge(m, memcg, run);
      run = 0;
    }
  }
  freeUnrefPages(m, freed, count);
  return count + releasedPages;
}
