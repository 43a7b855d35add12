// SPDX-License-Identifier: GPL-2.0-only
/** What a program may call: accesses and replays share one memory of what was stored. */
import { describe, expect, it } from 'vitest';
import { Process } from '../../../dist/kthreads/process.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { EBUSY } from '../../../dist/src/mm/errno.js';
import { RUN_DONE, RUN_SIGSEGV } from '../../../dist/src/mm/user.js';
import { verifyPages } from '../../../dist/src/mm/verify.js';
import { bootFixture, eventOf, FIRST_VPN, fixtureRegions } from '../../helpers/mm_fixture.js';

const WRITE = 1;

function sweep(pages: number): Uint32Array {
  return Uint32Array.from({ length: pages }, (_, page) => eventOf(page, WRITE));
}

describe('process', () => {
  it('checks a load against a store of an earlier replay', () => {
    const m = bootFixture();
    const process = new Process(m, 1, () => false);
    const regions = fixtureRegions();
    expect(process.replay(sweep(600), regions)).toBe(RUN_DONE);
    expect(process.load(FIRST_VPN + 5)).toBe(RUN_DONE);
    expect(process.store(FIRST_VPN + 5)).toBe(RUN_DONE);
    expect(process.replay(sweep(600), regions)).toBe(RUN_DONE);
    expect(process.contexts.length).toBe(1);
    expect(process.contexts[0]?.mismatches).toBe(0);
    const frame = m.frame32[0] as Int32Array;
    frame.fill(-1);
    expect(process.load(FIRST_VPN + 5)).toBe(RUN_DONE);
    expect(process.contexts[0]?.mismatches).toBe(1);
  });

  it('refuses a second table for pages that were touched', () => {
    const process = new Process(bootFixture(), 1, () => false);
    expect(process.store(FIRST_VPN + 700)).toBe(RUN_DONE);
    expect(() => process.replay(sweep(10), fixtureRegions())).toThrow('in use already');
  });

  it.each([8192, 8192 + 100])('expects of pages that moved by %i what was stored', (by) => {
    const m = bootFixture({ pages: 2048, vmasMax: 64, pageTables: 256 });
    const process = new Process(m, 1, () => false);
    const pages = 700;
    for (let page = 0; page < pages; page += 2) expect(process.store(FIRST_VPN + page)).toBe(0);
    expect(process.memory.mremap(FIRST_VPN, pages, pages, FIRST_VPN + by)).toBe(0);
    for (let page = 0; page < pages; page++) expect(process.load(FIRST_VPN + by + page)).toBe(0);
    // What comes where they were is new.
    expect(process.mmap(FIRST_VPN, 64)).toBe(true);
    for (let page = 0; page < 64; page++) expect(process.load(FIRST_VPN + page)).toBe(0);
    for (const { firstMismatch } of process.contexts) expect(firstMismatch).toBeNull();
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('uses pages of a mounted file only while it is open', () => {
    const m = bootFixture();
    const { files, pages } = new Process(m, 1, () => false);
    const sb = files.mount('tmpfs', 'a');
    const file = files.open(sb, 7, true);
    expect(pages.write(file, 0)).toBe(RUN_DONE);
    expect(pages.read(file, 0)).toBe(RUN_DONE);
    expect(files.unlink(sb, 7)).toBe(0);
    files.close(file);
    expect(() => pages.write(file, 0)).toThrow(`file ${file} is not open`);
    expect(() => pages.read(file, 0)).toThrow('not open');
    expect(() => pages.truncate(file)).toThrow('not open');
    expect(m.mapping.head[file]).toBe(0);
    const disk = files.mount('diskfs', 'b');
    const other = files.open(disk, 7);
    expect(() => pages.write(other, 0)).toThrow('not modelled');
    files.closeAll();
    expect([files.umount(sb), files.umount(disk)]).toEqual([0, 0]);
  });

  it('uses rows by number where nobody mounts anything', () => {
    const { files, pages } = new Process(bootFixture(), 1, () => false);
    expect(pages.write(2, 0)).toBe(RUN_DONE);
    expect(files.mount('tmpfs', 'a')).toBe(EBUSY);
    expect(pages.read(2, 0)).toBe(RUN_DONE);
  });

  it('maps memory at run time, and says when there is none', () => {
    const m = bootFixture();
    const process = new Process(m, 1, () => false);
    const far = 2 ** 30;
    expect(process.store(far)).toBe(RUN_SIGSEGV);
    expect(process.mmap(far, 3)).toBe(true);
    expect(process.mmap(far + 2, 3)).toBe(false);
    expect(process.store(far + 2)).toBe(RUN_DONE);
    expect(process.load(far + 2)).toBe(RUN_DONE);
    const found = process.contexts.map((user) => verifyPages(m, user, true));
    expect(found.reduce((sum, one) => sum + one.pages, 0)).toBe(1);
    expect(found.every((one) => one.mismatches === 0)).toBe(true);
  });
});
