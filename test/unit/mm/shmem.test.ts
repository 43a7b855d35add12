// SPDX-License-Identifier: GPL-2.0-only
/** Pages of files on one thread: written, swapped out, read back, truncated in every state. */
import { afterEach, describe, expect, it } from 'vitest';
import { enterFaults, leaveFaults } from '../../../dist/shared/fault.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { pageWords } from '../../../dist/src/mm/content.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { EEXIST, EIO, ENOENT, ENOMEM, ENOSPC } from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { type FaultName, faultAttrs } from '../../../dist/src/mm/faults.js';
import { folioTest, folioUnlock } from '../../../dist/src/mm/folio.js';
import {
  mappingAdd,
  mappingErase,
  mappingGet,
  mappingPeek,
  mappingSetSeq,
} from '../../../dist/src/mm/mapping.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
} from '../../../dist/src/mm/mm_types.js';
import { MemcgStats } from '../../../dist/src/mm/proc_memcg.js';
import { procMeminfo } from '../../../dist/src/mm/proc_meminfo.js';
import { vmstatItems } from '../../../dist/src/mm/proc_vmstat.js';
import { shmemEvict, shmemGetFolio, shmemTruncate } from '../../../dist/src/mm/shmem.js';
import { badPage, shmemRead, shmemWrite } from '../../../dist/src/mm/shmem_io.js';
import { folioPut } from '../../../dist/src/mm/swap.js';
import { swapCacheGet } from '../../../dist/src/mm/swap_state.js';
import { nrSwapPages } from '../../../dist/src/mm/swapfile.js';
import { verifyFiles } from '../../../dist/src/mm/verify_files.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

const FILE = 7;
const PAGES = 64;

function arm(m: Mm, name: FaultName, times: number | null = null): void {
  const attrs = faultAttrs({ [name]: { oneIn: 1, interval: 1, times } });
  attrs.forEach((one, kind) => {
    if (one?.times != null) m.faults.left[kind] = one.times;
  });
  enterFaults(m.faults, attrs, 1, 1);
}

/** Writes pages 0 .. PAGES-1, each with number 100 + index, and puts them on their lists. */
function written(m: Mm, inode = FILE): void {
  for (let i = 0; i < PAGES; i++) expect(shmemWrite(m, inode, i, 100 + i)).toBe(0);
  drainEverything(m);
}

const reclaim = (m: Mm, pages = PAGES): number => tryToFreeMemcgPages(m, 1, pages, () => false);

function swappedOf(m: Mm): number[] {
  const all = Array.from({ length: PAGES }, (_, i) => i);
  return all.filter((i) => mappingPeek(m, FILE, i) < 0);
}

function expectRead(m: Mm, inode = FILE): void {
  for (let i = 0; i < PAGES; i++) expect(shmemRead(m, inode, i)).toBe(100 + i);
}

function sound(m: Mm): void {
  expect(checkQuiescent(m).violations).toEqual([]);
}

/** Everything is given back. */
function expectEmpty(m: Mm): void {
  leaveFaults();
  sound(m);
  exitMm(m, 1);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
}

afterEach(leaveFaults);

