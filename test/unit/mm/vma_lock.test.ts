// SPDX-License-Identifier: GPL-2.0-only
/** Per-VMA locks: who may find a VMA without mmap_lock, and what a call that changes it forbids. */
import { describe, expect, it } from 'vitest';
import { dupMm } from '../../../dist/src/mm/fork.js';
import { FAULT_FLAG_WRITE, handleMmFault } from '../../../dist/src/mm/memory.js';
import { mlock } from '../../../dist/src/mm/mlock.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { allocMm } from '../../../dist/src/mm/mm_rows.js';
import { VM_READ } from '../../../dist/src/mm/mm_types.js';
import { mmapWriteLock, mmapWriteUnlock } from '../../../dist/src/mm/mmap.js';
import { mprotect } from '../../../dist/src/mm/mprotect.js';
import { mremap } from '../../../dist/src/mm/mremap.js';
import { munmap } from '../../../dist/src/mm/munmap.js';
import { findVma } from '../../../dist/src/mm/vma.js';
import {
  lockVmaUnderRcu,
  VMA_DETACHED,
  vmaEndRead,
  vmaStartWrite,
} from '../../../dist/src/mm/vma_lock.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  bootForks,
  context,
  exit,
  expectEmpty,
  expectSound,
  fork,
  range,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

const AT = FIRST_VPN;

function boot(): Mm {
  return bootForks({ perVmaLocks: true });
}

function lockCounts(m: Mm): number[] {
  const e = vmEvents(m);
  return [e.vma_lock_success, e.vma_lock_abort, e.vma_lock_retry, e.vma_lock_miss];
}

describe('a fault', () => {
  it('locks its VMA alone, but for the first in it, and where there is none', () => {
    const m = boot();
    const fault = (vpn: number): number => handleMmFault(m, 1, vpn, FAULT_FLAG_WRITE);
    expect(fault(AT)).toBe(0);
    expect(lockCounts(m)).toEqual([0, 0, 1, 0]);
    expect(fault(AT + 1)).toBe(0);
    expect(fault(AT + 2)).toBe(0);
    expect(lockCounts(m)).toEqual([2, 0, 1, 0]);
    expect(fault(AT - 1)).toBe(2);
    expect(lockCounts(m)).toEqual([2, 1, 1, 0]);
    expectSound(m);
  });

  it('counts nothing and takes mmap_lock when they are off', () => {
    const m = bootForks();
    touch(m, context(m, 1), range(0, 20));
    expect(lockCounts(m)).toEqual([0, 0, 0, 0]);
    expect(m.vmaLock.length).toBeLessThan(16);
  });

  it('does not find a VMA that is write-locked, until mmap_lock is let go of', () => {
    const m = boot();
    const vma = findVma(m, 1, AT);
    mmapWriteLock(m, 1);
    expect(lockVmaUnderRcu(m, 1, AT)).toBe(vma);
    vmaEndRead(m, vma);
    vmaStartWrite(m, vma);
    vmaStartWrite(m, vma);
    expect(lockVmaUnderRcu(m, 1, AT)).toBe(0);
    mmapWriteUnlock(m, 1);
    expect(lockVmaUnderRcu(m, 1, AT)).toBe(vma);
    vmaEndRead(m, vma);
  });

  it('does not take a row that is another’s, whatever the list says', () => {
    const m = boot();
    const vma = findVma(m, 1, AT);
    m.vma.mm[vma] = 2;
    expect(lockVmaUnderRcu(m, 1, AT)).toBe(0);
    expect(lockCounts(m)[3]).toBeGreaterThan(0);
    m.vma.mm[vma] = 1;
    // A list that has become a ring under our feet ends, too.
    m.vma.next[vma] = vma;
    expect(lockVmaUnderRcu(m, 1, 2 ** 30)).toBe(0);
    m.vma.next[vma] = 0;
  });
});

/** Was the VMA that holds a page write-locked by the last call that had mmap_lock? */
function wasLocked(m: Mm, vpn: number, mm = 1): boolean {
  return m.vma.lockSeq[findVma(m, mm, vpn)] === (m.mm.lockSeq[mm] as number) - 1;
}

