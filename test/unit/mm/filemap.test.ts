// SPDX-License-Identifier: GPL-2.0-only
/** Files of the host on one thread: the cache, readahead, writeback, truncation, names. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { dropCaches } from '../../../dist/src/mm/drop_caches.js';
import { EBUSY, EINVAL, EIO, EISDIR, ENODEV, ENOENT } from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { newFileRa } from '../../../dist/src/mm/file_ra.js';
import {
  fileErrors,
  fileFsync,
  fileRead,
  fileSize,
  fileTruncate,
  fileWrite,
} from '../../../dist/src/mm/filemap_io.js';
import { flushPass } from '../../../dist/src/mm/flush.js';
import { hostMount, hostOpenFile, hostUnlinkFile } from '../../../dist/src/mm/hostfs.js';
import { memcgLeave, memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { closeFile } from '../../../dist/src/mm/namei.js';
import { umount, umountAll } from '../../../dist/src/mm/super.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import { bootFixture, type FixtureOptions } from '../../helpers/mm_fixture.js';

const PAGE = 4096;
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kreclaim-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

function boot(options: FixtureOptions = {}): Mm {
  const m = bootFixture({ hostFiles: true, dirtyRatio: 100, filePagesMax: 8192, ...options });
  memcgRefresh(m, 1);
  return m;
}

function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed * 17 + (i >>> 8)) & 255);
}

function open(m: Mm, sb: number, path: string): number {
  const file = hostOpenFile(m, sb, path, true);
  expect(file).toBeGreaterThan(0);
  return file;
}

function read(m: Mm, file: number, bytes: number, at: number, ra = newFileRa()): Uint8Array {
  const buffer = new Uint8Array(bytes);
  const got = fileRead(m, file, buffer, at, ra);
  expect(got).toBeGreaterThanOrEqual(0);
  return buffer.subarray(0, got);
}

function onHost(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(dir, path)));
}

function sound(m: Mm): void {
  expect(checkQuiescent(m).violations).toEqual([]);
}

function nothingLeft(m: Mm): void {
  expect(umountAll(m)).toBe(0);
  exitMm(m, 1);
  memcgLeave(m);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
}

/** Bytes compared at once: `toEqual` looks at each. */
function same(found: Uint8Array, expected: Uint8Array): void {
  expect([found.length, Buffer.compare(found, expected)]).toEqual([expected.length, 0]);
}