describe('a page of a file', () => {
  it('is swap-backed, unmapped, dirty, on an anonymous list, and held once', () => {
    const m = bootFixture();
    const pfn = shmemGetFolio(m, FILE, 3, true);
    expect(m.page.mapping[pfn]).toBe(-FILE);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(3);
    expect(folioTest(m, pfn, PG_SWAPBACKED)).toBe(true);
    expect(folioTest(m, pfn, PG_UPTODATE)).toBe(true);
    expect(folioTest(m, pfn, PG_DIRTY)).toBe(true);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    drainEverything(m);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(1);
    expect(shmemRead(m, FILE, 3)).toBe(0);
    expect(vmstatItems(m)).toMatchObject({ nr_shmem: 1, nr_file_pages: 1, nr_inactive_anon: 1 });
    expect(procMeminfo(m)).toMatch(/Shmem: +4 kB/);
    expect(new MemcgStats(m).of(1)).toMatchObject({ shmem: 4096, file: 4096, anon: 0 });
    sound(m);
    shmemEvict(m, FILE);
    expect(m.page.mapping[pfn]).toBe(0);
    expectEmpty(m);
  });

  it('reads as it was written last, and a hole is a hole', () => {
    const m = bootFixture();
    expect(shmemRead(m, FILE, 9)).toBe(ENOENT);
    written(m);
    expectRead(m);
    expect(shmemWrite(m, FILE, 9, 555)).toBe(0);
    expect(shmemRead(m, FILE, 9)).toBe(555);
    expect(shmemWrite(m, FILE, 0xfffffff0, 1)).toBe(0);
    expect(shmemRead(m, FILE, 0xfffffff0)).toBe(1);
    expect(verifyFiles(m)).toEqual({ pages: PAGES + 1, mismatches: 0, first: null });
    shmemEvict(m, FILE);
    expectEmpty(m);
  });

  it('becomes active when it is used again, on its list and in a batch', () => {
    const m = bootFixture();
    expect(shmemWrite(m, FILE, 0, 1)).toBe(0);
    const pfn = mappingPeek(m, FILE, 0);
    expect(folioTest(m, pfn, PG_REFERENCED)).toBe(true);
    expect(shmemRead(m, FILE, 0)).toBe(1);
    // It waits in the batch, and is counted when it gets to its list.
    expect(folioTest(m, pfn, PG_ACTIVE)).toBe(true);
    expect(folioTest(m, pfn, PG_REFERENCED)).toBe(false);
    expect(shmemWrite(m, FILE, 1, 1)).toBe(0);
    drainEverything(m);
    expect(vmEvents(m).pgactivate).toBe(0);
    expect(shmemRead(m, FILE, 1)).toBe(1);
    expect(vmEvents(m).pgactivate).toBe(1);
    expect(vmstatItems(m)).toMatchObject({ nr_active_anon: 2, nr_inactive_anon: 0 });
    sound(m);
    shmemEvict(m, FILE);
    expectEmpty(m);
  });
});

describe('reclaim of file pages', () => {
  it('makes slots of entries, and reads bring the pages back', () => {
    const m = bootFixture();
    written(m);
    const reclaimed = reclaim(m);
    expect(reclaimed).toBeGreaterThan(0);
    expect(swappedOf(m).length).toBe(reclaimed);
    expect(m.mapping.nrSwapped[FILE]).toBe(reclaimed);
    expect(vmstatItems(m).nr_shmem).toBe(PAGES - reclaimed);
    sound(m);
    expect(verifyFiles(m)).toEqual({ pages: PAGES, mismatches: 0, first: null });
    expect(vmEvents(m).pswpin).toBe(0);
    expectRead(m);
    expect(vmEvents(m).pswpin).toBe(reclaimed);
    expect(vmEvents(m).workingset_refault_anon).toBe(reclaimed);
    // Mapped files have major faults, and nobody maps these.
    expect(vmEvents(m).pgmajfault).toBe(0);
    expect(swappedOf(m)).toEqual([]);
    expect(nrSwapPages(m)).toBe(m.sizes.nrSlots - 1);
    expect(verifyFiles(m)).toEqual({ pages: PAGES, mismatches: 0, first: null });
    shmemEvict(m, FILE);
    expectEmpty(m);
  });

  it('overwrites what is in swap, and the new write survives the next round', () => {
    const m = bootFixture({ swapSynchronous: false });
    written(m);
    expect(reclaim(m)).toBeGreaterThan(0);
    for (const i of swappedOf(m)) expect(shmemWrite(m, FILE, i, 100 + i)).toBe(0);
    drainEverything(m);
    expect(reclaim(m)).toBeGreaterThan(0);
    expectRead(m);
    sound(m);
    shmemEvict(m, FILE);
    expectEmpty(m);
  });

  it('leaves a page alone that somebody holds', () => {
    const m = bootFixture();
    written(m);
    const held = mappingGet(m, FILE, 0);
    const others = mappingGet(m, FILE, PAGES - 1);
    while (reclaim(m, PAGES) > 0);
    expect(mappingPeek(m, FILE, 0)).toBe(held);
    expect(mappingPeek(m, FILE, PAGES - 1)).toBe(others);
    expect(swappedOf(m).length).toBe(PAGES - 2);
    folioPut(m, held);
    folioPut(m, others);
    sound(m);
    shmemEvict(m, FILE);
    expectEmpty(m);
  });

  it('keeps pages when swap is full, and when there is none', () => {
    const full = bootFixture();
    written(full);
    arm(full, 'swap_full');
    expect(reclaim(full)).toBe(0);
    expect(swappedOf(full)).toEqual([]);
    leaveFaults();
    sound(full);
    expectRead(full);
    shmemEvict(full, FILE);
    expectEmpty(full);
    const none = bootFixture({ swap: 'none', swapPages: 0 });
    written(none);
    expect(reclaim(none)).toBe(0);
    expectRead(none);
    shmemEvict(none, FILE);
    expectEmpty(none);
  });

  it('leaves what could not be written in the swap cache, where a read finds it', () => {
    const m = bootFixture();
    written(m);
    arm(m, 'fail_write');
    expect(reclaim(m)).toBe(0);
    leaveFaults();
    const swapped = swappedOf(m);
    expect(swapped.length).toBeGreaterThan(0);
    const slot = -mappingPeek(m, FILE, swapped[0] as number);
    const pfn = swapCacheGet(m, slot);
    expect(folioTest(m, pfn, PG_SWAPCACHE)).toBe(true);
    expect(m.page.mapping[pfn]).toBe(0);
    folioPut(m, pfn);
    sound(m);
    expect(verifyFiles(m)).toEqual({ pages: PAGES, mismatches: 0, first: null });
    expectRead(m);
    expect(vmEvents(m).pswpin).toBe(0);
    expect(mappingPeek(m, FILE, swapped[0] as number)).toBe(pfn);
    shmemEvict(m, FILE);
    expectEmpty(m);
  });
});

