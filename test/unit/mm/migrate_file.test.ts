// SPDX-License-Identifier: GPL-2.0-only
/** Migration of pages of the host's files: clean, dirty, mapped, and while somebody holds them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { pageWords } from '../../../dist/src/mm/content.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { EBUSY } from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { newFileRa } from '../../../dist/src/mm/file_ra.js';
import { fileFsync, fileRead, fileWrite } from '../../../dist/src/mm/filemap_io.js';
import {
  folioLock,
  folioNid,
  folioSet,
  folioTest,
  folioTryGet,
  folioUnlock,
} from '../../../dist/src/mm/folio.js';
import { dupMm } from '../../../dist/src/mm/fork.js';
import { hostMount, hostOpenFile } from '../../../dist/src/mm/hostfs.js';
import { mappingPeek } from '../../../dist/src/mm/mapping.js';
import { fileMarks } from '../../../dist/src/mm/mapping_file.js';
import { memcgLeave, memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import { FAULT_FLAG_WRITE, handleMmFault } from '../../../dist/src/mm/memory.js';
import { offlineNode, offlineNote } from '../../../dist/src/mm/memory_hotplug.js';
import { isolateForMigration, putbackMigration } from '../../../dist/src/mm/migrate.js';
import { fileRemoveMigrationEntries, fileTryToMigrate } from '../../../dist/src/mm/migrate_file.js';
import { mlock } from '../../../dist/src/mm/mlock.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { allocMm } from '../../../dist/src/mm/mm_rows.js';
import {
  PG_DIRTY,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_WRITEBACK,
  PTE_DIRTY,
  PTE_FILE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_WRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../../../dist/src/mm/mm_types.js';
import { mmapFile } from '../../../dist/src/mm/mmap_file.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { closeFile } from '../../../dist/src/mm/namei.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { folioMapcount } from '../../../dist/src/mm/rmap.js';
import { umountAll } from '../../../dist/src/mm/super.js';
import { folioPut } from '../../../dist/src/mm/swap.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import { expectEmpty, expectSound } from '../../helpers/fork_fixture.js';
import { bootNodes, migrate } from '../../helpers/migrate_fixture.js';
import type { FixtureOptions } from '../../helpers/mm_fixture.js';

const PAGE = 4096;
const AT = 65536;
const SHARED = VM_READ | VM_WRITE | VM_SHARED;
const PRIVATE = VM_READ | VM_WRITE;
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
  const pages = Uint8Array.from({ length: 64 * PAGE }, (_, i) => Math.floor(i / PAGE) + 1);
  writeFileSync(join(dir, 'f'), pages);
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function boot(options: FixtureOptions = {}): { m: Mm; file: number } {
  const m = bootNodes({ hostFiles: true, dirtyRatio: 100, filePagesMax: 8192, ...options });
  memcgRefresh(m, 1);
  return { m, file: hostOpenFile(m, hostMount(m, dir, 'a'), 'f', false) };
}

function entry(m: Mm, vpn: number, mm = 1): number {
  return m.pte[pteOffset(m, mm, vpn)] as number;
}

function read(m: Mm, file: number, index: number): number {
  const bytes = new Uint8Array(1);
  expect(fileRead(m, file, bytes, index * PAGE, newFileRa())).toBe(1);
  return bytes[0] as number;
}

/** Everything is sound, leaves, and nothing is left; the host has what was written. */
function finish(m: Mm, file: number, others: readonly number[] = []): Buffer {
  expectSound(m);
  closeFile(m, file);
  for (const mm of [...others, 1]) expect(exitMm(m, mm)).toBe(true);
  expect(umountAll(m)).toBe(0);
  memcgLeave(m);
  rcuBarrier();
  expectEmpty(m);
  return readFileSync(join(dir, 'f'));
}

