// SPDX-License-Identifier: GPL-2.0-only
/** Moving, growing and shrinking mappings of files of the host. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockdepEdges } from '../../../dist/shared/lockdep.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { pageWords } from '../../../dist/src/mm/content.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { fileFsync, fileTruncate } from '../../../dist/src/mm/filemap_io.js';
import { hostMount, hostOpenFile } from '../../../dist/src/mm/hostfs.js';
import { LC_I_MMAP, LC_PTL } from '../../../dist/src/mm/lock_order.js';
import { mappingPeek } from '../../../dist/src/mm/mapping.js';
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
  PTE_DIRTY,
  PTE_SHIFT,
  PTE_WRITE,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../../../dist/src/mm/mm_types.js';
import { mmapFile } from '../../../dist/src/mm/mmap_file.js';
import { mremap } from '../../../dist/src/mm/mremap.js';
import { closeFile } from '../../../dist/src/mm/namei.js';
import { PTE_NONE, pteOffset } from '../../../dist/src/mm/pgtable.js';
import { umountAll } from '../../../dist/src/mm/super.js';
import { findVma } from '../../../dist/src/mm/vma.js';
import { vmGauges } from '../../../dist/src/mm/vmstat.js';
import { expectEmpty, expectSound } from '../../helpers/fork_fixture.js';
import { bootNodes, migrate } from '../../helpers/migrate_fixture.js';

const PAGE = 4096;
const AT = 65536;
const TO = 70_000;
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

function boot(): { m: Mm; file: number } {
  const m = bootNodes({ hostFiles: true, dirtyRatio: 100, filePagesMax: 8192 });
  memcgRefresh(m, 1);
  return { m, file: hostOpenFile(m, hostMount(m, dir, 'a'), 'f', false) };
}

function entry(m: Mm, vpn: number): number {
  const pte = pteOffset(m, 1, vpn);
  return pte === PTE_NONE ? 0 : (m.pte[pte] as number);
}

function words(m: Mm, vpn: number): Int32Array {
  return pageWords(m, entry(m, vpn) >>> PTE_SHIFT);
}

function finish(m: Mm, file: number): Buffer {
  expectSound(m);
  closeFile(m, file);
  expect(exitMm(m, 1)).toBe(true);
  expect(umountAll(m)).toBe(0);
  memcgLeave(m);
  rcuBarrier();
  expectEmpty(m);
  return readFileSync(join(dir, 'f'));
}

describe('mremap of a file', () => {
  it('moves a shared mapping with its pages: the file finds them in the new place', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 32, file, 8, SHARED);
    expect(handleMmFault(m, 1, AT + 2, FAULT_FLAG_WRITE)).toBe(FAULT_MAJOR);
    words(m, AT + 2)[3] = 77;
    const before = entry(m, AT + 2);
    expect(mremap(m, 1, AT, 32, 32, TO)).toBe(0);
    expect([entry(m, AT + 2), entry(m, TO + 2)]).toEqual([0, before]);
    expect(handleMmFault(m, 1, AT + 2, 0)).toBe(FAULT_SIGSEGV);
    expectSound(m);
    // Who writes it out finds the entry, and forbids stores.
    expect(fileFsync(m, file, 0)).toBe(0);
    expect(entry(m, TO + 2) & (PTE_WRITE | PTE_DIRTY)).toBe(0);
    expect(handleMmFault(m, 1, TO + 5, 0)).not.toBe(FAULT_SIGBUS);
    expect((words(m, TO + 5)[0] as number) & 255).toBe(14);
    expect(migrate(m, mappingPeek(m, file, 10))).toBe(0);
    expect(entry(m, TO + 2) >>> PTE_SHIFT).toBe(mappingPeek(m, file, 10));
    expect(fileTruncate(m, file, 9 * PAGE)).toBe(0);
    expect(entry(m, TO + 2)).toBe(0);
    expect(handleMmFault(m, 1, TO + 2, 0)).toBe(FAULT_SIGBUS);
    finish(m, file);
  });

  it('moves a private one with its copies, and back: one mapping again', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 32, file, 0, PRIVATE);
    expect(handleMmFault(m, 1, AT + 5, FAULT_FLAG_WRITE)).toBe(FAULT_MAJOR);
    expect(handleMmFault(m, 1, AT + 6, 0)).toBe(FAULT_DONE);
    words(m, AT + 5)[3] = 99;
    expect(mremap(m, 1, AT + 4, 8, 8, TO)).toBe(0);
    expect(words(m, TO + 1)[3]).toBe(99);
    expect((words(m, TO + 2)[0] as number) & 255).toBe(7);
    expectSound(m);
    expect(migrate(m, entry(m, TO + 1) >>> PTE_SHIFT)).toBe(0);
    expect(words(m, TO + 1)[3]).toBe(99);
    expect(mremap(m, 1, TO, 8, 8, AT + 4)).toBe(0);
    const vma = findVma(m, 1, AT);
    expect([m.vma.start[vma], m.vma.end[vma]]).toEqual([AT, AT + 32]);
    expect(words(m, AT + 5)[3]).toBe(99);
    expect(finish(m, file).readInt32LE(5 * PAGE + 12)).toBe(0x06060606);
  });

  it('grows to pages of the file, and shrinks', () => {
    const { m, file } = boot();
    mmapFile(m, 1, AT, AT + 8, file, 50, SHARED);
    expect(mremap(m, 1, AT, 8, 16)).toBe(0);
    expect(handleMmFault(m, 1, AT + 13, FAULT_FLAG_WRITE)).toBe(FAULT_MAJOR);
    expect((words(m, AT + 13)[0] as number) & 255).toBe(64);
    expect(handleMmFault(m, 1, AT + 14, 0)).toBe(FAULT_SIGBUS);
    expect(mremap(m, 1, AT, 16, 4, TO)).toBe(0);
    expect(vmGauges(m)).toMatchObject({ nr_mapped: 4, nr_dirty: 1 });
    expect(handleMmFault(m, 1, TO + 3, 0)).not.toBe(FAULT_SIGSEGV);
    expect((words(m, TO + 3)[0] as number) & 255).toBe(54);
    finish(m, file);
  });

  it('is never seen half way: entries move under i_mmap_rwsem', () => {
    const { m, file } = boot();
    const nests = (): boolean =>
      lockdepEdges(m.sync.lockdep).some(
        ([held, waited]) => held === LC_I_MMAP && waited === LC_PTL,
      );
    mmapFile(m, 1, AT, AT + 8, file, 0, SHARED);
    expect(handleMmFault(m, 1, AT, 0)).toBe(FAULT_MAJOR);
    expect(nests()).toBe(false);
    expect(mremap(m, 1, AT, 8, 8, TO)).toBe(0);
    expect(nests()).toBe(true);
    finish(m, file);
  });
});
