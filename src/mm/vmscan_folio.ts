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
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { folioOfHost } from './file_dirty.ts';
import {
  folioClear,
  folioRefFreeze,
  folioSet,
  folioTest,
  folioTestClear,
  folioTryLock,
  folioUnlock,
} from './folio.ts';
import { countMemcg, MS } from './memcg_events.ts';
import { uncharge } from './memcontrol.ts';
import type { Mm } from './mm.ts';
import {
  PG_ACTIVE,
  PG_DIRTY,
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
import { freeUnrefPages } from './page_alloc.ts';
import { swapWriteout, WRITE_FAILED } from './page_io.ts';
import {
  folioMapcount,
  folioReferenced,
  REFERENCED_CONTENDED,
  referencedOut,
  tryToUnmap,
} from './rmap.ts';
import type { ScanControl } from './scan_control.ts';
import { folioOfFile, shmemToSwap } from './shmem_writeout.ts';
import { addToSwap, folioFreeSwap, removeMapping } from './swap_state.ts';
import { SLOT_NONE, vmSwapFull } from './swapfile.ts';
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

/** What became of a batch (struct reclaim_stat). Private to the thread; cleared per batch. */
export interface ReclaimStat {
  nrPageout: number;
  nrRefKeep: number;
  nrUnmapFail: number;
  nrActivate: number;
  nrContended: number;
  nrUnqueuedDirty: number;
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
  };
}