describe('a page of a file that migrates', () => {
  it('stays where the file has it, clean, with its bytes', () => {
    const { m, file } = boot();
    expect(read(m, file, 5)).toBe(6);
    const pfn = mappingPeek(m, file, 5);
    folioSet(m, pfn, PG_REFERENCED);
    const before = vmGauges(m).nr_file_pages;
    expect(migrate(m, pfn)).toBe(0);
    const moved = mappingPeek(m, file, 5);
    expect([folioNid(m, moved), m.page.mapping[moved], m.page.index[moved]]).toEqual([1, -file, 5]);
    expect(folioTest(m, moved, PG_REFERENCED)).toBe(true);
    expect(Atomics.load(m.page.refcount, pfn)).toBe(0);
    expect(Atomics.load(m.node.filePages, 1)).toBe(1);
    expect(vmGauges(m).nr_file_pages).toBe(before);
    const reads = vmEvents(m).pgpgin;
    expect(read(m, file, 5)).toBe(6);
    expect(vmEvents(m).pgpgin).toBe(reads);
    finish(m, file);
  });

  it('stays dirty, with its marks, and is written from its new frame', () => {
    const { m, file } = boot();
    expect(fileWrite(m, file, Uint8Array.of(99), 7 * PAGE)).toBe(1);
    const pfn = mappingPeek(m, file, 7);
    expect(migrate(m, pfn)).toBe(0);
    const moved = mappingPeek(m, file, 7);
    expect(folioTest(m, moved, PG_DIRTY)).toBe(true);
    expect(fileMarks(m, file, 7)).toEqual({ dirty: true, writeback: false });
    expect([0, 1].map((nid) => Atomics.load(m.node.dirty, nid))).toEqual([0, 1]);
    expectSound(m);
    expect(fileFsync(m, file, 0)).toBe(0);
    expect(vmGauges(m).nr_dirty).toBe(0);
    expect(finish(m, file)[7 * PAGE]).toBe(99);
  });

  it('is mapped where it was: shared and private, in two processes, with its bits', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    mmapFile(m, 1, AT + 100, AT + 164, file, 0, PRIVATE);
    const child = allocMm(m);
    expect(dupMm(m, 1, child)).toBe(0);
    handleMmFault(m, 1, AT + 9, FAULT_FLAG_WRITE);
    handleMmFault(m, 1, AT + 109, 0);
    handleMmFault(m, child, AT + 9, 0);
    handleMmFault(m, child, AT + 109, FAULT_FLAG_WRITE);
    const pfn = mappingPeek(m, file, 9);
    expect(folioMapcount(m, pfn)).toBe(3);
    pageWords(m, pfn)[4] = 1234;
    const bits = entry(m, AT + 9) & 0xff;
    expect(bits & (PTE_WRITE | PTE_DIRTY)).toBe(PTE_WRITE | PTE_DIRTY);
    const rss = Atomics.load(m.mm.rssFile, 1);
    expect(migrate(m, pfn)).toBe(0);
    const moved = mappingPeek(m, file, 9);
    expect(folioNid(m, moved)).toBe(1);
    expect(folioMapcount(m, moved)).toBe(3);
    expect(entry(m, AT + 9)).toBe((moved << PTE_SHIFT) | bits);
    expect(entry(m, AT + 109) >>> PTE_SHIFT).toBe(moved);
    expect(entry(m, AT + 9, child) >>> PTE_SHIFT).toBe(moved);
    expect(pageWords(m, moved)[4]).toBe(1234);
    expect(Atomics.load(m.mm.rssFile, 1)).toBe(rss);
    // A copy of a private mapping is another page, and has not moved.
    expect(folioNid(m, entry(m, AT + 109, child) >>> PTE_SHIFT)).toBe(0);
    const end = finish(m, file, [child]);
    expect(end.readInt32LE(9 * PAGE + 16)).toBe(1234);
  });

  it('stays locked in memory', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 8, file, 0, SHARED);
    handleMmFault(m, 1, AT + 3, 0);
    expect(mlock(m, 1, AT, AT + 8)).toBe(0);
    expect(migrate(m, mappingPeek(m, file, 3))).toBe(0);
    expect(folioTest(m, mappingPeek(m, file, 3), PG_MLOCKED)).toBe(true);
    finish(m, file);
  });

  it('stays while somebody holds it, or it is being written, and nothing has happened', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    handleMmFault(m, 1, AT + 3, FAULT_FLAG_WRITE);
    const pfn = mappingPeek(m, file, 3);
    const before = entry(m, AT + 3);
    drainEverything(m);
    expect(folioTryGet(m, pfn)).toBe(true);
    expect(migrate(m, pfn)).toBe(1);
    folioPut(m, pfn);
    expect([entry(m, AT + 3), mappingPeek(m, file, 3)]).toEqual([before, pfn]);
    expect([0, 1].map((nid) => Atomics.load(m.node.dirty, nid))).toEqual([1, 0]);
    expectSound(m);
    folioSet(m, pfn, PG_WRITEBACK);
    // Who waits would wait here for ever: this thread writes it.
    expect(migrate(m, pfn, false)).toBe(1);
    Atomics.and(m.page.flags, pfn, ~PG_WRITEBACK);
    expect(migrate(m, pfn)).toBe(0);
    finish(m, file);
  });
});

