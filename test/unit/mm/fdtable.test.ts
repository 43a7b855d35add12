// SPDX-License-Identifier: GPL-2.0-only
/** Descriptors on one thread, and what another thread may do between two steps of it. */
import { afterEach, describe, expect, it } from 'vitest';
import { EBADF, EMFILE } from '../../../dist/src/mm/errno.js';
import {
  fdCancel,
  fdClose,
  fdGet,
  fdPut,
  fdReserve,
  fdsCopy,
  fdsInit,
} from '../../../dist/src/mm/fdtable.js';
import { FDS_MAX, FIRST_FD } from '../../../dist/src/mm/fdtable_types.js';
import { TMPFS } from '../../../dist/src/mm/fs_types.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { openFile } from '../../../dist/src/mm/namei.js';
import { mount } from '../../../dist/src/mm/super.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

const { compareExchange } = Atomics;

afterEach(() => {
  Atomics.compareExchange = compareExchange;
});

/** Descriptor 3 of process 1 is open file 1, which somebody else has too; 2 is another. */
function opened(): Mm {
  const m = bootFixture({ tasksMax: 4, mmsMax: 4 });
  Atomics.store(m.openFile.refs, 1, 2);
  Atomics.store(m.openFile.refs, 2, 1);
  Atomics.store(m.fds, FDS_MAX + FIRST_FD, 1);
  return m;
}

const refs = (m: Mm): number[] => [1, 2].map((row) => Atomics.load(m.openFile.refs, row));

describe('descriptors', () => {
  it('are the lowest that are free', () => {
    const m = opened();
    expect([fdReserve(m, 1), fdReserve(m, 1), fdReserve(m, 2)]).toEqual([4, 5, 3]);
    expect([fdGet(m, 1, 4), fdClose(m, 1, 4)]).toEqual([EBADF, EBADF]);
    fdCancel(m, 1, 4);
    expect(fdReserve(m, 1)).toBe(4);
    for (let fd = 6; fd < FDS_MAX; fd++) expect(fdReserve(m, 1)).toBe(fd);
    expect(fdReserve(m, 1)).toBe(EMFILE);
  });

  it('hold their open file while they are used', () => {
    const m = opened();
    expect([fdGet(m, 1, 3), refs(m)[0]]).toEqual([1, 3]);
    fdPut(m, 1);
    expect(fdClose(m, 1, 3)).toBe(0);
    expect([refs(m)[0], fdClose(m, 1, 3), fdGet(m, 1, 3)]).toEqual([1, EBADF, EBADF]);
    expect([-1, 1.5, FDS_MAX, Number.NaN].map((fd) => fdGet(m, 1, fd))).toEqual(
      new Array(4).fill(EBADF),
    );
  });

  it('are inherited, but for those that are being opened', () => {
    const m = opened();
    expect(fdReserve(m, 1)).toBe(4);
    fdsCopy(m, 1, 2);
    expect([refs(m)[0], fdGet(m, 2, 3), fdGet(m, 2, 4)]).toEqual([3, 1, EBADF]);
    expect(Atomics.load(m.fdUsers, 2)).toBe(1);
    fdsInit(m, 3);
    expect(fdGet(m, 3, 3)).toBe(EBADF);
  });

  it('a place that is closed and opened again meanwhile is looked at again', () => {
    const m = opened();
    let raced = false;
    Atomics.compareExchange = ((words: Int32Array, at: number, from: number, to: number) => {
      const was = compareExchange(words, at, from, to);
      if (words === m.openFile.refs && !raced) {
        raced = true;
        Atomics.store(m.fds, FDS_MAX + FIRST_FD, 2);
      }
      return was;
    }) as typeof compareExchange;
    expect(fdGet(m, 1, 3)).toBe(2);
    expect([raced, refs(m)]).toEqual([true, [2, 2]]);
  });

  it('an open file that is given out again while it is put is closed as what it is then', () => {
    const m = opened();
    const sb = mount(m, TMPFS, 'a');
    const [before, after] = [openFile(m, sb, 1, true), openFile(m, sb, 2, true)];
    const counts = (): number[] => [before, after].map((i) => m.fs.inode.count[i] as number);
    const [one, two] = counts() as [number, number];
    // We have the row by a stale number; who claimed it has not written what it is of.
    m.openFile.inode[1] = before;
    let raced = false;
    const race = (words: unknown): void => {
      if (words !== m.openFile.refs || raced) return;
      raced = true;
      // It is installed, and closed, just before our reference goes.
      m.openFile.inode[1] = after;
      compareExchange(m.openFile.refs, 1, 2, 1);
    };
    const { sub } = Atomics;
    Atomics.compareExchange = ((words: Int32Array, at: number, from: number, to: number) => {
      race(words);
      return compareExchange(words, at, from, to);
    }) as typeof compareExchange;
    Atomics.sub = ((words: Int32Array, at: number, by: number) => {
      race(words);
      return sub(words, at, by);
    }) as typeof sub;
    try {
      fdPut(m, 1);
    } finally {
      Atomics.sub = sub;
    }
    expect([raced, refs(m)[0], counts()]).toEqual([true, 0, [one, two - 1]]);
  });

  it('an open file that nobody has any more is not taken', () => {
    const m = opened();
    Atomics.store(m.openFile.refs, 1, 0);
    let looks = 0;
    const { load } = Atomics;
    Atomics.load = ((words: Int32Array, at: number) => {
      // Its closer empties the place a moment later.
      if (words === m.openFile.refs && ++looks === 3) Atomics.store(m.fds, FDS_MAX + FIRST_FD, 0);
      return load(words, at);
    }) as typeof load;
    try {
      expect(fdGet(m, 1, 3)).toBe(EBADF);
    } finally {
      Atomics.load = load;
    }
    expect(refs(m)).toEqual([0, 1]);
  });
});