describe('a file of the host', () => {
  it('is read through the cache, once', () => {
    writeFileSync(join(dir, 'a'), pattern(10 * PAGE + 100, 1));
    const m = boot();
    const sb = hostMount(m, dir, 'a');
    const file = open(m, sb, 'a');
    expect(fileSize(m, file)).toBe(10 * PAGE + 100);
    same(read(m, file, 20 * PAGE, 0), pattern(10 * PAGE + 100, 1));
    expect(vmEvents(m).pgpgin).toBe(11 * 4);
    expect(vmGauges(m).nr_file_pages).toBe(11);
    same(read(m, file, 300, 4000), pattern(10 * PAGE + 100, 1).subarray(4000, 4300));
    expect(vmEvents(m).pgpgin).toBe(11 * 4);
    sound(m);
    closeFile(m, file);
    nothingLeft(m);
  });

  it('gets what was written, at fsync and at umount', () => {
    const m = boot();
    const sb = hostMount(m, dir, 'a');
    const file = open(m, sb, 'new');
    expect(fileWrite(m, file, pattern(3 * PAGE + 5, 2), 100)).toBe(3 * PAGE + 5);
    expect(onHost('new').length).toBe(0);
    expect(vmGauges(m).nr_dirty).toBe(4);
    sound(m);
    expect(fileFsync(m, file, 0)).toBe(0);
    same(onHost('new'), Uint8Array.from([...new Uint8Array(100), ...pattern(3 * PAGE + 5, 2)]));
    expect(vmGauges(m)).toMatchObject({ nr_dirty: 0, nr_writeback: 0 });
    expect(vmEvents(m)).toMatchObject({ nr_dirtied: 4, nr_written: 4, pgpgout: 16 });
    expect(fileWrite(m, file, pattern(10, 3), PAGE)).toBe(10);
    expect(umount(m, sb)).toBe(EBUSY);
    closeFile(m, file);
    expect(umount(m, sb)).toBe(0);
    same(onHost('new').subarray(PAGE, PAGE + 10), pattern(10, 3));
    nothingLeft(m);
  });

  it('is as long as was cut, here and on the host', () => {
    const m = boot();
    const sb = hostMount(m, dir, 'a');
    const file = open(m, sb, 'cut');
    fileWrite(m, file, pattern(5 * PAGE, 4), 0);
    fileFsync(m, file, 0);
    fileWrite(m, file, pattern(PAGE, 5), 4 * PAGE);
    expect(fileTruncate(m, file, PAGE + 10)).toBe(0);
    expect(vmGauges(m).nr_file_pages).toBe(2);
    sound(m);
    expect(onHost('cut').length).toBe(PAGE + 10);
    expect(fileTruncate(m, file, 3 * PAGE)).toBe(0);
    const kept = new Uint8Array(3 * PAGE);
    kept.set(pattern(5 * PAGE, 4).subarray(0, PAGE + 10));
    same(read(m, file, 9 * PAGE, 0), kept);
    closeFile(m, file);
    nothingLeft(m);
    same(onHost('cut'), kept);
  });

  it('loses clean pages to drop_caches, dirty ones not', () => {
    const m = boot();
    const sb = hostMount(m, dir, 'a');
    const file = open(m, sb, 'f');
    fileWrite(m, file, pattern(40 * PAGE, 6), 0);
    fileFsync(m, file, 0);
    fileWrite(m, file, pattern(PAGE, 7), 0);
    expect(dropCaches(m, 1)).toBe(0);
    expect(vmGauges(m).nr_file_pages).toBe(1);
    sound(m);
    const all = pattern(40 * PAGE, 6);
    all.set(pattern(PAGE, 7));
    same(read(m, file, 40 * PAGE, 0), all);
    expect(flushPass(m)).toBe(1);
    closeFile(m, file);
    nothingLeft(m);
    same(onHost('f'), all);
  });

  it('leaves shadows when reclaim takes it, and pages that come back are counted', () => {
    const m = boot({ pages: 512 });
    const sb = hostMount(m, dir, 'a');
    const file = open(m, sb, 'big');
    const all = pattern(700 * PAGE, 8);
    for (let at = 0; at < all.length; at += 8 * PAGE) {
      expect(fileWrite(m, file, all.subarray(at, at + 8 * PAGE), at)).toBe(
        Math.min(8 * PAGE, all.length - at),
      );
      if (at % (64 * PAGE) === 0) expect(fileFsync(m, file, 0)).toBe(0);
    }
    fileFsync(m, file, 0);
    same(read(m, file, 700 * PAGE, 0), all);
    same(read(m, file, 700 * PAGE, 0), all);
    const e = vmEvents(m);
    expect(e.pgsteal_file).toBeGreaterThan(200);
    expect(e.workingset_refault_file).toBeGreaterThan(200);
    expect(e.pswpout).toBe(0);
    sound(m);
    closeFile(m, file);
    nothingLeft(m);
    same(onHost('big'), all);
  });

  it('finds room where another has taken all', () => {
    writeFileSync(join(dir, 'a'), pattern(40 * PAGE, 1));
    writeFileSync(join(dir, 'b'), pattern(PAGE, 2));
    const m = boot({ filePagesMax: 32 });
    const sb = hostMount(m, dir, 'a');
    const [a, b] = [open(m, sb, 'a'), open(m, sb, 'b')];
    same(read(m, a, 40 * PAGE, 0), pattern(40 * PAGE, 1));
    same(read(m, b, PAGE, 0), pattern(PAGE, 2));
    expect(fileWrite(m, b, pattern(PAGE, 3), PAGE)).toBe(PAGE);
    sound(m);
    for (const file of [a, b]) closeFile(m, file);
    nothingLeft(m);
  });

  it.each(['read', 'write'])('is held to memory.high at the end of a %s', (how) => {
    writeFileSync(join(dir, 'a'), pattern(300 * PAGE, 1));
    const m = boot();
    Atomics.store(m.memcg.high, 1, 100);
    const file = open(m, hostMount(m, dir, 'a'), 'a');
    for (let at = 0; at < 300 * PAGE; at += 50 * PAGE) {
      if (how === 'read') read(m, file, 50 * PAGE, at);
      else fileWrite(m, file, pattern(50 * PAGE, 2), at);
      if (how === 'write') fileFsync(m, file, 0);
      expect(m.task.overHigh).toBe(0);
    }
    expect(Atomics.load(m.memcg.own, 1)).toBeLessThan(200);
    expect(Atomics.load(m.memcg.eventsHigh, 1)).toBeGreaterThan(0);
    sound(m);
    closeFile(m, file);
    nothingLeft(m);
  });

  it('says once that a write failed, and writes again', () => {
    const m = boot({ faults: { fail_write: { oneIn: 1, interval: 1, times: 1 } } });
    const sb = hostMount(m, dir, 'a');
    const file = open(m, sb, 'f');
    fileWrite(m, file, pattern(2 * PAGE, 9), 0);
    expect(fileErrors(m, file)).toBe(0);
    const first = fileFsync(m, file, 0);
    if (first === EIO) {
      expect(fileErrors(m, file)).toBe(1);
      sound(m);
    }
    expect(fileFsync(m, file, fileErrors(m, file))).toBe(0);
    closeFile(m, file);
    nothingLeft(m);
    same(onHost('f'), pattern(2 * PAGE, 9));
  });
});

