// SPDX-License-Identifier: GPL-2.0-only
/** The OOM reaper's decisions, on one thread. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { dupMm } from '../../../dist/src/mm/fork.js';
import { handleMmFault } from '../../../dist/src/mm/memory.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { allocMm } from '../../../dist/src/mm/mm_rows.js';
import {
  MMF_EXITING,
  MMF_LIFE_SHIFT,
  MMF_OOM_SKIP,
  MMF_OOM_VICTIM,
  MMF_UNSTABLE,
} from '../../../dist/src/mm/mm_types.js';
import { mmapWriteLock, mmapWriteUnlock } from '../../../dist/src/mm/mmap.js';
import { OomReaper, oomReapTask } from '../../../dist/src/mm/oom_reap.js';
import { pteOffset } from '../../../dist/src/mm/pgtable.js';
import { RUN_KILLED } from '../../../dist/src/mm/user.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  bootForks,
  context,
  exit,
  expectEmpty,
  expectSound,
  fork,
  range,
  switchMm,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

const PAGES = 300;
const flagsOf = (m: Mm, mm: number): number => Atomics.load(m.mm.flags, mm);
const lifeOf = (m: Mm, mm: number): number => flagsOf(m, mm) >>> MMF_LIFE_SHIFT;

function bootVictim() {
  const m = bootForks();
  const user = context(m, 1);
  touch(m, user, range(0, PAGES));
  Atomics.or(m.mm.flags, 1, MMF_OOM_VICTIM);
  return { m, user };
}

afterEach(() => vi.restoreAllMocks());

describe('oom_reap', () => {
  it('takes all pages of a victim, whose faults fail from then on', () => {
    const { m, user } = bootVictim();
    expect(oomReapTask(m, 1, 0)).toBe(true);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(0);
    expect(flagsOf(m, 1) & (MMF_UNSTABLE | MMF_OOM_SKIP)).toBe(MMF_UNSTABLE | MMF_OOM_SKIP);
    expect(vmEvents(m).kr_oom_reaped).toBe(1);
    expectSound(m);
    expect(touch(m, user, [5])).toBe(RUN_KILLED);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(0);
    expect(user.mismatches).toBe(0);
    exit(m, 1);
    expectEmpty(m);
  });

  it('is not made good for by a fault that was under way: no page of zeroes is read', () => {
    const m = bootForks({ lockdep: false });
    touch(m, context(m, 1), range(0, PAGES));
    const entry = pteOffset(m, 1, FIRST_VPN + 5);
    const { load } = Atomics;
    let looks = 0;
    vi.spyOn(Atomics, 'load').mockImplementation(((words: Int32Array, at: number) => {
      // The fault has looked at the flags, and is about to look at the entry.
      if (words === m.pte && at === entry && looks++ === 0) {
        Atomics.or(m.mm.flags, 1, MMF_OOM_VICTIM);
        expect(oomReapTask(m, 1, 0)).toBe(true);
      }
      return load(words, at);
    }) as typeof load);
    handleMmFault(m, 1, FIRST_VPN + 5, 0);
    vi.restoreAllMocks();
    expect([looks > 0, Atomics.load(m.pte, entry)]).toEqual([true, 0]);
    exit(m, 1);
    expectEmpty(m);
  });

  it('leaves what a child shares with the victim', () => {
    const m = bootForks();
    const parent = context(m, 1);
    touch(m, parent, range(0, PAGES));
    const child = fork(m, parent);
    Atomics.or(m.mm.flags, 1, MMF_OOM_VICTIM);
    expect(oomReapTask(m, 1, 0)).toBe(true);
    expectSound(m);
    expect(verify(m, child).mismatches).toBe(0);
    exit(m, child.mm);
    exit(m, 1);
    expectEmpty(m);
  });

  it('lets a victim be that exits by itself, and another life of its row', () => {
    const { m } = bootVictim();
    Atomics.or(m.mm.flags, 1, MMF_EXITING);
    expect(oomReapTask(m, 1, 0)).toBe(true);
    Atomics.and(m.mm.flags, 1, ~MMF_EXITING);
    expect(oomReapTask(m, 1, 1)).toBe(true);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(PAGES);
    expect(vmEvents(m).kr_oom_reaped).toBe(0);
    exit(m, 1);
    expectEmpty(m);
  });

  it('gives up while mmap_lock is held for writing', () => {
    const { m } = bootVictim();
    mmapWriteLock(m, 1);
    expect(oomReapTask(m, 1, 0)).toBe(false);
    mmapWriteUnlock(m, 1);
    expect(flagsOf(m, 1) & (MMF_UNSTABLE | MMF_OOM_SKIP)).toBe(0);
  });

  it('lets others choose anew after ten tries, a tenth of a second apart', () => {
    const { m } = bootVictim();
    const reaper = new OomReaper(m);
    let nowMs = 1000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    mmapWriteLock(m, 1);
    expect(reaper.pass()).toBe(2000);
    nowMs += 2000;
    for (let tries = 1; tries < 10; tries++) {
      expect(reaper.pass()).toBe(100);
      expect(flagsOf(m, 1) & MMF_OOM_SKIP).toBe(0);
      nowMs += 100;
    }
    expect(reaper.pass()).toBe(Infinity);
    expect(flagsOf(m, 1) & (MMF_OOM_SKIP | MMF_UNSTABLE)).toBe(MMF_OOM_SKIP);
    mmapWriteUnlock(m, 1);
    expect(Atomics.load(m.mm.rssAnon, 1)).toBe(PAGES);
    exit(m, 1);
    expectEmpty(m);
  });

  it('makes no copy of what it has taken from', () => {
    const { m } = bootVictim();
    oomReapTask(m, 1, 0);
    const child = allocMm(m);
    expect(dupMm(m, 1, child)).toBe(-12);
    switchMm(m, child);
    exitMm(m, child);
    exit(m, 1);
    expectEmpty(m);
  });

  it('gives a victim time, and sees each once', () => {
    const { m } = bootVictim();
    const reaper = new OomReaper(m);
    vi.spyOn(performance, 'now').mockReturnValue(1000);
    expect(reaper.hasNew()).toBe(true);
    expect(reaper.pass()).toBe(2000);
    expect(reaper.hasNew()).toBe(false);
    expect(lifeOf(m, 1)).toBe(0);
    exit(m, 1);
    expect(reaper.pass()).toBe(Infinity);
  });
});