/** Pages of one isolated batch: at most SWAP_CLUSTER_MAX. Reused per thread. */
const unmapped: number[] = [];
const freed: number[] = [];

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
  const ptes = folioReferenced(m, pfn, sc.targetMemcg, true);
  if ((referencedOut.vmFlags & VM_LOCKED) !== 0) return FOLIOREF_ACTIVATE;
  if (ptes === REFERENCED_CONTENDED) {
    stat.nrContended++;
    return FOLIOREF_KEEP;
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

/** Unlocks a folio that goes back to the active list. */
function activateLocked(m: Mm, pfn: number, stat: ReclaimStat): void {
  const flags = Atomics.load(m.page.flags, pfn);
  if ((flags & PG_SWAPCACHE) !== 0 && vmSwapFull(m)) folioFreeSwap(m, pfn);
  assert((flags & PG_ACTIVE) === 0, 'activating an active folio');
  if ((flags & PG_MLOCKED) === 0) {
    folioSet(m, pfn, PG_ACTIVE);
    stat.nrActivate++;
    m.task.events[EV.pgactivate] = (m.task.events[EV.pgactivate] as number) + 1;
    countMemcg(m, m.page.memcg[pfn] as number, MS.pgactivate);
  }
  folioUnlock(m, pfn);
}

/**
 * Phase 1 for one folio: test, give it a slot, unmap.
 * @returns true when it is locked, unmapped and in the swap cache: ready for phase 2
 */
function tryPrepare(m: Mm, pfn: number, sc: ScanControl, stat: ReclaimStat): boolean {
  if (shouldFail(FAULT_TRYLOCK) || !folioTryLock(m, pfn)) return false;
  sc.nrScanned++;
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
  if (ofHost && (flags & PG_DIRTY) !== 0) stat.nrUnqueuedDirty++;
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
    if ((flags & PG_SWAPBACKED) !== 0 && addToSwap(m, pfn) === SLOT_NONE) {
      activateLocked(m, pfn, stat);
      return false;
    }
  }
  if (folioMapcount(m, pfn) > 0 && !tryToUnmap(m, pfn)) {
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
function pageout(m: Mm, pfn: number, stat: ReclaimStat): boolean {
  // Isolation and the cache: anybody else may be about to use it.
  if (Atomics.load(m.page.refcount, pfn) !== 2) {
    folioUnlock(m, pfn);
    return false;
  }
  if (folioTestClear(m, pfn, PG_DIRTY)) {
    folioSet(m, pfn, PG_RECLAIM);
    const written = swapWriteout(m, pfn);
    if (written === WRITE_FAILED) {
      activateLocked(m, pfn, stat);
      return false;
    }
    m.task.events[EV.nr_vmscan_write] = (m.task.events[EV.nr_vmscan_write] as number) + 1;
    stat.nrPageout++;
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
    if (folioTest(m, pfn, PG_DIRTY) && !pageout(m, pfn, stat)) return false;
    faultDelay(FAULT_DELAY);
    if (removeMapping(m, pfn, sc.targetMemcg)) {
      folioUnlock(m, pfn);
      return true;
    }
  } else if (folioMapcount(m, pfn) === 0 && folioRefFreeze(m, pfn, 1)) {
    // A fault took it out of the cache and its process is gone: nobody else knows it.
    assert(!folioOfFile(m, pfn), 'a file lost a page that it had');
    if (!folioTest(m, pfn, PG_SWAPBACKED)) {
      m.task.events[EV.pglazyfreed] = (m.task.events[EV.pglazyfreed] as number) + 1;
    }
    folioUnlock(m, pfn);
    return true;
  }
  folioUnlock(m, pfn);
  return false;
}

/**
 * Reclaims what it can of an isolated batch.
 * @param folios isolated pfns, oldest first; on return its first `kept` entries are to be put back,
 *   in order
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
  let ready = 0;
  let kept = 0;
  const total = folios.length;
  unmapOut.cpuMask = 0;
  for (let i = 0; i < total; i++) {
    const pfn = folios[i] as number;
    if (tryPrepare(m, pfn, sc, stat)) unmapped[ready++] = i;
  }
  faultDelay(FAULT_DELAY);
  if (ready > 0) tlbFlush(m, unmapOut.cpuMask);
  let reclaimed = 0;
  for (let i = 0, at = 0; i < total; i++) {
    const pfn = folios[i] as number;
    const prepared = at < ready && unmapped[at] === i;
    if (prepared) at++;
    if (prepared && tryReclaim(m, pfn, sc, stat)) freed[reclaimed++] = pfn;
    else folios[kept++] = pfn;
  }
  folios.length = kept;
  freeReclaimed(m, reclaimed);
  return reclaimed;
}

/** Uncharges and frees the pages in `freed`. */
function freeReclaimed(m: Mm, count: number): void {
  for (let i = 0, run = 0; i < count; i++) {
    const pfn = freed[i] as number;
    assert(!folioTest(m, pfn, PG_LRU), 'reclaimed folio is on a list');
    folioClear(m, pfn, PG_ACTIVE | PG_REFERENCED | PG_WORKINGSET | PG_RECLAIM);
    run++;
    const memcg = m.page.memcg[pfn] as number;
    if (i + 1 === count || m.page.memcg[freed[i + 1] as number] !== memcg) {
      uncharge(m, memcg, run);
      run = 0;
    }
  }
  freeUnrefPages(m, freed, count);
}

/** Counters of one scan of a group's inactive list. */
export function countScan(
  m: Mm,
  sc: ScanControl,
  group: number,
  file: boolean,
  scanned: number,
  reclaimed: number,
): void {
  const { events } = m.task;
  const direct = sc.role === 'direct' ? 1 : 0;
  const cell = sc.proactive ? 2 : direct;
  const memcg = sc.targetMemcg !== 0;
  const scan = memcg
    ? direct
      ? EV.memcg_pgscan_direct
      : EV.memcg_pgscan_kswapd
    : EV.pgscan_kswapd + cell;
  const steal = memcg
    ? direct
      ? EV.memcg_pgsteal_direct
      : EV.memcg_pgsteal_kswapd
    : EV.pgsteal_kswapd + cell;
  countMemcg(m, group, MS.pgscan_kswapd + cell, scanned);
  if (reclaimed > 0) countMemcg(m, group, MS.pgsteal_kswapd + cell, reclaimed);
  const fileCell = file ? 1 : 0;
  events[scan] = (events[scan] as number) + scanned;
  events[steal] = (events[steal] as number) + reclaimed;
  events[EV.pgscan_anon + fileCell] = (events[EV.pgscan_anon + fileCell] as number) + scanned;
  events[EV.pgsteal_anon + fileCell] = (events[EV.pgsteal_anon + fileCell] as number) + reclaimed;
}

/** NR_ISOLATED_ANON or _FILE of a node. */
export function modIsolated(m: Mm, nid: number, file: boolean, pages: number): void {
  Atomics.add(file ? m.node.isolatedFile : m.node.isolatedAnon, nid, pages);
}