/** As if another thread migrated it; its entries wait. @returns what ends that */
function onItsWay(m: Mm, pfn: number): () => void {
  drainEverything(m);
  expect(isolateForMigration(m, pfn)).toBe(true);
  folioLock(m, pfn);
  expect(fileTryToMigrate(m, pfn)).toBe(true);
  return () => {
    fileRemoveMigrationEntries(m, pfn, pfn);
    folioUnlock(m, pfn);
    putbackMigration(m, pfn);
  };
}

describe('on its way', () => {
  it('an entry waits, and keeps its place in rss; the page knows that it is dirty', () => {
    const { m, file } = boot({ lockdep: false });
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    handleMmFault(m, 1, AT + 3, FAULT_FLAG_WRITE);
    const pfn = mappingPeek(m, file, 3);
    expect(fileFsync(m, file, 0)).toBe(0);
    // What a CPU marks by itself.
    Atomics.or(m.pte, pteOffset(m, 1, AT + 3), PTE_WRITE | PTE_DIRTY);
    const rss = Atomics.load(m.mm.rssFile, 1);
    const end = onItsWay(m, pfn);
    const waiting = PTE_MIGRATION | PTE_FILE;
    expect(entry(m, AT + 3) & (PTE_PRESENT | waiting)).toBe(waiting);
    expect([folioMapcount(m, pfn), Atomics.load(m.page.refcount, pfn)]).toEqual([0, 2]);
    expect(folioTest(m, pfn, PG_DIRTY)).toBe(true);
    expect(Atomics.load(m.mm.rssFile, 1)).toBe(rss);
    end();
    expect(entry(m, AT + 3) & (PTE_PRESENT | PTE_WRITE | PTE_DIRTY)).toBe(
      PTE_PRESENT | PTE_WRITE | PTE_DIRTY,
    );
    finish(m, file);
  });

  it('munmap, fork and exit take the entry for what it is', () => {
    const { m, file } = boot({ lockdep: false });
    mmapFile(m, 1, AT, AT + 32, file, 0, PRIVATE);
    handleMmFault(m, 1, AT + 1, FAULT_FLAG_WRITE);
    handleMmFault(m, 1, AT + 3, 0);
    handleMmFault(m, 1, AT + 4, 0);
    const end = onItsWay(m, mappingPeek(m, file, 3));
    const child = allocMm(m);
    expect(dupMm(m, 1, child)).toBe(0);
    expect(entry(m, AT + 3, child)).toBe(0);
    expect(munmap(m, 1, AT + 3, AT + 4)).toBe(0);
    end();
    expectSound(m);
    const again = onItsWay(m, mappingPeek(m, file, 4));
    expect(exitMm(m, child)).toBe(true);
    again();
    finish(m, file);
  });
});

describe('a node with page cache', () => {
  it('goes offline: clean, dirty and mapped pages go to the other', () => {
    // Kernel objects of the mount are on node 0; this CPU's pages are there, too.
    const { m, file } = boot({ movableNode: true });
    expect(read(m, file, 63)).toBe(64);
    expect(fileWrite(m, file, Uint8Array.of(99), 7 * PAGE)).toBe(1);
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    handleMmFault(m, 1, AT + 9, FAULT_FLAG_WRITE);
    drainEverything(m);
    expect(offlineNode(m, 0)).toBe(EBUSY);
    expect(offlineNote.text).toMatch(/kernel objects/);
    // Those that could be moved have been, to node 1; now the other way.
    expectSound(m);
    expect(offlineNode(m, 1)).toBe(0);
    expectSound(m);
    expect(read(m, file, 63)).toBe(64);
    expect(read(m, file, 7)).toBe(99);
    expect(finish(m, file)[7 * PAGE]).toBe(99);
  });
});
