// SPDX-License-Identifier: GPL-2.0-only
/** zswap on one thread: store, load, limits, rejects, writing back, files, groups. */
import { afterEach, describe, expect, it } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { EINVAL, EPERM } from '../../../dist/src/mm/errno.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { readMachineFile, writeMachineFile } from '../../../dist/src/mm/proc_access.js';
import { shrinkControl } from '../../../dist/src/mm/shrinker_ops.js';
import { deviceHolds } from '../../../dist/src/mm/swap_backend.js';
import { swapoff } from '../../../dist/src/mm/swapoff.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { zswapAcceptPages, zswapIsFull, zswapMaxPages } from '../../../dist/src/mm/zswap.js';
import { zswapHolds, zswapTotalPages } from '../../../dist/src/mm/zswap_entry.js';
import { zswapShrinkerType } from '../../../dist/src/mm/zswap_shrinker.js';
import {
  zswapShrinkMemcg,
  zswapShrinkPass,
  zswapShrinkPending,
  zswapWriteback,
} from '../../../dist/src/mm/zswap_writeback.js';
import {
  arm,
  bootedSwap,
  expectSound,
  expectWhole,
  READ,
  reclaim,
  slotsOf,
  touch,
  WRITE,
} from '../../helpers/swap_fixture.js';

afterEach(leaveFaults);

const ZSWAP = { swap: 'zswap' as const, pageCluster: 0 };
const PARAMETERS = '/sys/module/zswap/parameters';
const DEBUG = '/sys/kernel/debug/zswap';
const GROUP = '/sys/fs/cgroup/programs/memory.zswap';

const number = (m: Mm, path: string): number => Number(readMachineFile(m, path));
const stored = (m: Mm): number => number(m, `${DEBUG}/stored_pages`);
const inZswap = (m: Mm): number[] => slotsOf(m).filter((slot) => slot !== 0 && zswapHolds(m, slot));

