// SPDX-License-Identifier: GPL-2.0-only
/** Large folios in the cache of a host's file: readahead, faults, writing, cutting. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { Xarray } from '../../../dist/shared/xarray.js';
import { pageBytes } from '../../../dist/src/mm/content.js';
import { EBUSY } from '../../../dist/src/mm/errno.js';
import { FAULT_SIGBUS } from '../../../dist/src/mm/fault_codes.js';
import { fileHasPage } from '../../../dist/src/mm/file_pages.js';
import { newFileRa, raOrder } from '../../../dist/src/mm/file_ra.js';
import {
  fileFsync,
  fileFsyncRange,
  fileRead,
  fileTruncate,
  fileWrite,
} from '../../../dist/src/mm/filemap_io.js';
import {
  folioLock,
  folioOrder,
  folioTest,
  folioTryGet,
  folioUnlock,
  pageFolio,
} from '../../../dist/src/mm/folio.js';
import { MADV_HUGEPAGE, MADV_PAGEOUT, MADV_RANDOM, madvise } from '../../../dist/src/mm/madvise.js';
import { mappingGet, mappingPeek } from '../../../dist/src/mm/mapping.js';
import { fileMarks } from '../../../dist/src/mm/mapping_file.js';
import { FAULT_DONE, FAULT_FLAG_WRITE, handleMmFault } from '../../../dist/src/mm/memory.js';
import { mlock, munlock } from '../../../dist/src/mm/mlock.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  PG_DIRTY,
  PG_MLOCKED,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_WRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../../../dist/src/mm/mm_types.js';
import { mmapFile } from '../../../dist/src/mm/mmap_file.js';
import { mthpStat } from '../../../dist/src/mm/mthp_stat.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { readMachineFile } from '../../../dist/src/mm/proc_access.js';
import { showFilePage } from '../../../dist/src/mm/readahead.js';
import { folioOrderAt, newFileFolio } from '../../../dist/src/mm/readahead_order.js';
import { folioMapcount } from '../../../dist/src/mm/rmap.js';
import { splitFolio } from '../../../dist/src/mm/split.js';
import { folioPut } from '../../../dist/src/mm/swap.js';
import { MTHP } from '../../../dist/src/mm/thp_types.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import {
  bootFolios,
  byteAt,
  cachedFolios,
  fileBytes,
  finish,
  foliosOf,
  PAGE,
  readPages,
  sound,
} from '../../helpers/file_folio_fixture.js';
import { range } from '../../helpers/fork_fixture.js';
import { arm } from '../../helpers/swap_fixture.js';

const AT = 65536;
const PAGES = 256;
const SHARED = VM_READ | VM_WRITE | VM_SHARED;
const PRIVATE = VM_READ | VM_WRITE;
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
  writeFileSync(join(dir, 'f'), fileBytes(PAGES));
});

afterEach(() => {
  leaveFaults();
  rmSync(dir, { recursive: true });
});

function entry(m: Mm, vpn: number): number {
  return m.pte[pteOffset(m, 1, vpn)] as number;
}

function mapped(m: Mm, vpn: number): number {
  return (entry(m, vpn) & PTE_PRESENT) === 0 ? 0 : entry(m, vpn) >>> PTE_SHIFT;
}

function host(): Buffer {
  return readFileSync(join(dir, 'f'));
}

const cached = () => cachedFolios(dir, PAGES);

describe('readahead', () => {
  it('begins with single pages, and its order grows by two with each window', () => {
    const { m, file } = bootFolios(dir);
    readPages(m, file, 0, PAGES);
    const orders = foliosOf(m, file, PAGES).map(([, order]) => order);
    expect(orders.slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(Math.max(...orders)).toBe(5);
    expect(orders.indexOf(4)).toBeLessThan(orders.indexOf(5));
    expect(orders.indexOf(2)).toBeLessThan(orders.indexOf(4));
    for (const [at, order] of foliosOf(m, file, PAGES)) expect(at % 2 ** order).toBe(0);
    expect(vmGauges(m).nr_file_pages).toBe(PAGES);
    const large = orders.filter((order) => order === 4).length;
    expect(mthpStat(m, 4, MTHP.nr_file)).toBe(large);
    expect(mthpStat(m, 4, MTHP.file_alloc)).toBe(large);
    finish(m, file);
  });

  it('has single pages alone where nothing else is asked for', () => {
    const { m, file } = bootFolios(dir, { fileLargeFolios: 0 });
    readPages(m, file, 0, PAGES);
    expect(foliosOf(m, file, PAGES).every(([, order]) => order === 0)).toBe(true);
    finish(m, file);
  });

  it('makes folios as large as a leaf table, where windows are large', () => {
    writeFileSync(join(dir, 'f'), fileBytes(2048));
    const { m, file } = bootFolios(dir, { readAheadKb: 4096, pages: 8192 });
    readPages(m, file, 0, 2048);
    expect(foliosOf(m, file, 2048).some(([, order]) => order >= 8)).toBe(true);
    expect(fileTruncate(m, file, 1000 * PAGE + 1)).toBe(0);
    finish(m, file);
  });

  it('makes none larger than the option, the window, or what is missing', () => {
    const { m, file } = bootFolios(dir, { fileLargeFolios: 3 });
    expect([raOrder(m, 0, 32), raOrder(m, 2, 32), raOrder(m, 0, 2)]).toEqual([2, 3, 1]);
    const missing = Array.from({ length: 24 }, (_, i) => i + 8);
    expect(folioOrderAt(missing, 0, 9, 32)).toBe(3);
    expect(folioOrderAt(missing, 8, 9, 32)).toBe(4);
    expect(folioOrderAt(missing, 8, 9, 31)).toBe(3);
    expect(folioOrderAt([8, 9, 11, 12], 0, 9, 32)).toBe(1);
    readPages(m, file, 0, PAGES);
    expect(Math.max(...foliosOf(m, file, PAGES).map(([, order]) => order))).toBe(3);
    finish(m, file);
  });

  it('counts folios of two pages where anonymous memory has none', () => {
    const { m, file } = bootFolios(dir, { fileLargeFolios: 1 });
    readPages(m, file, 0, PAGES);
    const pairs = foliosOf(m, file, PAGES).filter(([, order]) => order === 1).length;
    expect(pairs).toBeGreaterThan(0);
    const stats = '/sys/kernel/mm/transparent_hugepage/hugepages-8kB/stats';
    expect(readMachineFile(m, `${stats}/nr_file`)).toBe(`${pairs}\n`);
    finish(m, file);
  });

  it('ends with the file', () => {
    writeFileSync(join(dir, 'f'), fileBytes(101));
    const { m, file } = bootFolios(dir);
    readPages(m, file, 0, 101);
    expect(mappingPeek(m, file, 101)).toBe(0);
    expect(foliosOf(m, file, PAGES).at(-1)).toEqual([100, 0]);
    finish(m, file);
  });

  it('takes smaller ones where no block is free, and counts that', () => {
    const { m, file } = bootFolios(dir);
    arm(m, 'fail_large_alloc');
    readPages(m, file, 0, PAGES);
    expect(foliosOf(m, file, PAGES).every(([, order]) => order === 0)).toBe(true);
    expect(mthpStat(m, 2, MTHP.file_fallback)).toBeGreaterThan(0);
    finish(m, file);
  });

  it('leaves nothing of a folio whose read fails', () => {
    const { m, file } = bootFolios(dir);
    readPages(m, file, 0, 8);
    arm(m, 'fail_read', { times: 1 });
    readPages(m, file, 0, PAGES);
    finish(m, file);
  });

  it('leaves shadows where they were when there is no node for the last page', () => {
    const { m, file, index } = cached();
    tryToFreeMemcgPages(m, 1, 512, () => false);
    const shadow = mappingPeek(m, file, index);
    expect(shadow).toBeLessThan(0);
    const { store } = Xarray.prototype;
    const spy = vi.spyOn(Xarray.prototype, 'store').mockImplementation(function (
      this: Xarray,
      at: number,
      value: number,
    ) {
      if (at === index + 15 && value > 0) return false;
      return store.call(this, at, value);
    });
    const pfn = newFileFolio(m, range(index, index + 16), 0, 4, index + 16);
    expect(showFilePage(m, pfn, file, index)).toBe(EBUSY);
    spy.mockRestore();
    for (let at = index; at < index + 16; at++) expect(mappingPeek(m, file, at)).toBe(shadow);
    finish(m, file);
  });

  it('leaves nothing of a folio for which the tables have no room', () => {
    const { m, file } = bootFolios(dir, { filePagesMax: 70 });
    readPages(m, file, 0, PAGES);
    expect(m.mapping.nrPages[file]).toBeLessThanOrEqual(70);
    finish(m, file);
  });
});

/** What lookups take references with. */
interface Words {
  compareExchange(words: Int32Array, at: number, expected: number, value: number): number;
}

