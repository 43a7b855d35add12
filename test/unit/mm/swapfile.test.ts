// SPDX-License-Identifier: GPL-2.0-only
/** Several swap devices: their places, who is filled first, what /proc/swaps says. */
import { describe, expect, it } from 'vitest';
import type { SwapDeviceConfig } from '../../../dist/src/mm/config.js';
import { SWAPFILE_CLUSTER } from '../../../dist/src/mm/limits.js';
import { SWAP_MAP_BAD } from '../../../dist/src/mm/mm_types.js';
import { procSwaps } from '../../../dist/src/mm/proc_meminfo.js';
import { deviceByName, deviceOf, totalSwapPages } from '../../../dist/src/mm/swap_info.js';
import { allocSlot, nrSwapPages, SLOT_NONE } from '../../../dist/src/mm/swapfile.js';
import { bootFixture } from '../../helpers/mm_fixture.js';
import { bootedSwap, expectWhole, reclaim, slotsOf } from '../../helpers/swap_fixture.js';

const zram = (pages: number, priority: number): SwapDeviceConfig => ({
  kind: 'zram',
  pages,
  priority,
  path: null,
});

function allocAll(swapDevices: SwapDeviceConfig[]): number[] {
  const m = bootFixture({ swapDevices, contents: false });
  const devices: number[] = [];
  for (let slot = allocSlot(m); slot !== SLOT_NONE; slot = allocSlot(m)) {
    expect(m.slot.count[slot]).not.toBe(SWAP_MAP_BAD);
    devices.push(deviceOf(m, slot));
  }
  expect(nrSwapPages(m)).toBe(0);
  return devices;
}

describe('swap devices', () => {
  it('are ranges that begin with a cluster, whose first slot is never used', () => {
    const m = bootFixture({ swapDevices: [zram(300, 1), zram(256, 2)], contents: false });
    expect([...m.swapDevice.base]).toEqual([0, 2 * SWAPFILE_CLUSTER]);
    expect(totalSwapPages(m)).toBe(556);
    const bad = [0, 301, 511, 512];
    for (const slot of bad) expect(m.slot.count[slot], `${slot}`).toBe(SWAP_MAP_BAD);
    for (const slot of [1, 300, 513, 768]) expect(m.slot.count[slot], `${slot}`).toBe(0);
    expect(m.sizes.nrSlots).toBe(769);
  });

  it('are filled by priority', () => {
    const devices = allocAll([zram(300, -3), zram(700, 5), zram(10, -3)]);
    expect(devices).toHaveLength(1010);
    expect(new Set(devices.slice(0, 700))).toEqual(new Set([1]));
    expect(new Set(devices.slice(700))).toEqual(new Set([0, 2]));
  });

  it('take turns where they are equal, a cluster each', () => {
    const devices = allocAll([zram(1024, 7), zram(1024, 7)]);
    const [first, second] = [devices.slice(0, 256), devices.slice(256, 512)];
    expect([new Set(first).size, new Set(second).size]).toEqual([1, 1]);
    expect(first[0]).not.toBe(second[0]);
    expect(devices).toHaveLength(2048);
  });

  it('go on to the next when the first is full, and pages come back from both', () => {
    const swap = bootedSwap({ swapDevices: [zram(40, 1), { ...zram(64, 0), kind: 'file' }] });
    const { m } = swap;
    for (let pass = 0; pass < 8; pass++) reclaim(m);
    const used = [0, 1].map(
      (device) => slotsOf(m).filter((slot) => slot !== 0 && deviceOf(m, slot) === device).length,
    );
    expect(used[0]).toBe(40);
    expect(used[1]).toBeGreaterThan(20);
    expect(procSwaps(m).split('\n').slice(1, 3)).toEqual([
      `${'/dev/zram0'.padEnd(40)}partition\t160\t\t160\t\t1`,
      `${'/swapfile1'.padEnd(40)}file\t\t256\t\t${4 * (used[1] as number)}\t\t0`,
    ]);
    expect([deviceByName(m, '/swapfile1'), deviceByName(m, '/swapfile')]).toEqual([1, -1]);
    expectWhole(swap);
  });
});