describe('zswap', () => {
  it('has the parameters of the configuration, and lines in /proc/meminfo', () => {
    const zswap = { maxPoolPercent: 30, acceptThresholdPercent: 80, shrinkerEnabled: true };
    const { m } = bootedSwap({ ...ZSWAP, zswap });
    expect(readMachineFile(m, `${PARAMETERS}/max_pool_percent`)).toBe('30\n');
    expect(readMachineFile(m, `${PARAMETERS}/accept_threshold_percent`)).toBe('80\n');
    expect(readMachineFile(m, `${PARAMETERS}/shrinker_enabled`)).toBe('Y\n');
    const kb = (name: string): number => {
      const text = readMachineFile(m, '/proc/meminfo') as string;
      return Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]);
    };
    expect([kb('Zswap'), kb('Zswapped')]).toEqual([0, 0]);
    const out = reclaim(m);
    expect(kb('Zswapped')).toBe(4 * out);
    expect(kb('Zswap')).toBe(4 * zswapTotalPages(m));
    expect(kb('Zswap')).toBeGreaterThan(0);
  });

  it('takes what goes out, gives it back, and the file sees none of it', () => {
    const swap = bootedSwap(ZSWAP);
    const { m, user } = swap;
    const out = reclaim(m);
    expect(out).toBeGreaterThan(8);
    expect(vmEvents(m)).toMatchObject({ zswpout: out, pswpout: 0 });
    expect([stored(m), inZswap(m).length]).toEqual([out, out]);
    expect(number(m, `${GROUP}.current`)).toBeGreaterThan(100 * out);
    expectSound(m);
    expect(touch(user, READ)).toBe(0);
    // The load is exclusive: what was read is dirty, and the only copy.
    expect(vmEvents(m)).toMatchObject({ zswpin: out, pswpin: 0 });
    expect([stored(m), number(m, `${GROUP}.current`)]).toEqual([0, 0]);
    expectSound(m);
    expect(reclaim(m)).toBeGreaterThan(0);
    expectWhole(swap);
  });

  it('writes the coldest back after a second chance, and they come from the file', () => {
    const swap = bootedSwap(ZSWAP);
    const { m, user } = swap;
    const out = reclaim(m);
    for (let i = 0; i < 3 * out; i++) zswapShrinkMemcg(m, 1);
    const { zswpwb, pswpout } = vmEvents(m);
    expect([zswpwb, pswpout, stored(m)]).toEqual([out, out, 0]);
    for (const slot of slotsOf(m)) if (slot !== 0) expect(deviceHolds(m, slot)).toBe(true);
    expectSound(m);
    expect(touch(user, READ)).toBe(0);
    expect(vmEvents(m)).toMatchObject({ zswpin: 0, pswpin: out, workingset_refault_anon: out });
    expectWhole(swap);
  });

  it('leaves alone an entry that is another by now, and one that a fault has', () => {
    const { m } = bootedSwap(ZSWAP);
    reclaim(m);
    const slot = inZswap(m)[0] as number;
    const handle = m.zswap.handle[slot] as number;
    expect(zswapWriteback(m, slot, handle + 1)).toBe(-2);
    expect(zswapHolds(m, slot)).toBe(true);
    expectSound(m);
    m.slot.count[slot] = (m.slot.count[slot] as number) | 0x40;
    expect(zswapWriteback(m, slot, handle)).toBe(-17);
    m.slot.count[slot] = (m.slot.count[slot] as number) & ~0x40;
    expect(vmEvents(m).zswpwb).toBe(0);
    expectSound(m);
  });

  it('keeps an entry that the file does not take', () => {
    const swap = bootedSwap(ZSWAP);
    const { m } = swap;
    const out = reclaim(m);
    arm(m, 'fail_write');
    for (let i = 0; i < 3 * out; i++) zswapShrinkMemcg(m, 1);
    expect(number(m, `${DEBUG}/reject_reclaim_fail`)).toBeGreaterThan(0);
    expect([stored(m), vmEvents(m).zswpwb]).toEqual([out, 0]);
    expectWhole(swap);
  });

  it('is full at its limit until it is below the threshold', () => {
    const swap = bootedSwap(ZSWAP);
    const { m } = swap;
    // Raw pages fill it soon.
    arm(m, 'compress_grow');
    reclaim(m);
    leaveFaults();
    expect(zswapTotalPages(m)).toBeGreaterThan(10);
    // 1024 pages: 1 % is 10.
    expect(writeMachineFile(m, `${PARAMETERS}/max_pool_percent`, '1')).toBe(0);
    expect([zswapMaxPages(m), zswapAcceptPages(m)]).toEqual([10, 9]);
    expect(zswapIsFull(m)).toBe(true);
    const before = vmEvents(m).zswpout;
    expect(reclaim(m)).toBeGreaterThan(0);
    expect(vmEvents(m).zswpout).toBe(before);
    expect(vmEvents(m).pswpout).toBeGreaterThan(0);
    expect(zswapShrinkPending(m)).toBe(true);
    expect(number(m, `${DEBUG}/pool_limit_hit`)).toBeGreaterThan(0);
    zswapShrinkPass(m);
    expect(zswapTotalPages(m)).toBeLessThanOrEqual(zswapAcceptPages(m));
    expect([zswapShrinkPending(m), zswapIsFull(m)]).toEqual([false, false]);
    expectWhole(swap);
  });

  it('keeps raw what does not shrink, but not where it could never be written back', () => {
    const swap = bootedSwap(ZSWAP);
    const { m } = swap;
    arm(m, 'compress_grow');
    const out = reclaim(m);
    expect(number(m, `${DEBUG}/stored_incompressible_pages`)).toBe(out);
    expectSound(m);
    expect(writeMachineFile(m, `${GROUP}.writeback`, '0')).toBe(0);
    arm(m, 'compress_grow');
    // Rejected, and kept away from the disk: it stays in memory.
    expect(reclaim(m)).toBe(0);
    expect(number(m, `${DEBUG}/reject_compress_fail`)).toBeGreaterThan(0);
    expect([vmEvents(m).pswpout, zswapShrinkMemcg(m, 1)]).toEqual([0, -2]);
    expectSound(m);
    expect(writeMachineFile(m, `${GROUP}.writeback`, '1')).toBe(0);
    expectWhole(swap);
  });

  it('respects memory.zswap.max, after one try to make room', () => {
    const swap = bootedSwap(ZSWAP);
    const { m } = swap;
    expect(writeMachineFile(m, `${GROUP}.max`, '8K')).toBe(0);
    const out = reclaim(m);
    expect(number(m, `${GROUP}.current`)).toBeLessThan(3 * 4096);
    expect(vmEvents(m).pswpout).toBeGreaterThan(0);
    expect(vmEvents(m).zswpout).toBeGreaterThan(0);
    expect(out).toBeGreaterThan(0);
    expectWhole(swap);
  });

  it('shrinks when memory is short, if it is told to, and less after reads from the file', () => {
    const swap = bootedSwap(ZSWAP);
    const { m, user } = swap;
    const out = reclaim(m);
    const sc = { ...shrinkControl(), memcg: 1, nrToScan: 4 * out };
    expect(zswapShrinkerType.countObjects(m, sc)).toBe(0);
    expect(zswapShrinkerType.scanObjects(m, sc)).toBe(-1);
    expect(writeMachineFile(m, `${PARAMETERS}/shrinker_enabled`, 'Y')).toBe(0);
    const count = zswapShrinkerType.countObjects(m, sc);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(out);
    expect(zswapShrinkerType.scanObjects(m, sc)).toBe(out);
    expect(vmEvents(m).zswpwb).toBe(out);
    expect(touch(user, READ)).toBe(0);
    expect(m.lruvec.diskSwapins[1]).toBe(out);
    // The next walk of reclaim takes them off what it counts.
    expect(reclaim(m)).toBeGreaterThan(0);
    zswapShrinkerType.countObjects(m, sc);
    expect(m.lruvec.diskSwapins[1]).toBeLessThan(out);
    expectWhole(swap);
  });

  it('is off when told so, its pages stay whole, and swapoff empties it', () => {
    const swap = bootedSwap(ZSWAP);
    const { m, user } = swap;
    expect(reclaim(m)).toBeGreaterThan(0);
    expect(writeMachineFile(m, `${PARAMETERS}/enabled`, 'N')).toBe(0);
    const before = vmEvents(m).zswpout;
    reclaim(m);
    expect(vmEvents(m).zswpout).toBe(before);
    expectSound(m);
    expect(swapoff(m, '/swapfile', () => false)).toBe(0);
    expect(stored(m)).toBe(0);
    expect(touch(user)).toBe(0);
    expectWhole(swap);
  });

  it('takes a page whose slot the file had: what is there is old', () => {
    const swap = bootedSwap(ZSWAP);
    const { m, user } = swap;
    expect(writeMachineFile(m, `${PARAMETERS}/enabled`, 'N')).toBe(0);
    expect(reclaim(m)).toBeGreaterThan(0);
    expect(vmEvents(m).pswpout).toBeGreaterThan(0);
    // Read, the slot stays; stored to without a fault, the page goes to the same slot again.
    expect(touch(user, READ)).toBe(0);
    expect(touch(user, WRITE)).toBe(0);
    expect(writeMachineFile(m, `${PARAMETERS}/enabled`, 'Y')).toBe(0);
    for (let pass = 0; pass < 6; pass++) reclaim(m);
    expect(vmEvents(m).kr_swap_overwrite).toBeGreaterThan(0);
    expectWhole(swap);
  });

  it('has files that take what they should', () => {
    const { m } = bootedSwap(ZSWAP);
    expect(readMachineFile(m, `${PARAMETERS}/enabled`)).toBe('Y\n');
    expect(readMachineFile(m, `${PARAMETERS}/accept_threshold_percent`)).toBe('90\n');
    expect(writeMachineFile(m, `${PARAMETERS}/max_pool_percent`, '101')).toBe(EINVAL);
    expect(writeMachineFile(m, `${PARAMETERS}/compressor`, 'zstd')).toBe(EPERM);
    expect(writeMachineFile(m, `${DEBUG}/stored_pages`, '1')).toBe(EPERM);
    expect(writeMachineFile(m, `${GROUP}.writeback`, 'x')).toBe(EINVAL);
    expect(readMachineFile(m, `${GROUP}.max`)).toBe('max\n');
  });

  it.each<[string, (m: Mm, slot: number) => void, string]>([
    ['an entry that is lost', (m, slot) => m.zswap.length.fill(0, slot, slot + 1), 'listed'],
    ['a count', (m) => Atomics.add(m.zswapWords, 5, 1), 'zswap stored_pages'],
    ['a charge', (m) => Atomics.add(m.memcg.zswapUnits, 1, 1), 'zswap bytes'],
    ['two copies', (m, slot) => m.swapDisk.stored.fill(1, slot, slot + 1), 'in 2 places'],
  ])('is checked: %s', (_, damage, expected) => {
    const { m } = bootedSwap(ZSWAP);
    reclaim(m);
    expectSound(m);
    damage(m, inZswap(m)[0] as number);
    expect(checkQuiescent(m).violations.join()).toContain(expected);
  });
});
