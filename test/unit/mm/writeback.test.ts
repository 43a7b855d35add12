// SPDX-License-Identifier: GPL-2.0-only
/** The writer of files of the host: what it leaves to others, and errors that must be told. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaveFaults } from '../../../dist/shared/fault.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { pageBytes } from '../../../dist/src/mm/content.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { EIO } from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { newFileRa } from '../../../dist/src/mm/file_ra.js';
import {
  fileFsync,
  fileRead,
  fileSize,
  fileSynced,
  fileTruncate,
  fileWrite,
} from '../../../dist/src/mm/filemap_io.js';
import { flushPass, flushWanted } from '../../../dist/src/mm/flush.js';
import { hostMount, hostOpenFile } from '../../../dist/src/mm/hostfs.js';
import { mappingPeek } from '../../../dist/src/mm/mapping.js';
import {
  fileMarkToWrite,
  fileMarkWriteback,
  fileNextMarked,
  MARK_TOWRITE,
} from '../../../dist/src/mm/mapping_file.js';
import { memcgLeave, memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { PG_WRITEBACK } from '../../../dist/src/mm/mm_types.js';
import { closeFile } from '../../../dist/src/mm/namei.js';
import { wakeFlusher } from '../../../dist/src/mm/page_writeback.js';
import { umountAll } from '../../../dist/src/mm/super.js';
import { writeFilePages } from '../../../dist/src/mm/writeback.js';
import { bootFixture, type FixtureOptions } from '../../helpers/mm_fixture.js';
import { arm } from '../../helpers/swap_fixture.js';

const PAGE = 4096;
const LAST = 2 ** 31 - 1;
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
  writeFileSync(join(dir, 'f'), '');
});

afterEach(() => {
  leaveFaults();
  rmSync(dir, { recursive: true });
});

function boot(options: FixtureOptions = {}): { m: Mm; file: number } {
  const m = bootFixture({ hostFiles: true, dirtyRatio: 100, filePagesMax: 8192, ...options });
  memcgRefresh(m, 1);
  return { m, file: hostOpenFile(m, hostMount(m, dir, 'a'), 'f', false) };
}

function nothingLeft(m: Mm, file: number): void {
  closeFile(m, file);
  expect(checkQuiescent(m).violations).toEqual([]);
  exitMm(m, 1);
  expect(umountAll(m)).toBe(0);
  memcgLeave(m);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
}

/** Every write to the host fails until `leaveFaults`, or `times` of them. */
function failWrites(m: Mm, times: number | null = null): void {
  arm(m, 'fail_write', { times });
}

function readAll(m: Mm, file: number): number[] {
  const bytes = new Uint8Array(fileSize(m, file));
  expect(fileRead(m, file, bytes, 0, newFileRa())).toBe(bytes.length);
  return [...bytes];
}

