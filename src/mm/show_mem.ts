// SPDX-License-Identifier: GPL-2.0-only
/** One line of memory state for reports (lib/show_mem.c). */
import type { Mm } from './mm.ts';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  LRU_UNEVICTABLE,
  NR_LRU_LISTS,
} from './mm_types.ts';

/** Pages of the machine on one LRU list. */
export function totalLru(m: Mm, lru: number): number {
  let pages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    pages += Atomics.load(m.zoneLru, zone * NR_LRU_LISTS + lru);
  }
  return pages;
}

/** Pages in all buddy lists. */
export function totalFree(m: Mm): number {
  let pages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) pages += Atomics.load(m.zone.nrFree, zone);
  return pages;
}

/** @returns pages that all zones were given at boot */
export function totalManaged(m: Mm): number {
  let pages = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) pages += m.zone.managed[zone] as number;
  return pages;
}

/** @returns the first line of the report on memory (show_mem) */
export function memInfoLine(m: Mm): string {
  return (
    `Mem-Info: active_anon:${totalLru(m, LRU_ACTIVE_ANON)} ` +
    `inactive_anon:${totalLru(m, LRU_INACTIVE_ANON)} ` +
    `active_file:${totalLru(m, LRU_ACTIVE_FILE)} inactive_file:${totalLru(m, LRU_INACTIVE_FILE)} ` +
    `unevictable:${totalLru(m, LRU_UNEVICTABLE)} free:${totalFree(m)} managed:${totalManaged(m)}`
  );
}