describe('a lookup', () => {
  it('gets the page itself when its folio is split meanwhile', () => {
    const { m, file, index, pfn } = cached();
    expect(folioTryGet(m, pfn)).toBe(true);
    folioLock(m, pfn);
    const words: Words = Atomics;
    const exchange = words.compareExchange;
    const spy = vi.spyOn(words, 'compareExchange').mockImplementationOnce((...args) => {
      spy.mockRestore();
      // The reference that the lookup is about to take on the head.
      expect([args[0] === m.page.refcount, args[1]]).toEqual([true, pfn]);
      expect(splitFolio(m, pfn, false)).toBe(true);
      return exchange(...args);
    });
    expect(mappingGet(m, file, index + 3)).toBe(pfn + 3);
    folioUnlock(m, pfn);
    folioPut(m, pfn);
    const refs = [pfn, pfn + 3].map((page) => Atomics.load(m.page.refcount, page));
    expect(refs).toEqual([1, 2]);
    folioPut(m, pfn + 3);
    finish(m, file);
  });
});

describe('a mapped folio', () => {
  it('is of the largest order where that was asked for', () => {
    const { m, file } = bootFolios(dir, { fileLargeFolios: 5 });
    mmapFile(m, 1, AT, AT + PAGES, file, 0, VM_READ);
    expect(madvise(m, 1, AT, AT + PAGES, MADV_HUGEPAGE)).toBe(0);
    handleMmFault(m, 1, AT + 70, 0);
    expect(foliosOf(m, file, PAGES)).toEqual([
      [64, 5],
      [96, 5],
    ]);
    expect(pageFolio(m, mapped(m, AT + 70))).toBe(mappingPeek(m, file, 64));
    finish(m, file);
  });

  it('is read alone where accesses are random', () => {
    const { m, file } = bootFolios(dir, { fileLargeFolios: 5 });
    mmapFile(m, 1, AT, AT + PAGES, file, 0, VM_READ);
    for (const advice of [MADV_HUGEPAGE, MADV_RANDOM]) madvise(m, 1, AT, AT + PAGES, advice);
    for (let i = 64; i < 96; i++) handleMmFault(m, 1, AT + i, 0);
    expect(foliosOf(m, file, PAGES)).toEqual([[64, 5]]);
    finish(m, file);
  });

  it('is mapped page by page, around a fault', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    expect(handleMmFault(m, 1, AT + index + 3, 0)).toBe(FAULT_DONE);
    for (let i = 0; i < 16; i++) expect(mapped(m, AT + index + i)).toBe(pfn + i);
    expect(folioMapcount(m, pfn)).toBe(16);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(32);
    sound(m);
    munmap(m, 1, AT + index, AT + index + 5);
    expect(folioMapcount(m, pfn)).toBe(11);
    expect(vmGauges(m).nr_mapped).toBe(11);
    // The file has the rest: nothing is gained by a split.
    expect(mthpStat(m, 4, MTHP.nr_anon_partially_mapped)).toBe(0);
    finish(m, file);
  });

  it('gives a private store a copy of one page', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, PRIVATE);
    handleMmFault(m, 1, AT + index, 0);
    expect(handleMmFault(m, 1, AT + index + 3, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    const copy = mapped(m, AT + index + 3);
    expect(pageFolio(m, copy)).toBe(copy);
    expect(folioOrder(m, copy)).toBe(0);
    expect(pageBytes(m, copy)[7]).toBe(byteAt((index + 3) * PAGE + 7));
    expect(folioMapcount(m, pfn)).toBe(15);
    // Where nothing is mapped yet, too.
    munmap(m, 1, AT, AT + PAGES);
    mmapFile(m, 1, AT, AT + PAGES, file, 0, PRIVATE);
    expect(handleMmFault(m, 1, AT + index + 9, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    expect(pageBytes(m, mapped(m, AT + index + 9))[1]).toBe(byteAt((index + 9) * PAGE + 1));
    expect(folioOrder(m, pfn)).toBe(4);
    finish(m, file);
  });

  it('is locked in memory for the sake of one page', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, VM_READ);
    expect(mlock(m, 1, AT + index + 2, AT + index + 3)).toBe(0);
    handleMmFault(m, 1, AT + index + 2, 0);
    expect(munlock(m, 1, AT + index + 2, AT + index + 3)).toBe(0);
    expect(folioTest(m, pfn, PG_MLOCKED)).toBe(false);
    finish(m, file);
  });
});