describe('who changes a VMA write-locks it', () => {
  function touched(): { m: Mm; user: ReturnType<typeof context> } {
    const m = boot();
    const user = context(m, 1);
    touch(m, user, range(0, 32));
    // A call that has nothing to do with it.
    expect(munmap(m, 1, AT - 100, AT - 99)).toBe(0);
    expect(wasLocked(m, AT)).toBe(false);
    return { m, user };
  }

  it('munmap: what goes, and what is left on both sides', () => {
    const { m, user } = touched();
    const row = findVma(m, 1, AT);
    expect(munmap(m, 1, AT + 8, AT + 16)).toBe(0);
    user.forget(AT + 8, AT + 16);
    expect([wasLocked(m, AT), wasLocked(m, AT + 16)]).toEqual([true, true]);
    expect(m.vma.lockSeq[row]).not.toBe(VMA_DETACHED);
    expect(munmap(m, 1, AT, AT + 8192)).toBe(0);
    user.forget(AT, AT + 8192);
    expect(m.vma.lockSeq[row]).toBe(VMA_DETACHED);
    expect(lockVmaUnderRcu(m, 1, AT)).toBe(0);
    exit(m, 1);
    expectEmpty(m);
  });

  it.each([
    ['mprotect', (m: Mm) => mprotect(m, 1, AT, AT + 8192, VM_READ), AT],
    ['mlock', (m: Mm) => mlock(m, 1, AT, AT + 8), AT],
    ['mremap, the new place', (m: Mm) => mremap(m, 1, AT, 8, 8, AT + 9000), AT + 9000],
    ['mremap that shrinks', (m: Mm) => mremap(m, 1, AT, 8192, 4000), AT],
  ] as const)('%s', (_name, call, vpn) => {
    const { m } = touched();
    const seq = m.mm.lockSeq[1] as number;
    expect(call(m)).toBe(0);
    const row = findVma(m, 1, vpn);
    expect(m.vma.lockSeq[row]).toBeGreaterThanOrEqual(seq);
    expect(m.vma.lockSeq[row]).toBeLessThan(m.mm.lockSeq[1] as number);
    expectSound(m);
  });

  it.each([
    ['munmap', (m: Mm) => munmap(m, 1, AT, AT + 8192)],
    ['mprotect', (m: Mm) => mprotect(m, 1, AT, AT + 8192, VM_READ)],
    ['mremap', (m: Mm) => mremap(m, 1, AT, 8192, 8192, AT + 9000)],
    ['fork', (m: Mm) => dupMm(m, 1, allocMm(m))],
  ] as const)('%s: before it changes an entry', (_name, call) => {
    const { m } = touched();
    const row = findVma(m, 1, AT);
    const locked: boolean[] = [];
    const look = (words: unknown): void => {
      if (words === m.pte) locked.push(m.vma.lockSeq[row] === m.mm.lockSeq[1]);
    };
    const { exchange, and } = Atomics;
    type Change = (words: Int32Array, at: number, value: number) => number;
    const watched = (real: Change): Change => {
      return (words, at, value) => {
        look(words);
        return real(words, at, value);
      };
    };
    Object.assign(Atomics, { exchange: watched(exchange), and: watched(and) });
    try {
      expect(call(m)).toBe(0);
    } finally {
      Object.assign(Atomics, { exchange, and });
    }
    expect(locked).not.toContain(false);
    expect(locked.length).toBeGreaterThan(0);
  });

  it('fork: the parent’s; the child’s are open', () => {
    const { m, user } = touched();
    const child = fork(m, user);
    expect(wasLocked(m, AT)).toBe(true);
    const vma = lockVmaUnderRcu(m, child.mm, AT);
    expect(vma).toBe(findVma(m, child.mm, AT));
    vmaEndRead(m, vma);
    touch(m, child, range(0, 32));
    touch(m, user, range(0, 32));
    for (const one of [user, child]) expect(verify(m, one).mismatches).toBe(0);
    exit(m, child.mm);
    exit(m, 1);
    expectEmpty(m);
  });
});
