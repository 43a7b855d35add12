// SPDX-License-Identifier: GPL-2.0-only
/** Taking swap devices away on one thread: all comes back, or the device stays as it was. */
import { describe, expect, it } from 'vitest';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { EBUSY, EINTR, EINVAL, EIO, ENOMEM } from '../../../dist/src/mm/errno.js';
import { procSwaps } from '../../../dist/src/mm/proc_meminfo.js';
import { shmemEvict } from '../../../dist/src/mm/shmem.js';
import { shmemRead, shmemWrite } from '../../../dist/src/mm/shmem_io.js';
import { deviceOf, nrSwapPages, totalSwapPages } from '../../../dist/src/mm/swap_info.js';
import { allocSlot, SLOT_NONE } from '../../../dist/src/mm/swapfile.js';
import { swapoff, swapon } from '../../../dist/src/mm/swapoff.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  arm,
  bootedSwap,
  expectSound,
  expectWhole,
  reclaim,
  slotsOf,
  touch,
} from '../../helpers/swap_fixture.js';

const never = (): boolean => false;
const ZRAM = '/dev/zram0';

describe('swapoff', () => {
  it.each(['zram', 'file'] as const)('brings every page of %s back', (swap) => {
    const name = swap === 'zram' ? ZRAM : '/swapfile';
    const fixture = bootedSwap({ swap });
    const { m, user } = fixture;
    const swapped = reclaim(m);
    expect(swapoff(m, name, never)).toBe(0);
    expect(slotsOf(m).every((slot) => slot === 0)).toBe(true);
    expect(vmEvents(m).pswpin).toBe(swapped);
    expect([nrSwapPages(m), totalSwapPages(m), allocSlot(m)]).toEqual([0, 0, SLOT_NONE]);
    expect(procSwaps(m).split('\n')).toHaveLength(2);
    expectSound(m);
    expect(swapoff(m, name, never)).toBe(EINVAL);
    expect(swapon(m, name)).toBe(0);
    expect(swapon(m, name)).toBe(EBUSY);
    expect(reclaim(m)).toBeGreaterThan(0);
    expect(touch(user)).toBe(0);
    expectWhole(fixture);
  });

  it('brings pages of files back, and folios that only the cache has', () => {
    const fixture = bootedSwap({ swap: 'file' });
    const { m, user } = fixture;
    for (let i = 0; i < 20; i++) expect(shmemWrite(m, 1, i, 7 + i)).toBe(0);
    reclaim(m, 200);
    expect(m.mapping.nrSwapped[1]).toBeGreaterThan(0);
    // Read ahead into the cache, some of it for nobody.
    expect(touch(user, 0, 0, 40)).toBe(0);
    expect(swapoff(m, '/swapfile', never)).toBe(0);
    expect(m.mapping.nrSwapped[1]).toBe(0);
    for (let i = 0; i < 20; i++) expect(shmemRead(m, 1, i)).toBe(7 + i);
    shmemEvict(m, 1);
    rcuBarrier();
    expectWhole(fixture);
  });

  it('knows files in rows that whole slabs have beyond inodesMax', () => {
    const fixture = bootedSwap({ swap: 'file', inodesMax: 2 });
    const { m } = fixture;
    const row = m.sizes.fs.nrInodes - 1;
    expect(row).toBeGreaterThan(2);
    for (let i = 0; i < 20; i++) expect(shmemWrite(m, row, i, 7 + i)).toBe(0);
    reclaim(m, 200);
    expect(m.mapping.nrSwapped[row]).toBeGreaterThan(0);
    let asked = 0;
    expect(swapoff(m, '/swapfile', () => ++asked > 10_000)).toBe(0);
    shmemEvict(m, row);
    rcuBarrier();
    expectWhole(fixture);
  });

  it('moves pages to another device where memory is full', () => {
    const swapDevices = [
      { kind: 'zram' as const, pages: 96, priority: 2, path: null },
      { kind: 'file' as const, pages: 512, priority: 1, path: null },
    ];
    const fixture = bootedSwap({ swapDevices, memcgMax: 100 });
    const { m, user } = fixture;
    for (let pass = 0; pass < 8; pass++) reclaim(m);
    expect(touch(user, 1, 96, 140)).toBe(0);
    expect(swapoff(m, ZRAM, never)).toBe(0);
    expect(slotsOf(m).every((slot) => slot === 0 || deviceOf(m, slot) === 1)).toBe(true);
    expect(slotsOf(m).some((slot) => slot !== 0)).toBe(true);
    expect(vmEvents(m).oom_kill).toBe(0);
    expectSound(m);
    expect(touch(user)).toBe(0);
  });

  it('keeps to the limit of swap of a group that is full', () => {
    const swapDevices = [
      { kind: 'zram' as const, pages: 96, priority: 2, path: null },
      { kind: 'file' as const, pages: 512, priority: 1, path: null },
    ];
    const fixture = bootedSwap({ swapDevices, memcgMax: 100 });
    const { m, user } = fixture;
    for (let pass = 0; pass < 8; pass++) reclaim(m);
    expect(touch(user, 1, 96, 140)).toBe(0);
    // Nothing of the group may go out, and nothing fits in.
    Atomics.store(m.memcg.max, 1, Atomics.load(m.memcg.usage, 1));
    Atomics.store(m.memcg.swapMax, 1, Atomics.load(m.memcg.swapUsage, 1));
    expect(nrSwapPages(m)).toBeGreaterThan(0);
    expect(swapoff(m, ZRAM, never)).toBe(ENOMEM);
    expect(procSwaps(m)).toContain(ZRAM);
    expect(vmEvents(m).oom_kill).toBe(0);
    expectSound(m);
    Atomics.store(m.memcg.swapMax, 1, -1);
    expect(swapoff(m, ZRAM, never)).toBe(0);
    expectSound(m);
    expect(touch(user)).toBe(0);
  });

  it.each([
    [
      'there is no room',
      ENOMEM,
      (m) => Atomics.store(m.memcg.max, 1, Atomics.load(m.memcg.usage, 1)),
    ],
    ['it is interrupted', EINTR, () => undefined],
    ['a page cannot be read', EIO, (m) => arm(m, 'fail_read')],
  ] as [string, number, (m: Parameters<typeof allocSlot>[0]) => void][])(
    'leaves the device on when %s',
    (_, error, prepare) => {
      const fixture = bootedSwap({ memcgMax: 512 });
      const { m } = fixture;
      expect(reclaim(m)).toBeGreaterThan(8);
      const before = [totalSwapPages(m), nrSwapPages(m)];
      let asked = 0;
      prepare(m);
      const stop = (): boolean => error === EINTR && ++asked > 5;
      expect(swapoff(m, ZRAM, stop)).toBe(error);
      expect(totalSwapPages(m)).toBe(before[0]);
      expect(nrSwapPages(m)).toBeGreaterThanOrEqual(before[1] as number);
      expect(vmEvents(m).oom_kill).toBe(0);
      expectSound(m);
      Atomics.store(m.memcg.max, 1, 512);
      if (error !== EIO) expect(swapoff(m, ZRAM, never)).toBe(0);
      if (error !== EIO) expectWhole(fixture);
    },
  );

  it('knows its devices', () => {
    const { m } = bootedSwap({});
    expect(swapoff(m, '/dev/zram1', never)).toBe(EINVAL);
    expect(swapon(m, '/nowhere')).toBe(EINVAL);
  });
});
