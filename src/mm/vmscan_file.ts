// SPDX-License-Identifier: GPL-2.0-only
/**
 * What reclaim does with pages of files of the host (mm/vmscan.c, shrink_folio_list, where they
 * differ from anonymous ones): a clean one is dropped and leaves a shadow; a dirty one is left to
 * the flusher, unless reclaim meets nothing else.
 */
import { faultDelay, shouldFail } from '../../shared/fault.ts';
import { FAULT_DELAY, FAULT_TRYLOCK } from './faults.ts';
import { folioOfHost } from './file_dirty.ts';
import { folioPages, folioSet, folioTest, folioTryLock, folioUnlock } from './folio.ts';
import { fileRemoveFolio } from './mapping_file.ts';
import type { Mm } from './mm.ts';
import { PG_DIRTY, PG_RECLAIM, PG_WRITEBACK, VM_EXEC } from './mm_types.ts';
import { folioMapcount, folioReferenced, referencedOut } from './rmap.ts';
import { fileTryToUnmap } from './rmap_file.ts';
import type { ScanControl } from './scan_control.ts';
import type { ReclaimStat } from './vmscan_folio.ts';
import { EV } from './vmstat_items.ts';
import { filePageout } from './writeback.ts';

/** Locked, unmapped, and clean or to be written: phase 2 may have it. */
export const FILE_READY = 0;
/** It goes back where it was. */
export const FILE_KEEP = 1;
/** Somebody still maps it. */
export const FILE_MAPPED = 2;
/** Dirty: the flusher's, and then the first to go. */
export const FILE_DIRTY = 3;

/**
 * Phase 1 for a page of a file: takes its mappings away, and decides what a dirty one is for.
 * @param cleanOnly it was used of late: it goes only if that costs nothing
 * @returns FILE_*
 * @context folio locked and isolated; takes i_mmap_rwsem as `rmapTryLock` says, ptl
 */
export function unmapFilePage(m: Mm, pfn: number, sc: ScanControl, cleanOnly: boolean): number {
  if (!fileTryToUnmap(m, pfn, true)) return FILE_MAPPED;
  if (!folioTest(m, pfn, PG_DIRTY)) return FILE_READY;
  const tail = Atomics.load(m.node.dirtyTail, m.zone.nid[m.page.zone[pfn] as number] as number);
  // As posted, kshrinkd passes for kswapd.
  const background = sc.role === 'kswapd' || m.task.kswapd;
  const mayWrite = background && folioTest(m, pfn, PG_RECLAIM) && tail !== 0;
  if (mayWrite) return cleanOnly ? FILE_KEEP : FILE_READY;
  const { events } = m.task;
  const cell = EV.nr_vmscan_immediate_reclaim;
  events[cell] = (events[cell] as number) + folioPages(m, pfn);
  folioSet(m, pfn, PG_RECLAIM);
  return FILE_DIRTY;
}

/** Writes a dirty page. @returns true when it is locked and clean */
function pageoutFile(m: Mm, pfn: number, stat: ReclaimStat): boolean {
  // Isolation and the file: anybody else may be about to use it.
  const pages = folioPages(m, pfn);
  if (Atomics.load(m.page.refcount, pfn) !== 1 + pages) {
    folioUnlock(m, pfn);
    return false;
  }
  if (filePageout(m, pfn) < 0) return false;
  const { events } = m.task;
  events[EV.nr_vmscan_write] = (events[EV.nr_vmscan_write] as number) + pages;
  stat.nrPageout += pages;
  if (shouldFail(FAULT_TRYLOCK) || !folioTryLock(m, pfn)) return false;
  if (folioOfHost(m, pfn) && !folioTest(m, pfn, PG_DIRTY | PG_WRITEBACK)) return true;
  folioUnlock(m, pfn);
  return false;
}

/**
 * Phase 2 for a page of a file.
 * @returns true when it is gone: count 0, unlocked, ready for the allocator
 * @context folio locked, isolated, unmapped, and no CPU touches it any more
 */
export function reclaimFilePage(m: Mm, pfn: number, sc: ScanControl, stat: ReclaimStat): boolean {
  if (folioTest(m, pfn, PG_DIRTY) && !pageoutFile(m, pfn, stat)) return false;
  faultDelay(FAULT_DELAY);
  const removed = fileRemoveFolio(m, pfn, sc.targetMemcg);
  folioUnlock(m, pfn);
  return removed;
}

/**
 * Does a page of the active list stay there? One of a program's text that was used does.
 * @context folio isolated, not locked; tries its lock
 */
export function keepActive(m: Mm, pfn: number, sc: ScanControl): boolean {
  if (folioMapcount(m, pfn) === 0) return false;
  // Locked by somebody: as good as used, but nobody knows by what.
  if (!folioTryLock(m, pfn)) return false;
  const { rmapTryLock } = m.config;
  const used = folioOfHost(m, pfn) && folioReferenced(m, pfn, sc.targetMemcg, rmapTryLock) !== 0;
  folioUnlock(m, pfn);
  return used && (referencedOut.vmFlags & VM_EXEC) !== 0;
}