describe('names of the host', () => {
  it('are found, made and removed', () => {
    writeFileSync(join(dir, 'there'), 'x');
    const m = boot();
    expect(hostMount(m, join(dir, 'nothing'), 'a')).toBe(ENOENT);
    const sb = hostMount(m, dir, 'a');
    expect(hostOpenFile(m, sb, 'none', false)).toBe(ENOENT);
    expect(hostOpenFile(m, sb, '../x', true)).toBe(EINVAL);
    expect(hostOpenFile(m, sb, '/x', true)).toBe(EINVAL);
    expect(hostOpenFile(m, sb + 1, 'x', true)).toBe(ENODEV);
    const file = open(m, sb, 'there');
    expect(open(m, sb, 'there')).toBe(file);
    expect(hostUnlinkFile(m, sb, 'there')).toBe(0);
    expect(hostUnlinkFile(m, sb, 'there')).toBe(ENOENT);
    const other = open(m, sb, 'there');
    expect(other).not.toBe(file);
    fileWrite(m, file, pattern(10, 1), 0);
    fileWrite(m, other, pattern(10, 2), 0);
    same(read(m, file, 10, 0), pattern(10, 1));
    sound(m);
    for (const row of [file, file, other]) closeFile(m, row);
    nothingLeft(m);
    same(onHost('there'), pattern(10, 2));
    expect(EISDIR).toBeLessThan(0);
  });

  it('are of one mount only: each has a cache of its own', () => {
    const inner = join(dir, 'inner');
    mkdirSync(inner);
    symlinkSync(inner, join(dir, 'link'));
    mkdirSync(join(dir, 'inner2'));
    const m = boot();
    const sb = hostMount(m, inner, 'a');
    expect(sb).toBe(1);
    for (const again of [inner, dir, join(dir, 'link'), `${inner}/.`]) {
      expect(hostMount(m, again, 'b')).toBe(EBUSY);
    }
    const apart = hostMount(m, join(dir, 'inner2'), 'c');
    expect(apart).toBeGreaterThan(0);
    expect([umount(m, sb), umount(m, apart)]).toEqual([0, 0]);
    expect(hostMount(m, dir, 'd')).toBeGreaterThan(0);
    nothingLeft(m);
  });

  it('need a machine that has them', () => {
    const m = boot({ hostFiles: false });
    expect(hostMount(m, dir, 'a')).toBe(ENODEV);
    nothingLeft(m);
  });
});