describe('errors of the host', () => {
  it('are told to everybody who has the file open, each once', () => {
    const { m, file } = boot();
    fileWrite(m, file, Uint8Array.of(1), 0);
    flushPass(m);
    const marks = [0, 0];
    // The write comes through, what waits for the disk fails.
    failWrites(m, 1);
    expect(fileFsync(m, file, marks[0] as number)).toBe(EIO);
    marks[0] = fileSynced.errors;
    leaveFaults();
    expect(fileFsync(m, file, marks[1] as number)).toBe(EIO);
    marks[1] = fileSynced.errors;
    for (const mark of marks) expect(fileFsync(m, file, mark)).toBe(0);
    nothingLeft(m, file);
  });

  it('are kept for the next fsync where they come after this one has looked', () => {
    const { m, file } = boot();
    expect(fileFsync(m, file, 0)).toBe(0);
    const mark = fileSynced.errors;
    fileWrite(m, file, Uint8Array.of(1), 0);
    failWrites(m);
    flushPass(m);
    leaveFaults();
    expect(fileFsync(m, file, mark)).toBe(EIO);
    expect(fileFsync(m, file, fileSynced.errors)).toBe(0);
    expect([...readFileSync(join(dir, 'f'))]).toEqual([1]);
    nothingLeft(m, file);
  });

  it('leave a file as long as it was when it was to grow', () => {
    const { m, file } = boot();
    fileWrite(m, file, Uint8Array.of(1, 2), 0);
    failWrites(m, 1);
    expect(fileTruncate(m, file, 3 * PAGE)).toBe(EIO);
    expect(fileSize(m, file)).toBe(2);
    nothingLeft(m, file);
    expect([...readFileSync(join(dir, 'f'))]).toEqual([1, 2]);
  });

  it('do not bring back what was cut', () => {
    const { m, file } = boot();
    fileWrite(m, file, Uint8Array.from([1, 2, 3, 4]), 0);
    expect(fileFsync(m, file, 0)).toBe(0);
    failWrites(m, 2);
    expect(fileTruncate(m, file, 1)).toBe(EIO);
    expect(fileWrite(m, file, Uint8Array.of(9), 3)).toBe(EIO);
    expect(fileSize(m, file)).toBe(1);
    leaveFaults();
    expect(fileWrite(m, file, Uint8Array.of(9), 3)).toBe(1);
    expect(readAll(m, file)).toEqual([1, 0, 0, 9]);
    failWrites(m, 1);
    expect(fileTruncate(m, file, 1)).toBe(EIO);
    leaveFaults();
    nothingLeft(m, file);
    expect([...readFileSync(join(dir, 'f'))]).toEqual([1]);
  });
});

describe('the page that a file ends in', () => {
  it.each(['write', 'truncate'])('gives nothing from behind the end to a %s', (how) => {
    const { m, file } = boot();
    fileWrite(m, file, Uint8Array.of(1, 2), 0);
    pageBytes(m, mappingPeek(m, file, 0)).fill(7, 2);
    if (how === 'write') expect(fileWrite(m, file, Uint8Array.of(5), 4)).toBe(1);
    else expect(fileTruncate(m, file, 5)).toBe(0);
    expect(readAll(m, file)).toEqual([1, 2, 0, 0, how === 'write' ? 5 : 0]);
    nothingLeft(m, file);
  });
});

describe('the writer of a file', () => {
  it('leaves what an fsync has chosen to it, where a page is being written', () => {
    const { m, file } = boot();
    fileWrite(m, file, new Uint8Array(2 * PAGE).fill(1), 0);
    const pfn = mappingPeek(m, file, 0);
    // Another writes the page, which was dirtied again: by a store that munmap has found.
    Atomics.or(m.page.flags, pfn, PG_WRITEBACK);
    fileMarkWriteback(m, pfn);
    fileMarkToWrite(m, file, 0, LAST);
    expect(writeFilePages(m, file, 0, LAST, false)).toBe(0);
    expect(fileNextMarked(m, file, 0, MARK_TOWRITE)).toBe(0);
    expect(fileNextMarked(m, file, 1, MARK_TOWRITE)).not.toBe(1);
    Atomics.and(m.page.flags, pfn, ~PG_WRITEBACK);
    expect(fileFsync(m, file, 0)).toBe(0);
    expect(readFileSync(join(dir, 'f'))[0]).toBe(1);
    nothingLeft(m, file);
  });

  it('begins anew when it is asked in the middle of a pass', () => {
    const { m, file } = boot();
    wakeFlusher(m);
    expect(flushWanted(m, false)).toBe(true);
    const { events } = m.task;
    const get = (): typeof events => {
      Object.defineProperty(m.task, 'events', { value: events });
      wakeFlusher(m);
      return events;
    };
    Object.defineProperty(m.task, 'events', { get, configurable: true });
    flushPass(m);
    expect(flushWanted(m, false)).toBe(true);
    flushPass(m);
    expect(flushWanted(m, false)).toBe(false);
    nothingLeft(m, file);
  });
});
