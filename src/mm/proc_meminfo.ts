// SPDX-License-Identifier: GPL-2.0-only
/** The text of /proc/meminfo (fs/proc/meminfo.c) and /proc/swaps (mm/swapfile.c). */
import type { Mm } from './mm.ts';
import { totalManaged } from './show_mem.ts';
import { deviceName, nrSwapPages, totalSwapPages } from './swap_info.ts';
import { SWAP_KIND_ZRAM, SWAP_OFF } from './swap_types.ts';
import { vmGauges } from './vmstat.ts';
import { hasZswap, zswapTotalPages } from './zswap_entry.ts';
import { ZSWAP_STORED } from './zswap_types.ts';

const KB_PER_PAGE = 4;

function line(label: string, pages: number): string {
  return `${`${label}:`.padEnd(16)}${String(pages * KB_PER_PAGE).padStart(8)} kB\n`;
}

/** Memory that could be had without swapping (si_mem_available). */
function availablePages(m: Mm, free: number, fileCache: number): number {
  let reserve = 0;
  let low = 0;
  for (let zone = 0; zone < m.sizes.nrZones; zone++) {
    reserve += Math.min(m.zone.wmarkHigh[zone] as number, m.zone.managed[zone] as number);
    low += m.zone.wmarkLow[zone] as number;
  }
  const cache = fileCache - Math.min(Math.floor(fileCache / 2), low);
  return Math.max(free - reserve + cache, 0);
}

/** What zswap takes, and what it holds; nothing where there is none. */
function zswapLines(m: Mm): string[] {
  if (!hasZswap(m)) return [];
  const stored = Atomics.load(m.zswapWords, ZSWAP_STORED);
  return [line('Zswap', zswapTotalPages(m)), line('Zswapped', stored)];
}

/** @context any; exact at quiescence */
export function procMeminfo(m: Mm): string {
  const gauges = vmGauges(m);
  const g = (name: string): number => gauges[name] as number;
  const fileCache = g('nr_active_file') + g('nr_inactive_file');
  return [
    line('MemTotal', totalManaged(m)),
    line('MemFree', g('nr_free_pages')),
    line('MemAvailable', availablePages(m, g('nr_free_pages'), fileCache)),
    line('Buffers', 0),
    line('Cached', g('nr_file_pages') - g('nr_swapcached')),
    line('SwapCached', g('nr_swapcached')),
    line('Active', g('nr_active_anon') + g('nr_active_file')),
    line('Inactive', g('nr_inactive_anon') + g('nr_inactive_file')),
    line('Active(anon)', g('nr_active_anon')),
    line('Inactive(anon)', g('nr_inactive_anon')),
    line('Active(file)', g('nr_active_file')),
    line('Inactive(file)', g('nr_inactive_file')),
    line('Unevictable', g('nr_unevictable')),
    line('Mlocked', g('nr_mlock')),
    line('SwapTotal', totalSwapPages(m)),
    line('SwapFree', nrSwapPages(m)),
    ...zswapLines(m),
    line('Dirty', g('nr_dirty')),
    line('Writeback', g('nr_writeback')),
    line('AnonPages', g('nr_anon_pages')),
    line('Mapped', g('nr_mapped')),
    line('Shmem', g('nr_shmem')),
    line('KReclaimable', g('nr_slab_reclaimable')),
    line('Slab', g('nr_slab_reclaimable')),
    line('SReclaimable', g('nr_slab_reclaimable')),
    line('SUnreclaim', 0),
    line('PageTables', g('nr_page_table_pages')),
  ].join('');
}

/** Devices that are on, or on their way out. @context any */
export function procSwaps(m: Mm): string {
  const lines = ['Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'];
  const column = (kb: number): string => `${kb}\t${kb < 10_000_000 ? '\t' : ''}`;
  const { kind, pages, free, priority, state } = m.swapDevice;
  for (let device = 0; device < m.sizes.nrSwapDevices; device++) {
    if (Atomics.load(state, device) === SWAP_OFF) continue;
    const size = pages[device] as number;
    const used = size - Atomics.load(free, device);
    const type = kind[device] === SWAP_KIND_ZRAM ? 'partition\t' : 'file\t\t';
    const sizes = column(size * KB_PER_PAGE) + column(used * KB_PER_PAGE);
    lines.push(`${deviceName(m, device).padEnd(40)}${type}${sizes}${priority[device]}\n`);
  }
  return lines.join('');
}
