// SPDX-License-Identifier: GPL-2.0-only
/**
 * Large folios that readahead fills (mm/readahead.c, page_cache_ra_order, ra_alloc_folio): each
 * begins at a multiple of its pages, holds no page that is cached or beyond the window, and is
 * allocated and charged as things are. Where none can be had, the next smaller order is tried.
 */
import { shouldFail } from '../../shared/fault.ts';
import { memcgChargeLarge } from './charge.ts';
import { FAULT_LARGE_ALLOC } from './faults.ts';
import { folioSet } from './folio.ts';
import { memcgRefresh } from './memcg_task.ts';
import type { Mm } from './mm.ts';
import { PG_LARGE_FILE } from './mm_types.ts';
import { countMthp } from './mthp_stat.ts';
import { PFN_NONE, prepCompound } from './page_alloc.ts';
import { allocPagesLight } from './page_alloc_slow.ts';
import { discardNewPage } from './swap.ts';
import { homeNode } from './swapin.ts';
import { MTHP } from './thp_types.ts';

/**
 * Largest order of a folio that begins with a missing page. Pure.
 * @param missing indexes, rising @param i the one it begins with
 * @param order largest one that is wanted @param end page behind the last one that is wanted
 */
export function folioOrderAt(
  missing: readonly number[],
  i: number,
  order: number,
  end: number,
): number {
  const index = missing[i] as number;
  let fits = order;
  while (fits > 0) {
    const pages = 2 ** fits;
    // All of them are missing if the last one is where it would be then.
    const whole = missing[i + pages - 1] === index + pages - 1;
    if (index % pages === 0 && index + pages <= end && whole) break;
    fits--;
  }
  return fits;
}

/** @returns a charged folio with a reference, or PFN_NONE; counted either way */
function allocFolio(m: Mm, order: number): number {
  const none = shouldFail(FAULT_LARGE_ALLOC);
  const pfn = none ? PFN_NONE : allocPagesLight(m, homeNode(m), order);
  if (pfn === PFN_NONE) {
    countMthp(m, order, MTHP.file_fallback);
    return PFN_NONE;
  }
  prepCompound(m, pfn, order);
  if (memcgChargeLarge(m, pfn, m.task.memcg)) {
    folioSet(m, pfn, PG_LARGE_FILE);
    countMthp(m, order, MTHP.nr_file, 1);
    countMthp(m, order, MTHP.file_alloc);
    return pfn;
  }
  discardNewPage(m, pfn);
  countMthp(m, order, MTHP.file_fallback);
  countMthp(m, order, MTHP.file_fallback_charge);
  return PFN_NONE;
}

/**
 * A large folio for a missing page and those behind it, known to nobody.
 * @param missing indexes that are not cached, rising @param i the one it begins with
 * @param order largest one to try @param end page behind the last one that is wanted
 * @returns its head, or 0 when a single page must do
 * @context takes zone->lock, memcg_stock; reclaims nothing
 */
export function newFileFolio(
  m: Mm,
  missing: readonly number[],
  i: number,
  order: number,
  end: number,
): number {
  memcgRefresh(m, m.task.mm);
  for (let at = folioOrderAt(missing, i, order, end); at > 0; at--) {
    const pfn = allocFolio(m, at);
    if (pfn !== PFN_NONE) return pfn;
  }
  return 0;
}
