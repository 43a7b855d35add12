// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which swap devices there are, and what each of them has (mm/swapfile.c, swap_info[]).
 */
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { SWAPFILE_CLUSTER } from './limits.ts';
import { LC_SWAP_CLUSTER } from './lock_order.ts';
import type { Mm } from './mm.ts';
import { SWAP_MAP_BAD } from './mm_types.ts';
import { swapFileOpen } from './swap_io.ts';
import {
  NR_SWAP_PAGES,
  SWAP_KIND_FILE,
  SWAP_KIND_ZRAM,
  SWAP_OFF,
  SWAP_ON,
  swapLayout,
  TOTAL_SWAP_PAGES,
} from './swap_types.ts';

/** @returns the device that a slot lies on @context any */
export function deviceOf(m: Mm, slot: number): number {
  return m.cluster.device[Math.floor(slot / SWAPFILE_CLUSTER)] as number;
}

/** @returns whether a slot's device is a file @context any */
export function slotOnFile(m: Mm, slot: number): boolean {
  return m.swapDevice.kind[deviceOf(m, slot)] === SWAP_KIND_FILE;
}

/** SWP_SYNCHRONOUS_IO of a slot's device. @context any */
export function slotSynchronous(m: Mm, slot: number): boolean {
  return m.swapDevice.synchronous[deviceOf(m, slot)] === 1;
}

/** @returns whether slots of a device may be allocated @context any; stable under swap_cluster */
export function deviceOn(m: Mm, device: number): boolean {
  return Atomics.load(m.swapDevice.state, device) === SWAP_ON;
}

/** @returns free slots of devices that are on, at this moment @context any */
export function nrSwapPages(m: Mm): number {
  return Atomics.load(m.swapInfo, NR_SWAP_PAGES);
}

/** @returns slots of all devices that are on @context any */
export function totalSwapPages(m: Mm): number {
  return Atomics.load(m.swapInfo, TOTAL_SWAP_PAGES);
}

/** More than half of swap is used: swap-in gives the slot up (vm_swap_full). @context any */
export function vmSwapFull(m: Mm): boolean {
  return nrSwapPages(m) * 2 < totalSwapPages(m);
}

/** @returns the name that a device is swapped on and off by, as in /proc/swaps @context any */
export function deviceName(m: Mm, device: number): string {
  if (m.swapDevice.kind[device] === SWAP_KIND_FILE) {
    // A temporary file has another name each time: runs that are alike read alike.
    return swapLayout(m.config)[device]?.path ?? `/swapfile${device === 0 ? '' : device}`;
  }
  let nth = 0;
  for (let before = 0; before < device; before++) {
    if (m.swapDevice.kind[before] === SWAP_KIND_ZRAM) nth++;
  }
  return `/dev/zram${nth}`;
}

/** @returns the device of a name, -1 for none @context any */
export function deviceByName(m: Mm, name: string): number {
  for (let device = 0; device < m.sizes.nrSwapDevices; device++) {
    if (deviceName(m, device) === name) return device;
  }
  return -1;
}

/** Lets the slots of a device be allocated, or no more: cluster by cluster. */
function setClusters(m: Mm, device: number, on: boolean): void {
  const first = (m.swapDevice.base[device] as number) / SWAPFILE_CLUSTER;
  const clusters = Math.ceil(((m.swapDevice.pages[device] as number) + 1) / SWAPFILE_CLUSTER);
  for (let cluster = first; cluster < first + clusters; cluster++) {
    spinLock(m.clusterLock, cluster, LC_SWAP_CLUSTER);
    const free = m.cluster.free[cluster] as number;
    m.cluster.on[cluster] = on ? 1 : 0;
    Atomics.add(m.swapInfo, NR_SWAP_PAGES, on ? free : -free);
    spinUnlock(m.clusterLock, cluster, LC_SWAP_CLUSTER);
  }
}

/**
 * A device's slots are for everybody from here on (_enable_swap_info).
 * @context whoever brought its state from SWAP_OFF to SWAP_LEAVING, or boot; takes swap_cluster
 */
export function enableDevice(m: Mm, device: number): void {
  setClusters(m, device, true);
  Atomics.add(m.swapInfo, TOTAL_SWAP_PAGES, m.swapDevice.pages[device] as number);
  Atomics.store(m.swapDevice.state, device, SWAP_ON);
}

/**
 * No slot of the device is allocated after this (del_from_avail_list); those in use stay.
 * @context whoever brought its state from SWAP_ON to SWAP_LEAVING; takes swap_cluster
 */
export function disableDevice(m: Mm, device: number): void {
  Atomics.sub(m.swapInfo, TOTAL_SWAP_PAGES, m.swapDevice.pages[device] as number);
  setClusters(m, device, false);
}

/** Marks what no device has: slots between two of them, and their headers. @context boot */
function initClusters(m: Mm): void {
  m.slot.count.fill(SWAP_MAP_BAD, 0, m.sizes.nrSlots);
  for (let device = 0; device < m.sizes.nrSwapDevices; device++) {
    const base = m.swapDevice.base[device] as number;
    const end = base + 1 + (m.swapDevice.pages[device] as number);
    m.slot.count.fill(0, base + 1, end);
    for (let first = base; first < end; first += SWAPFILE_CLUSTER) {
      const cluster = first / SWAPFILE_CLUSTER;
      const slots = Math.min(SWAPFILE_CLUSTER, end - first);
      m.cluster.free[cluster] = first === base ? slots - 1 : slots;
      m.cluster.hint[cluster] = first;
      m.cluster.device[cluster] = device;
    }
  }
}

/**
 * Makes the devices of the configuration, opens their files, and swaps them on.
 * @throws Error, one line, when a file cannot be a swap device
 * @context boot, the main thread
 */
export function swapInit(m: Mm): void {
  swapLayout(m.config).forEach((device, row) => {
    const zram = device.kind === 'zram';
    m.swapDevice.kind[row] = zram ? SWAP_KIND_ZRAM : SWAP_KIND_FILE;
    m.swapDevice.priority[row] = device.priority;
    m.swapDevice.base[row] = device.base;
    m.swapDevice.pages[row] = device.pages;
    m.swapDevice.synchronous[row] = zram && m.config.swapSynchronous ? 1 : 0;
    m.swapDevice.state[row] = SWAP_OFF;
    m.swapDevice.free[row] = device.pages;
    m.swapDevice.fd[row] = -1;
  });
  const rows = Array.from({ length: m.sizes.nrSwapDevices }, (_, row) => row);
  const priorityOf = (row: number): number => m.swapDevice.priority[row] as number;
  m.swapDevice.order.set(rows.sort((a, b) => priorityOf(b) - priorityOf(a) || a - b));
  initClusters(m);
  for (let row = 0; row < m.sizes.nrSwapDevices; row++) {
    if (m.swapDevice.kind[row] === SWAP_KIND_FILE && m.config.contents) {
      m.swapDevice.fd[row] = swapFileOpen(m, row, swapLayout(m.config)[row]?.path ?? null);
    }
    enableDevice(m, row);
  }
}