describe('truncation', () => {
  it.each([
    ['in memory', 0, null],
    ['swapped', PAGES, null],
    ['in the swap cache', PAGES, 'fail_write'],
  ] as const)('gives everything back: %s', (_, pages, fault) => {
    const m = bootFixture();
    written(m);
    if (fault !== null) arm(m, fault);
    if (pages > 0) reclaim(m, pages);
    leaveFaults();
    expect(swappedOf(m).length > 0).toBe(pages > 0);
    shmemTruncate(m, FILE);
    expect(shmemRead(m, FILE, 0)).toBe(ENOENT);
    expect([m.mapping.nrPages[FILE], m.mapping.nrSwapped[FILE]]).toEqual([0, 0]);
    expectEmpty(m);
  });

  it('leaves an isolated page to its holder', () => {
    const m = bootFixture();
    expect(shmemWrite(m, FILE, 0, 1)).toBe(0);
    const pfn = mappingGet(m, FILE, 0);
    shmemTruncate(m, FILE);
    expect(m.page.mapping[pfn]).toBe(0);
    drainEverything(m);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(1);
    folioPut(m, pfn);
    expectEmpty(m);
  });

  it('lets the next file of the row start anew', () => {
    const m = bootFixture();
    written(m);
    shmemEvict(m, FILE);
    expect(shmemRead(m, FILE, 0)).toBe(ENOENT);
    expect(shmemWrite(m, FILE, 0, 100)).toBe(0);
    expect(shmemRead(m, FILE, 0)).toBe(100);
    const words = pageWords(m, mappingPeek(m, FILE, 0));
    words[0] = 0;
    expect(shmemRead(m, FILE, 0)).toBe(EIO);
    expect(badPage.note).toMatch(/stamped as page 0:0, expected 1:0/);
    shmemEvict(m, FILE);
    expectEmpty(m);
  });
});

describe('an entry', () => {
  it('is changed only by who knows what it is', () => {
    const m = bootFixture();
    written(m);
    reclaim(m);
    const [at] = swappedOf(m) as [number];
    const entry = mappingPeek(m, FILE, at);
    expect(mappingErase(m, FILE, at, entry - 1)).toBe(false);
    const pfn = shmemGetFolio(m, FILE, 900, true);
    expect(mappingErase(m, FILE, 900, pfn)).toBe(true);
    Atomics.sub(m.page.refcount, pfn, 1);
    for (const expected of [0, entry - 1]) {
      expect(mappingAdd(m, pfn, FILE, at, expected)).toBe(EEXIST);
    }
    expect(m.page.mapping[pfn]).toBe(0);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    expect(mappingPeek(m, FILE, at)).toBe(entry);
    drainEverything(m);
    sound(m);
    expect(verifyFiles(m)).toEqual({ pages: PAGES, mismatches: 0, first: null });
    shmemEvict(m, FILE);
    expectEmpty(m);
  });
});

