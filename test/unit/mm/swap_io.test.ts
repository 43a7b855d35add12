// SPDX-License-Identifier: GPL-2.0-only
/** Swap files on the host's disk: whose they may be, and that errors lose nothing. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { folioTest } from '../../../dist/src/mm/folio.js';
import { PG_DIRTY, PG_SWAPCACHE, PG_UPTODATE } from '../../../dist/src/mm/mm_types.js';
import { swapFilesClose } from '../../../dist/src/mm/swap_io.js';
import { RUN_SIGBUS } from '../../../dist/src/mm/user.js';
import { verifyPages } from '../../../dist/src/mm/verify.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootFixture } from '../../helpers/mm_fixture.js';
import {
  arm,
  bootedSwap,
  expectGone,
  expectSound,
  expectWhole,
  PAGES,
  READ,
  reclaim,
  slotsOf,
  touch,
  WRITE,
} from '../../helpers/swap_fixture.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kreclaim-test-'));
});
afterEach(() => {
  leaveFaults();
  rmSync(folder, { recursive: true, force: true });
});

const FILE = { swap: 'file' as const, pageCluster: 0 };

describe('a swap file', () => {
  it('holds the pages that were swapped out, each in its place', () => {
    const path = join(folder, 'swap');
    const swap = bootedSwap({ ...FILE, swapFile: path });
    const { m } = swap;
    expect(reclaim(m)).toBeGreaterThan(0);
    const bytes = readFileSync(path);
    expect(bytes.subarray(4086, 4096).toString()).toBe('SWAPSPACE2');
    const swapped = slotsOf(m).filter((slot) => slot !== 0);
    expect(swapped.length).toBeGreaterThan(0);
    for (const slot of swapped) expect(bytes.readInt32LE(slot * 4096 + 4)).toBeGreaterThan(0);
    expectWhole(swap);
    // A file that was swap before may be swap again.
    swapFilesClose(bootFixture({ ...FILE, swapFile: path, swapPages: 512 }));
    expect(statSync(path).size).toBe(513 * 4096);
  });

  it("is never somebody else's", () => {
    const path = join(folder, 'letters');
    writeFileSync(path, 'dear reader');
    expect(() => bootFixture({ ...FILE, swapFile: path })).toThrow(/is there and is no swap file/);
    expect(readFileSync(path, 'utf8')).toBe('dear reader');
    const nowhere = join(folder, 'no', 'where');
    expect(() => bootFixture({ ...FILE, swapFile: nowhere })).toThrow(/cannot be opened: ENOENT/);
    expect(() => bootFixture({ ...FILE, swapFile: folder })).toThrow(/cannot be opened: EISDIR/);
  });

  it('leaves no name behind where none was given', () => {
    vi.stubEnv('TMPDIR', mkdtempSync(join(folder, 'tmp-')));
    const m = bootFixture(FILE);
    expect(m.swapDevice.fd[0]).toBeGreaterThan(0);
    expect(readdirSync(tmpdir())).toEqual([]);
    vi.unstubAllEnvs();
    swapFilesClose(m);
    swapFilesClose(m);
  });

  it('keeps the slot of a page that was only read, and writes it once', () => {
    const swap = bootedSwap(FILE);
    const { m, user } = swap;
    const first = reclaim(m);
    expect(touch(user, READ)).toBe(0);
    expect(vmEvents(m).pswpin).toBe(first);
    // The last turn's pages were still in the cache.
    expect(vmEvents(m).pswpout).toBeGreaterThan(first);
    expect(reclaim(m)).toBeGreaterThan(0);
    // Only pages that were in memory the first time are written now.
    expect(vmEvents(m).pswpout).toBeLessThanOrEqual(PAGES);
    expect(touch(user, WRITE)).toBe(0);
    expectSound(m);
    expect(reclaim(m)).toBeGreaterThan(0);
    expectWhole(swap);
  });

  it('is read ahead, 2^page-cluster pages at once', () => {
    const swap = bootedSwap({ ...FILE, pageCluster: 3 });
    const { m, user } = swap;
    const swapped = reclaim(m);
    expect(touch(user, READ)).toBe(0);
    const { swap_ra, swap_ra_hit, pswpin, pgmajfault } = vmEvents(m);
    expect(pswpin).toBe(swapped);
    expect(swap_ra_hit).toBe(swap_ra);
    expect(pgmajfault).toBe(pswpin - swap_ra);
    expect(swap_ra).toBeGreaterThan(swapped / 2);
    expectWhole(swap);
  });

  it('that takes nothing leaves pages dirty and in memory', () => {
    const swap = bootedSwap(FILE);
    const { m } = swap;
    arm(m, 'fail_write');
    expect(reclaim(m)).toBe(0);
    const { nrPages } = m.sizes;
    const inCache = Array.from({ length: nrPages }, (_, pfn) => pfn).filter((pfn) =>
      folioTest(m, pfn, PG_SWAPCACHE),
    );
    expect(inCache.length).toBeGreaterThan(0);
    for (const pfn of inCache) expect(folioTest(m, pfn, PG_DIRTY)).toBe(true);
    expectSound(m);
    expect(reclaim(m)).toBeGreaterThan(0);
    expectWhole(swap);
  });

  it('that the host cuts off refuses writes as well', () => {
    const swap = bootedSwap(FILE);
    const { m } = swap;
    const { fd } = m.swapDevice;
    const own = fd[0] as number;
    fd[0] = -1;
    expect(reclaim(m)).toBe(0);
    fd[0] = own;
    expectWhole(swap);
  });

  it('that cannot be read kills who needs the page, and loses no other', () => {
    const { m, user } = bootedSwap(FILE);
    expect(reclaim(m)).toBeGreaterThan(0);
    arm(m, 'fail_read', { times: 1 });
    expect(touch(user, READ)).toBe(RUN_SIGBUS);
    expect(vmEvents(m).kr_swap_read_error).toBe(1);
    expectSound(m);
    const cached = slotsOf(m).map((slot) => (slot === 0 ? 0 : (m.slot.cache[slot] as number)));
    const broken = cached.filter((pfn) => pfn !== 0 && !folioTest(m, pfn, PG_UPTODATE));
    expect(broken).toHaveLength(1);
    // The medium itself is well: all of it can be read back around the folio.
    expect(verifyPages(m, user, true)).toEqual({ pages: PAGES, mismatches: 0, first: null });
    expectGone(m);
  });
});
