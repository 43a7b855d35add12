// SPDX-License-Identifier: GPL-2.0-only
/** Mapped files of the host on one thread: faults, fault-around, write protection, truncation. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { pageWords } from '../../../dist/src/mm/content.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { fileFsync, fileTruncate } from '../../../dist/src/mm/filemap_io.js';
import { folioLock, folioUnlock } from '../../../dist/src/mm/folio.js';
import { hostMount, hostOpenFile } from '../../../dist/src/mm/hostfs.js';
import { memcgLeave, memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import {
  FAULT_DONE,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_SIGBUS,
  FAULT_SIGSEGV,
  handleMmFault,
} from '../../../dist/src/mm/memory.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import {
  MMF_OOM_SKIP,
  MMF_OOM_VICTIM,
  MMF_UNSTABLE,
  PTE_DIRTY,
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
import { oomReapTask } from '../../../dist/src/mm/oom_reap.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { fileTryToUnmap } from '../../../dist/src/mm/rmap_file.js';
import { umountAll } from '../../../dist/src/mm/super.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import { bootFixture, type FixtureOptions } from '../../helpers/mm_fixture.js';
import { arm } from '../../helpers/swap_fixture.js';

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
  const m = bootFixture({ hostFiles: true, dirtyRatio: 100, filePagesMax: 8192, ...options });
  memcgRefresh(m, 1);
  return { m, file: hostOpenFile(m, hostMount(m, dir, 'a'), 'f', false) };
}

function entry(m: Mm, vpn: number): number {
  return m.pte[pteOffset(m, 1, vpn)] as number;
}

function word(m: Mm, vpn: number): Int32Array {
  return pageWords(m, entry(m, vpn) >>> PTE_SHIFT);
}

function sound(m: Mm): void {
  expect(checkQuiescent(m).violations).toEqual([]);
}

function nothingLeft(m: Mm, file: number): void {
  closeFile(m, file);
  exitMm(m, 1);
  expect(umountAll(m)).toBe(0);
  memcgLeave(m);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
}

describe('a mapped file of the host', () => {
  it('is read around a fault, and mapped around the next ones', () => {
    const { m, file } = boot();
    expect(mmapFile(m, 1, AT, AT + 64, file, 0, SHARED)).toBeGreaterThan(0);
    expect(handleMmFault(m, 1, AT + 20, 0)).toBe(FAULT_MAJOR);
    // Window of 32 pages around the fault; only the page itself is mapped by it.
    expect(vmGauges(m)).toMatchObject({ nr_file_pages: 32, nr_mapped: 1 });
    expect(handleMmFault(m, 1, AT + 21, 0)).toBe(FAULT_DONE);
    expect(vmGauges(m).nr_mapped).toBeGreaterThan(10);
    expect(vmEvents(m)).toMatchObject({ pgmajfault: 1, pgfault: 2 });
    expect(entry(m, AT + 20) & PTE_WRITE).toBe(0);
    expect((word(m, AT + 21)[0] as number) & 255).toBe(22);
    sound(m);
    nothingLeft(m, file);
  });

  it('reads page by page without readahead', () => {
    const { m, file } = boot({ readAheadKb: 0 });
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    for (const page of [3, 4, 9]) expect(handleMmFault(m, 1, AT + page, 0)).toBe(FAULT_MAJOR);
    expect(vmGauges(m)).toMatchObject({ nr_file_pages: 3, nr_mapped: 3 });
    nothingLeft(m, file);
  });

  it('is dirty from the first store, and write-protected by the writer', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    expect(handleMmFault(m, 1, AT + 1, 0)).toBe(FAULT_MAJOR);
    expect(handleMmFault(m, 1, AT + 1, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    expect(handleMmFault(m, 1, AT + 2, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    expect(vmGauges(m).nr_dirty).toBe(2);
    word(m, AT + 1)[5] = 77;
    word(m, AT + 2)[5] = 78;
    sound(m);
    expect(fileFsync(m, file, 0)).toBe(0);
    expect(vmGauges(m).nr_dirty).toBe(0);
    expect(entry(m, AT + 1) & (PTE_WRITE | PTE_DIRTY | PTE_PRESENT)).toBe(PTE_PRESENT);
    const host = new Int32Array(readFileSync(join(dir, 'f')).buffer.slice(0));
    expect([host[1024 + 5], host[2048 + 5]]).toEqual([77, 78]);
    expect(handleMmFault(m, 1, AT + 1, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    expect(vmGauges(m).nr_dirty).toBe(1);
    word(m, AT + 1)[5] = 79;
    expect(munmap(m, 1, AT, AT + 64)).toBe(0);
    expect(vmGauges(m)).toMatchObject({ nr_dirty: 1, nr_mapped: 0 });
    sound(m);
    nothingLeft(m, file);
    const end = readFileSync(join(dir, 'f'));
    expect(end.readInt32LE(PAGE + 20)).toBe(79);
  });

  it('does not show its own page where the OOM reaper took a private one', () => {
    const { m, file } = boot({ lockdep: false });
    mmapFile(m, 1, AT, AT + 64, file, 0, PRIVATE);
    expect(handleMmFault(m, 1, AT + 3, FAULT_FLAG_WRITE)).toBe(FAULT_MAJOR);
    const pte = pteOffset(m, 1, AT + 3);
    const { load } = Atomics;
    let looks = 0;
    for (const flags of [0, FAULT_FLAG_WRITE]) {
      vi.spyOn(Atomics, 'load').mockImplementation(((words: Int32Array, at: number) => {
        // The fault has looked at the flags, and is about to look at the entry.
        if (words === m.pte && at === pte && looks++ === 0) {
          Atomics.or(m.mm.flags, 1, MMF_OOM_VICTIM);
          expect(oomReapTask(m, 1, 0)).toBe(true);
        }
        return load(words, at);
      }) as typeof load);
      handleMmFault(m, 1, AT + 3, flags);
      vi.restoreAllMocks();
      expect([looks > 0, entry(m, AT + 3)]).toEqual([true, 0]);
      looks = 0;
      Atomics.and(m.mm.flags, 1, ~(MMF_UNSTABLE | MMF_OOM_SKIP));
    }
    nothingLeft(m, file);
  });

  it('keeps private stores from the host', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 64, file, 8, PRIVATE);
    expect(handleMmFault(m, 1, AT, FAULT_FLAG_WRITE)).toBe(FAULT_MAJOR);
    expect(handleMmFault(m, 1, AT + 1, 0)).toBe(FAULT_DONE);
    const before = entry(m, AT + 1) >>> PTE_SHIFT;
    expect(handleMmFault(m, 1, AT + 1, FAULT_FLAG_WRITE)).toBe(FAULT_DONE);
    expect(entry(m, AT + 1) >>> PTE_SHIFT === before).toBe(false);
    expect((word(m, AT)[0] as number) & 255).toBe(9);
    expect((word(m, AT + 1)[0] as number) & 255).toBe(10);
    word(m, AT).fill(-1);
    expect(vmGauges(m)).toMatchObject({ nr_dirty: 0, nr_anon_pages: 2 });
    sound(m);
    nothingLeft(m, file);
    expect(readFileSync(join(dir, 'f'))[8 * PAGE]).toBe(9);
  });

  it.each([true, false])('is unmapped by reclaim as rmapTryLock says: %s', (rmapTryLock) => {
    const { m, file } = boot({ rmapTryLock });
    mmapFile(m, 1, AT, AT + 64, file, 0, SHARED);
    handleMmFault(m, 1, AT, 0);
    const pfn = entry(m, AT) >>> PTE_SHIFT;
    folioLock(m, pfn);
    arm(m, 'fail_trylock');
    expect(fileTryToUnmap(m, pfn, true)).toBe(!rmapTryLock);
    expect(vmEvents(m).kr_rmap_contended).toBe(rmapTryLock ? 1 : 0);
    // Truncation waits, whatever the option.
    expect(fileTryToUnmap(m, pfn, false)).toBe(true);
    leaveFaults();
    folioUnlock(m, pfn);
    sound(m);
    nothingLeft(m, file);
  });

  it('ends where the file does, and where it is cut', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 128, file, 0, SHARED);
    mmapFile(m, 1, AT + 256, AT + 257, file, 0, VM_READ | VM_SHARED);
    expect(handleMmFault(m, 1, AT + 64, 0)).toBe(FAULT_SIGBUS);
    expect(handleMmFault(m, 1, AT + 256, FAULT_FLAG_WRITE)).toBe(FAULT_SIGSEGV);
    expect(handleMmFault(m, 1, AT + 10, FAULT_FLAG_WRITE)).toBe(FAULT_MAJOR);
    expect(fileTruncate(m, file, 4 * PAGE)).toBe(0);
    expect(entry(m, AT + 10)).toBe(0);
    expect(vmGauges(m).nr_dirty).toBe(0);
    expect(handleMmFault(m, 1, AT + 10, 0)).toBe(FAULT_SIGBUS);
    sound(m);
    nothingLeft(m, file);
    expect(readFileSync(join(dir, 'f')).length).toBe(4 * PAGE);
  });
});