describe('limits', () => {
  it('a charge that fails gives the page back', () => {
    const m = bootFixture();
    arm(m, 'fail_charge', 1);
    expect(shmemWrite(m, FILE, 0, 1)).toBe(ENOMEM);
    expect(shmemWrite(m, FILE, 0, 1)).toBe(0);
    written(m);
    reclaim(m);
    const [swapped] = swappedOf(m) as [number];
    arm(m, 'fail_charge', 1);
    expect(shmemRead(m, FILE, swapped)).toBe(ENOMEM);
    expect(shmemRead(m, FILE, swapped)).toBe(100 + swapped);
    shmemEvict(m, FILE);
    expectEmpty(m);
  });

  it("a group's limit swaps its file pages out", () => {
    const m = bootFixture({ memcgMax: 96, filePagesMax: 1024 });
    for (let i = 0; i < 512; i++) expect(shmemWrite(m, FILE, i, i + 1)).toBe(0);
    for (let i = 0; i < 512; i++) expect(shmemRead(m, FILE, i)).toBe(i + 1);
    expect(m.mapping.nrSwapped[FILE]).toBeGreaterThan(400);
    drainEverything(m);
    sound(m);
    expect(verifyFiles(m)).toEqual({ pages: 512, mismatches: 0, first: null });
    shmemEvict(m, FILE);
    expectEmpty(m);
  });

  it('files hold filePagesMax pages at most, and no more than their nodes', () => {
    const m = bootFixture({ filePagesMax: 8 });
    for (let i = 0; i < 8; i++) expect(shmemWrite(m, 1 + (i % 3), i, 1)).toBe(0);
    expect(shmemWrite(m, FILE, 0, 1)).toBe(ENOSPC);
    shmemTruncate(m, 1);
    expect(shmemWrite(m, FILE, 0, 1)).toBe(0);
    shmemEvict(m, FILE);
    shmemEvict(m, 2);
    shmemEvict(m, 3);
    expectEmpty(m);
    const sparse = bootFixture({ filePagesMax: 100, inodesMax: 2, contents: false });
    let made = 0;
    while (shmemWrite(sparse, 1, made * 4096, 1) === 0) made++;
    expect(made).toBeGreaterThan(20);
    expect(made).toBeLessThan(100);
    sound(sparse);
    shmemEvict(sparse, 1);
    expect(shmemWrite(sparse, 1, 0, 1)).toBe(0);
    shmemEvict(sparse, 1);
    expectEmpty(sparse);
  });
});

describe('what a reader notices', () => {
  const broken = (spoil: (m: Mm, words: Int32Array) => void): string => {
    const m = bootFixture();
    written(m);
    badPage.note = '';
    spoil(m, pageWords(m, mappingPeek(m, FILE, 2)));
    const read = shmemRead(m, FILE, 2);
    const all = verifyFiles(m);
    expect([read, all.mismatches]).toEqual([EIO, 1]);
    return badPage.note;
  };

  it('torn, foreign, old and lost pages', () => {
    expect(broken((_, words) => words.fill(0, 512))).toMatch(/differs at word/);
    expect(broken((m, words) => words.set(pageWords(m, mappingPeek(m, FILE, 3))))).toMatch(
      /stamped as page 0:3, expected 0:2/,
    );
    expect(broken((m) => mappingSetSeq(m, FILE, 2, 9))).toMatch(/holds write 102, last was 9/);
    const lost = (m: Mm): void => {
      const pfn = mappingPeek(m, FILE, 2);
      mappingErase(m, FILE, 2, pfn);
      mappingSetSeq(m, FILE, 2, 102);
    };
    expect(broken(lost)).toMatch(/write 102 is gone/);
    const unwritten = (m: Mm): void => {
      const pfn = shmemGetFolio(m, FILE, 500, true);
      folioUnlock(m, pfn);
      folioPut(m, pfn);
      pageWords(m, pfn)[77] = 1;
      expect(shmemRead(m, FILE, 500)).toBe(EIO);
      expect(badPage.note).toMatch(/never written to, and word 77/);
      pageWords(m, pfn)[77] = 0;
      pageWords(m, mappingPeek(m, FILE, 2))[900] = 0;
    };
    broken(unwritten);
  });
});