describe('writing', () => {
  it('makes the whole folio dirty, and writes it as one', () => {
    const { m, file, index, pfn } = cached();
    expect(fileWrite(m, file, Uint8Array.of(99), (index + 5) * PAGE + 1)).toBe(1);
    expect(folioTest(m, pfn, PG_DIRTY)).toBe(true);
    for (let i = 0; i < 16; i++) expect(fileMarks(m, file, index + i).dirty).toBe(true);
    expect(vmGauges(m).nr_dirty).toBe(16);
    sound(m);
    // Of a range that begins in the folio.
    expect(fileFsyncRange(m, file, index + 9, index + 9, 0)).toBe(0);
    expect(vmGauges(m).nr_dirty).toBe(0);
    expect(vmEvents(m).nr_written).toBe(16);
    const expected = Buffer.from(fileBytes(PAGES));
    expected[(index + 5) * PAGE + 1] = 99;
    expect(host().equals(expected)).toBe(true);
    finish(m, file);
  });

  it('write-protects every page that is mapped', () => {
    const { m, file, index } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    for (const i of [2, 11]) {
      expect(handleMmFault(m, 1, AT + index + i, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
      pageBytes(m, mapped(m, AT + index + i))[0] = 200 + i;
    }
    expect(fileFsync(m, file, 0)).toBe(0);
    for (const i of [2, 11]) {
      expect(entry(m, AT + index + i) & PTE_WRITE).toBe(0);
      expect(host()[(index + i) * PAGE]).toBe(200 + i);
    }
    // The next store is noticed.
    expect(handleMmFault(m, 1, AT + index + 11, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    pageBytes(m, mapped(m, AT + index + 11))[0] = 77;
    expect(fileFsync(m, file, 0)).toBe(0);
    expect(host()[(index + 11) * PAGE]).toBe(77);
    finish(m, file);
  });

  it('keeps what could not be written', () => {
    const { m, file, index, pfn } = cached();
    fileWrite(m, file, Uint8Array.of(5), index * PAGE);
    arm(m, 'fail_write', { times: 1 });
    expect(fileFsync(m, file, 0)).toBeLessThan(0);
    expect(folioTest(m, pfn, PG_DIRTY)).toBe(true);
    sound(m);
    leaveFaults();
    expect(fileFsync(m, file, 1)).toBe(0);
    expect(host()[index * PAGE]).toBe(5);
    finish(m, file);
  });
});

describe('cutting a file', () => {
  it('splits the folio of its end, and keeps what is dirty in front of it', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    handleMmFault(m, 1, AT + index, 0);
    fileWrite(m, file, Uint8Array.of(99), (index + 1) * PAGE);
    expect(fileTruncate(m, file, (index + 6) * PAGE + 10)).toBe(0);
    expect([folioOrder(m, pfn), mappingPeek(m, file, index + 6)]).toEqual([0, pfn + 6]);
    expect(mappingPeek(m, file, index + 7)).toBe(0);
    expect(mapped(m, AT + index + 9)).toBe(0);
    expect(handleMmFault(m, 1, AT + index + 7, 0)).toBe(FAULT_SIGBUS);
    expect(fileMarks(m, file, index + 5).dirty).toBe(true);
    expect(vmGauges(m).nr_dirty).toBe(7);
    sound(m);
    expect(fileFsync(m, file, 0)).toBe(0);
    const expected = Buffer.from(fileBytes(PAGES)).subarray(0, (index + 6) * PAGE + 10);
    expected[(index + 1) * PAGE] = 99;
    expect(host().equals(expected)).toBe(true);
    finish(m, file);
  });

  it('zeroes the tail of one that somebody holds', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    handleMmFault(m, 1, AT + index, 0);
    expect(folioTryGet(m, pfn)).toBe(true);
    expect(fileTruncate(m, file, (index + 6) * PAGE + 10)).toBe(0);
    expect(folioOrder(m, pfn)).toBe(4);
    expect(
      pageBytes(m, pfn + 6)
        .subarray(10)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(pageBytes(m, pfn + 12).every((byte) => byte === 0)).toBe(true);
    expect(mapped(m, AT + index + 9)).toBe(0);
    expect(fileHasPage(m, pfn + 5, file, index + 5)).toBe(true);
    expect(fileHasPage(m, pfn + 9, file, index + 9)).toBe(false);
    // Not mapped again, neither by its own fault nor around another.
    expect(handleMmFault(m, 1, AT + index + 9, 0)).toBe(FAULT_SIGBUS);
    expect(handleMmFault(m, 1, AT + index + 2, 0)).toBe(FAULT_DONE);
    expect([mapped(m, AT + index + 6), mapped(m, AT + index + 7)]).toEqual([pfn + 6, 0]);
    folioPut(m, pfn);
    sound(m);
    // It grows again: zeroes.
    expect(fileTruncate(m, file, PAGES * PAGE)).toBe(0);
    expect(handleMmFault(m, 1, AT + index + 9, 0)).toBe(FAULT_DONE);
    expect(pageBytes(m, mapped(m, AT + index + 9))[0]).toBe(0);
    expect(fileFsync(m, file, 0)).toBe(0);
    expect(
      host()
        .subarray((index + 6) * PAGE + 10)
        .every((byte) => byte === 0),
    ).toBe(true);
    finish(m, file);
  });

  it.each([0, 10])('clears what was stored late behind an end at byte %i', (offset) => {
    const { m, file, index, pfn } = cached();
    expect(folioTryGet(m, pfn)).toBe(true);
    expect(fileTruncate(m, file, (index + 6) * PAGE + offset)).toBe(0);
    folioPut(m, pfn);
    expect(folioOrder(m, pfn)).toBe(4);
    // A CPU that had translated before: munmap took the entry, truncation met none to wait for.
    for (const page of [6, 9, 15]) pageBytes(m, pfn + page)[100] = 66;
    expect(fileWrite(m, file, Uint8Array.of(1), (index + 12) * PAGE)).toBe(1);
    expect(fileTruncate(m, file, (index + 16) * PAGE)).toBe(0);
    const bytes = new Uint8Array(PAGE);
    for (const page of [6, 9, 15]) {
      fileRead(m, file, bytes, (index + page) * PAGE, newFileRa());
      expect([page, bytes[100]]).toEqual([page, 0]);
    }
    finish(m, file);
  });

  it('takes folios behind its end as they are', () => {
    const { m, file } = cached();
    expect(fileTruncate(m, file, 0)).toBe(0);
    expect(vmGauges(m).nr_file_pages).toBe(0);
    expect(mthpStat(m, 4, MTHP.nr_file)).toBe(0);
    expect(mthpStat(m, 4, MTHP.split)).toBe(0);
    finish(m, file);
  });

  it('drops what is behind the end when a folio is split later', () => {
    const { m, file, index, pfn } = cached();
    fileWrite(m, file, Uint8Array.of(99), index * PAGE);
    expect(folioTryGet(m, pfn)).toBe(true);
    expect(fileTruncate(m, file, (index + 6) * PAGE)).toBe(0);
    folioPut(m, pfn);
    // Whole, dirty behind the end, too.
    expect([folioOrder(m, pfn), vmGauges(m).nr_dirty]).toEqual([4, 16]);
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    handleMmFault(m, 1, AT + index, 0);
    expect(madvise(m, 1, AT + index, AT + index + 1, MADV_PAGEOUT)).toBe(0);
    expect([folioOrder(m, pfn), vmGauges(m).nr_dirty]).toEqual([0, 6]);
    expect(mappingPeek(m, file, index + 6)).toBe(0);
    finish(m, file);
  });
});
