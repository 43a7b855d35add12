// SPDX-License-Identifier: GPL-2.0-only
/** Large folios in the cache of a host's file: what reclaim knows of them, and does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { dropCaches } from '../../../dist/src/mm/drop_caches.js';
import { fileTruncate, fileWrite } from '../../../dist/src/mm/filemap_io.js';
import {
  folioClear,
  folioLock,
  folioOrder,
  folioPages,
  folioSet,
  folioTest,
  folioUnlock,
} from '../../../dist/src/mm/folio.js';
import { MADV_PAGEOUT, madvise } from '../../../dist/src/mm/madvise.js';
import { mappingPeek } from '../../../dist/src/mm/mapping.js';
import { FAULT_FLAG_WRITE, handleMmFault } from '../../../dist/src/mm/memory.js';
import { isolateForMigration, putbackMigration } from '../../../dist/src/mm/migrate.js';
import {
  PG_ACTIVE,
  PG_RECLAIM,
  PG_REFERENCED,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../../../dist/src/mm/mm_types.js';
import { mmapFile } from '../../../dist/src/mm/mmap_file.js';
import { mthpStat } from '../../../dist/src/mm/mthp_stat.js';
import { folioMapcount, folioReferenced } from '../../../dist/src/mm/rmap.js';
import { scanControl } from '../../../dist/src/mm/scan_control.js';
import { MTHP } from '../../../dist/src/mm/thp_types.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { FILE_DIRTY, FILE_READY, unmapFilePage } from '../../../dist/src/mm/vmscan_file.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import {
  cachedFolios,
  fileBytes,
  finish,
  foliosOf,
  PAGE,
  readPages,
  sound,
} from '../../helpers/file_folio_fixture.js';

const AT = 65536;
const PAGES = 256;
const SHARED = VM_READ | VM_WRITE | VM_SHARED;
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
  writeFileSync(join(dir, 'f'), fileBytes(PAGES));
});

afterEach(() => {
  leaveFaults();
  rmSync(dir, { recursive: true });
});

const cached = () => cachedFolios(dir, PAGES);

describe('what reclaim knows of a folio', () => {
  it('says that it was used once when it was read from end to end', () => {
    const { m, file, pfn } = cached();
    expect(vmEvents(m).pgactivate).toBe(0);
    expect(folioTest(m, pfn, PG_REFERENCED)).toBe(true);
    readPages(m, file, 0, PAGES);
    expect(folioTest(m, pfn, PG_ACTIVE)).toBe(true);
    finish(m, file);
  });

  it('counts who maps it, not the entries', () => {
    const { m, file, index, pfn } = cached();
    for (const at of [AT, AT + PAGES]) {
      mmapFile(m, 1, at, at + PAGES, file, 0, SHARED);
      handleMmFault(m, 1, at + index, 0);
    }
    expect(folioMapcount(m, pfn)).toBe(32);
    folioLock(m, pfn);
    expect(folioReferenced(m, pfn, 0, true)).toBe(2);
    expect(folioReferenced(m, pfn, 0, true)).toBe(0);
    folioUnlock(m, pfn);
    finish(m, file);
  });

  it('counts a refault of each of its pages', () => {
    const { m, file } = cached();
    tryToFreeMemcgPages(m, 1, 512, () => false);
    const shadows = m.mapping.nrSwapped[file] as number;
    expect(shadows).toBeGreaterThan(64);
    readPages(m, file, 0, PAGES);
    expect(foliosOf(m, file, PAGES).some(([, order]) => order > 0)).toBe(true);
    expect(m.mapping.nrSwapped[file]).toBe(0);
    expect(vmEvents(m).workingset_refault_file).toBe(shadows);
    finish(m, file);
  });
});

describe('reclaim', () => {
  it('writes a dirty folio where kswapd would, in the name of kswapd only', () => {
    const { m, file, index, pfn } = cached();
    fileWrite(m, file, new Uint8Array(16).fill(7), index * PAGE);
    folioSet(m, pfn, PG_RECLAIM);
    Atomics.store(m.node.dirtyTail, 0, 1);
    folioLock(m, pfn);
    const sc = scanControl('kshrinkd', 0, 60);
    expect(unmapFilePage(m, pfn, sc, false)).toBe(FILE_DIRTY);
    // As kshrinkd is marked, as posted.
    m.task.kswapd = true;
    expect(unmapFilePage(m, pfn, sc, false)).toBe(FILE_READY);
    m.task.kswapd = false;
    expect(unmapFilePage(m, pfn, scanControl('kswapd', 0, 60), false)).toBe(FILE_READY);
    folioClear(m, pfn, PG_RECLAIM);
    folioUnlock(m, pfn);
    finish(m, file);
  });

  it('drops whole folios, and leaves a shadow for each page', () => {
    const { m, file, index, pfn } = cached();
    const pages = folioPages(m, pfn);
    tryToFreeMemcgPages(m, 1, 512, () => false);
    for (let i = 0; i < pages; i++) expect(mappingPeek(m, file, index + i)).toBeLessThan(0);
    expect(m.mapping.nrSwapped[file]).toBeGreaterThanOrEqual(pages);
    sound(m);
    readPages(m, file, 0, PAGES);
    expect(vmEvents(m).workingset_refault_file).toBeGreaterThan(0);
    finish(m, file);
  });

  it('leaves one that is dirty, mapped or not, and counts its pages', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    handleMmFault(m, 1, AT + index + 3, FAULT_FLAG_WRITE);
    tryToFreeMemcgPages(m, 1, 512, () => false);
    expect(mappingPeek(m, file, index)).toBe(pfn);
    sound(m);
    finish(m, file);
  });

  it('drops clean folios on request', () => {
    const { m, file, index } = cached();
    fileWrite(m, file, Uint8Array.of(1), index * PAGE);
    expect(dropCaches(m, 1)).toBe(0);
    expect(vmGauges(m).nr_file_pages).toBe(16);
    finish(m, file);
  });

  it('pages a part of one out: it is split first', () => {
    const { m, file, index, pfn } = cached();
    mmapFile(m, 1, AT, AT + PAGES, file, 0, SHARED);
    handleMmFault(m, 1, AT + index, 0);
    expect(madvise(m, 1, AT + index + 2, AT + index + 4, MADV_PAGEOUT)).toBe(0);
    expect(folioOrder(m, pfn)).toBe(0);
    expect(mthpStat(m, 4, MTHP.split)).toBe(1);
    finish(m, file);
  });

  it('leaves a part of one that others map, too', () => {
    const { m, file, index, pfn } = cached();
    for (const at of [AT, AT + PAGES]) {
      mmapFile(m, 1, at, at + PAGES, file, 0, SHARED);
      handleMmFault(m, 1, at + index, 0);
    }
    expect(madvise(m, 1, AT + index + 2, AT + index + 4, MADV_PAGEOUT)).toBe(0);
    expect([folioOrder(m, pfn), folioMapcount(m, pfn)]).toEqual([4, 32]);
    finish(m, file);
  });

  it('keeps an isolated folio as it was', () => {
    const { m, file, pfn } = cached();
    expect(isolateForMigration(m, pfn)).toBe(true);
    expect(fileTruncate(m, file, PAGE)).toBe(0);
    putbackMigration(m, pfn);
    finish(m, file);
  });
});
