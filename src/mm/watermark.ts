// SPDX-License-Identifier: GPL-2.0-only
/**
 * Watermarks: how few free pages a zone may have before kswapd wakes (low), before an allocation
 * must reclaim by itself (min), and when kswapd may stop (high). Formulas of mm/page_alloc.c.
 */
import { NR_PAGE_ORDERS } from './limits.ts';
import type { Mm } from './mm.ts';
import { ZONE_ONLINE } from './mm_types.ts';

export const WMARK_MIN = 0;
export const WMARK_LOW = 1;
export const WMARK_HIGH = 2;

/** No watermark at all. */
export const ALLOC_NO_WATERMARKS = 2;
/** The OOM victim's half. */
export const ALLOC_OOM = 4;

/** Largest integer whose square is at most `value`, 0 .. 2^52. */
export function intSqrt(value: number): number {
  let root = Math.floor(Math.sqrt(value));
  while (root * root > value) root--;
  while ((root + 1) * (root + 1) <= value) root++;
  return root;
}

/**
 * vm.min_free_kbytes as init_per_zone_wmark_min sets it.
 * @param lowmemKbytes memory of all zones that the kernel may use for itself, in KiB
 */
export function defaultMinFreeKbytes(lowmemKbytes: number): number {
  return Math.min(Math.max(intSqrt(lowmemKbytes * 16), 128), 262144);
}

/**
 * Fills wmarkMin/Low/High of every zone.
 * @context boot, or whoever takes a node offline or online
 */
export function setupPerZoneWmarks(m: Mm): void {
  let lowmemPages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) lowmemPages += m.zone.managed[zone] as number;
  const kbytes = m.config.minFreeKbytes ?? defaultMinFreeKbytes(lowmemPages * 4);
  const pagesMin = Math.floor(kbytes / 4);
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    const managed = m.zone.managed[zone] as number;
    const min = Math.floor((pagesMin * managed) / lowmemPages);
    const step = Math.max(
      Math.floor(min / 4),
      Math.floor((managed * m.config.watermarkScaleFactor) / 10000),
    );
    m.zone.wmarkMin[zone] = min;
    m.zone.wmarkLow[zone] = min + step;
    m.zone.wmarkHigh[zone] = min + 2 * step;
  }
}

/** Sizes of the per-CPU lists (zone_batchsize, zone_highsize). @context boot */
export function setupPcp(m: Mm): void {
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    const managed = m.zone.managed[zone] as number;
    const quarter = Math.floor(Math.min(managed >> 12, 64) / 4);
    let batch = 1;
    if (quarter > 1) {
      const target = quarter + Math.floor(quarter / 2);
      while (batch * 2 <= target) batch *= 2;
      batch -= 1;
    }
    const low = m.zone.wmarkLow[zone] as number;
    m.zone.pcpBatch[zone] = Math.max(batch, 1);
    m.zone.pcpHigh[zone] = Math.max(Math.floor(low / m.config.cpus), batch * 4);
  }
}

/** @param wmark WMARK_MIN, WMARK_LOW or WMARK_HIGH @returns that mark of the zone, in pages */
export function wmarkPages(m: Mm, zone: number, wmark: number): number {
  if (wmark === WMARK_MIN) return m.zone.wmarkMin[zone] as number;
  return (wmark === WMARK_LOW ? m.zone.wmarkLow[zone] : m.zone.wmarkHigh[zone]) as number;
}

/**
 * May a block of `order` be taken from the zone, leaving it above `mark`? (__zone_watermark_ok)
 * @param mark pages @param allocFlags ALLOC_* bits that lower the mark
 */
export function zoneWatermarkOk(
  m: Mm,
  zone: number,
  order: number,
  mark: number,
  allocFlags: number,
): boolean {
  if (Atomics.load(m.zone.state, zone) !== ZONE_ONLINE) return false;
  if ((allocFlags & ALLOC_NO_WATERMARKS) !== 0) return true;
  const free = Atomics.load(m.zone.nrFree, zone) - ((1 << order) - 1);
  let min = mark;
  if ((allocFlags & ALLOC_OOM) !== 0) min -= Math.floor(min / 2);
  if (free <= min) return false;
  if (order === 0) return true;
  for (let o = order; o < NR_PAGE_ORDERS; o++) {
    if ((m.freeArea[zone * NR_PAGE_ORDERS + o] as number) > 0) return true;
  }
  return false;
}
