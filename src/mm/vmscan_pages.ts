// SPDX-License-Identifier: GPL-2.0-only
/** Reclaiming given pages (mm/vmscan.c, reclaim_pages): for MADV_PAGEOUT. */
import {
  folioClear,
  folioLruList,
  folioLruvec,
  folioNid,
  folioPages,
  folioTestClear,
  isFileLru,
} from './folio.ts';
import { lruLock, lruUnlock, lruvecDelFolioLocked } from './lruvec.ts';
import type { Mm } from './mm.ts';
import { PG_ACTIVE, PG_LRU, PG_UNEVICTABLE } from './mm_types.ts';
import { scanControl } from './scan_control.ts';
import { modIsolated } from './vmscan_count.ts';
import { reclaimStat, shrinkFolioList } from './vmscan_folio.ts';
import { putbackLru } from './vmscan_lists.ts';

const taken: number[] = [];

/**
 * Isolates and reclaims folios, whoever used them lately.
 * @param folios at most SWAP_CLUSTER_MAX, with a reference each, which becomes the isolation's
 * @param put drops the reference of one that cannot be isolated
 * @returns pages reclaimed
 * @context no spinlock held; mmap_lock may be
 */
export function reclaimPages(m: Mm, folios: readonly number[], put: (pfn: number) => void): number {
  let reclaimed = 0;
  for (const pfn of folios) {
    if (!isolateFolio(m, pfn)) {
      put(pfn);
      continue;
    }
    const nid = folioNid(m, pfn);
    const file = isFileLru(folioLruList(Atomics.load(m.page.flags, pfn)));
    const pages = folioPages(m, pfn);
    modIsolated(m, nid, file, pages);
    taken.length = 0;
    taken.push(pfn);
    const sc = scanControl('direct', 0, 0);
    sc.ignoreReferences = true;
    sc.plug = false;
    reclaimed += shrinkFolioList(m, taken, sc, reclaimStat());
    putbackLru(m, taken);
    modIsolated(m, nid, file, -pages);
  }
  return reclaimed;
}

/** Takes a folio off its list. @returns false when it is on none, or stays for ever */
function isolateFolio(m: Mm, pfn: number): boolean {
  if ((Atomics.load(m.page.flags, pfn) & PG_UNEVICTABLE) !== 0) return false;
  if (!folioTestClear(m, pfn, PG_LRU)) return false;
  const lruvec = folioLruvec(m, pfn);
  lruLock(m, lruvec);
  lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
  lruUnlock(m, lruvec);
  // What goes on the list of pages to reclaim is not active; it may become so if it stays.
  folioClear(m, pfn, PG_ACTIVE);
  return true;
}
