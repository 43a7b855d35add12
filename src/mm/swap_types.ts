// SPDX-License-Identifier: GPL-2.0-only
/**
 * Swap devices (include/linux/swap.h, struct swap_info_struct), and where their slots lie.
 *
 * Slot numbers are one flat space: a page-table entry needs no type. A device is a range of it that
 * begins with a cluster, so that no cluster, no shadow node and no window of readahead lies in two
 * devices. Its first slot is its header and never allocated, as on a disk.
 *
 *   device 0                 padding   device 1
 *   0 | 1 .. pages           bad       base | base + 1 .. base + pages
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import type { MmConfig, SwapDeviceConfig } from './config.ts';
import { SWAPFILE_CLUSTER } from './limits.ts';

export const SWAP_KIND_ZRAM = 0;
export const SWAP_KIND_FILE = 1;

/** States of a device: not swapped on; in use; being emptied, so that nothing is allocated. */
export const SWAP_OFF = 0;
export const SWAP_ON = 1;
export const SWAP_LEAVING = 2;

/** Words of `swapInfo`: free slots of devices that are on, their slots, a counter of turns. */
export const NR_SWAP_PAGES = 0;
export const TOTAL_SWAP_PAGES = 1;
export const SWAP_TURN = 2;

/** Devices of one machine: MAX_SWAPFILES of a kernel with all of its options. */
export const SWAP_DEVICES_MAX = 23;

/** One row per device. */
export const SWAP_DEVICE_COLUMNS = {
  kind: 'i32', // @frozen SWAP_KIND_*
  priority: 'i32', // @frozen higher ones are filled first
  base: 'i32', // @frozen its header's slot: the first of a cluster
  pages: 'i32', // @frozen usable slots: base + 1 .. base + pages
  synchronous: 'i32', // @frozen SWP_SYNCHRONOUS_IO: no readahead, the slot goes at swap-in
  fd: 'i32', // @frozen descriptor of the host's file, valid in all threads; -1 for none
  state: 'i32', // @atomic SWAP_OFF, SWAP_ON, SWAP_LEAVING
  free: 'i32', // @atomic free slots
  order: 'i32', // @frozen row N: the device of the Nth highest priority
} as const;

/** A device and its place. */
export interface SwapDeviceLayout extends SwapDeviceConfig {
  readonly base: number;
}

/** Priority that zram devices are swapped on with. */
const ZRAM_PRIORITY = 100;
/** Of the first device that is given none; the next has one less. */
const DEFAULT_PRIORITY = -2;

/** @returns the devices that a configuration asks for; pure */
function devicesOf(config: MmConfig): readonly SwapDeviceConfig[] {
  if (config.swapDevices) return config.swapDevices;
  if (config.swap === 'none' || config.swapPages === 0) return [];
  const zram = config.swap === 'zram';
  return [
    {
      kind: zram ? 'zram' : 'file',
      pages: config.swapPages,
      priority: zram ? ZRAM_PRIORITY : DEFAULT_PRIORITY,
      path: config.swapFile ?? null,
    },
  ];
}

/** @returns the devices of a machine in the order of their slots; pure */
export function swapLayout(config: MmConfig): SwapDeviceLayout[] {
  let base = 0;
  return devicesOf(config).map((device) => {
    const placed = { ...device, base };
    base = Math.ceil((base + device.pages + 1) / SWAPFILE_CLUSTER) * SWAPFILE_CLUSTER;
    return placed;
  });
}

/** @returns slots that a machine numbers, padding and headers included; pure */
export function swapSlots(layout: readonly SwapDeviceLayout[]): number {
  const last = layout.at(-1);
  return last === undefined ? 0 : last.base + last.pages + 1;
}

/** Declares the table. Pure, as the arena asks. */
export function declareSwapDevices(builder: ArenaBuilder, devices: number) {
  return builder.columns('swap_device', SWAP_DEVICE_COLUMNS, devices);
}
