// SPDX-License-Identifier: GPL-2.0-only
/** Lists of unused objects per group, what groups pay, and walkers that notice when it breaks. */
import { describe, expect, it } from 'vitest';
import { lockdepEdges } from '../../../dist/shared/lockdep.js';
import { cgroupAttach, cgroupMkdir, cgroupRmdir } from '../../../dist/src/mm/cgroup.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { ENOMEM } from '../../../dist/src/mm/errno.js';
import { fsListsInit } from '../../../dist/src/mm/fs_lists.js';
import { DISKFS, TMPFS } from '../../../dist/src/mm/fs_types.js';
import {
  LRU_REMOVED,
  LRU_REMOVED_RETRY,
  LRU_ROTATE,
  LRU_SKIP,
  LRU_STOP,
  listLruAdd,
  listLruCount,
  listLruDel,
  listLruDestroy,
  listLruInit,
  listLruIsolate,
  listLruMemcgAlloc,
  listLruUnlock,
  listLruWalk,
} from '../../../dist/src/mm/list_lru.js';
import { findList, listAt } from '../../../dist/src/mm/list_lru_entry.js';
import { ENTRY_FREE, LIST_COUNT, LIST_DEAD } from '../../../dist/src/mm/list_lru_types.js';
import { LC_FOLIO, LC_SWAP_CLUSTER } from '../../../dist/src/mm/lock_order.js';
import { memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { closeFile, lookup, openFile, unlink } from '../../../dist/src/mm/namei.js';
import { objcgAlloc, objcgMemcg } from '../../../dist/src/mm/objcg.js';
import { shrinkerAlloc } from '../../../dist/src/mm/shrinker.js';
import { testShrinkerBit } from '../../../dist/src/mm/shrinker_info.js';
import { GFP_KERNEL, shrinkControl } from '../../../dist/src/mm/shrinker_ops.js';
import { SHRINKER_LIVE, SHRINKER_MEMCG_AWARE } from '../../../dist/src/mm/shrinker_types.js';
import { slabAlloc, slabFree } from '../../../dist/src/mm/slab.js';
import { CACHE_INODE } from '../../../dist/src/mm/slab_types.js';
import { mount, umount } from '../../../dist/src/mm/super.js';
import { superShrinkerType } from '../../../dist/src/mm/super_shrinker.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import {
  bootFixture,
  eventOf,
  type FixtureOptions,
  fixtureRegions,
} from '../../helpers/mm_fixture.js';

/** root - 1 - 2 - 3, and 4 beside 1. */
function bootTree(options: FixtureOptions = {}): Mm {
  return bootFixture({
    memcgs: [
      { name: '', parent: 0, maxPages: null },
      { name: 'top', parent: 0, maxPages: options.memcgMax ?? null },
      { name: 'mid', parent: 1, maxPages: null },
      { name: 'leaf', parent: 2, maxPages: null },
      { name: 'other', parent: 0, maxPages: null },
    ],
    ...options,
  });
}

function remove(m: Mm, memcg: number): void {
  if (Atomics.load(m.mm.memcg, 1) === memcg) cgroupAttach(m, 1, 4);
  expect(cgroupRmdir(m, memcg)).toBe(0);
}

/** Moves the process, and this thread with it. */
function enter(m: Mm, memcg: number): void {
  expect(cgroupAttach(m, 1, memcg)).toBe(0);
  memcgRefresh(m, 1);
}

function items(m: Mm, lru: number, memcg: number): number[] {
  const seen: number[] = [];
  const look = (_: Mm, item: number): number => {
    seen.push(item);
    return LRU_SKIP;
  };
  listLruWalk(m, lru, 0, memcg, look, 1000);
  return seen;
}

/** Everything of a group goes to swap, and no shrinker eats the history. */
function evictAll(m: Mm, memcg: number): void {
  const { words } = m.shrinker;
  const shrinkers = words[SHRINKER_LIVE] as number;
  words[SHRINKER_LIVE] = 0;
  drainEverything(m);
  while (tryToFreeMemcgPages(m, memcg, 200, () => false) > 0);
  words[SHRINKER_LIVE] = shrinkers;
}

/** Pages of the process that are written to, and then swapped out by its group. */
function swapOut(m: Mm, memcg: number, pages: number): UserContext {
  const user = new UserContext(m, 1, fixtureRegions());
  enter(m, memcg);
  touchAll(user, pages);
  evictAll(m, memcg);
  return user;
}

function touchAll(user: UserContext, pages: number): void {
  const events = Uint32Array.from({ length: pages }, (_, page) => eventOf(page, 1));
  expect(user.run(events, 0, pages, 1, () => undefined)).toBe(0);
}

describe('shadow nodes', () => {
  it('are on the list of their group, which is there from the first', () => {
    const m = bootTree();
    const lru = m.shadowLru[0] as number;
    const late = cgroupMkdir(m, 2, 'late', -1);
    const user = swapOut(m, late, 200);
    expect(listLruCount(m, lru, 0, late)).toBe(4);
    expect(checkQuiescent(m).violations).toEqual([]);
    // Made under no folio's lock, nor under anything else that reclaim holds.
    const against = lockdepEdges(m.sync.lockdep).filter(([held, asked]) => asked < held);
    expect(against).toEqual([]);
    expect(lockdepEdges(m.sync.lockdep)).toContainEqual([LC_FOLIO, LC_SWAP_CLUSTER]);
    remove(m, late);
    expect(listLruCount(m, lru, 0, 2)).toBe(4);
    expect(checkQuiescent(m).violations).toEqual([]);
    enter(m, 3);
    touchAll(user, 200);
    expect(listLruCount(m, lru, 0, 2)).toBe(0);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('are on no list where their group has none, whoever has one later', () => {
    const m = bootTree();
    const lru = m.shadowLru[0] as number;
    const { words } = m.lists;
    const free = words[ENTRY_FREE] as number;
    words[ENTRY_FREE] = 0;
    const late = cgroupMkdir(m, 2, 'late', -1);
    words[ENTRY_FREE] = free;
    const user = swapOut(m, late, 200);
    const counts = (): number[] => [0, 1, 2, late].map((memcg) => listLruCount(m, lru, 0, memcg));
    expect(counts()).toEqual([0, 0, 0, 0]);
    expect(checkQuiescent(m).violations).toEqual([]);
    expect(listLruMemcgAlloc(m, lru, late)).toBe(0);
    touchAll(user, 64);
    expect(counts()).toEqual([0, 0, 0, 0]);
    evictAll(m, late);
    expect(counts()[3]).toBeGreaterThan(0);
    expect(checkQuiescent(m).violations).toEqual([]);
    touchAll(user, 200);
    expect(counts()).toEqual([0, 0, 0, 0]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('are missed by the walkers when they are on a list that is not theirs', () => {
    const m = bootTree();
    const lru = m.shadowLru[0] as number;
    swapOut(m, 3, 64);
    const [item] = items(m, lru, 3) as [number];
    expect(listLruDel(m, lru, item, 0, 3)).toBe(true);
    expect(checkQuiescent(m).violations.join()).toContain('on list false');
    expect(listLruAdd(m, lru, item, 0, 2)).toBe(true);
    expect(checkQuiescent(m).violations.join()).toContain('group of shadow node');
  });
});

describe('list_lru', () => {
  it('puts nothing on the list of another group, unless that inherits', () => {
    const m = bootTree();
    const lru = listLruInit(m, true, 0);
    expect(listLruMemcgAlloc(m, lru, 2)).toBe(0);
    expect(listLruAdd(m, lru, 5, 0, 3)).toBe(false);
    expect(listLruDel(m, lru, 5, 0, 3)).toBe(false);
    remove(m, 3);
    expect(listLruAdd(m, lru, 5, 0, 3)).toBe(true);
    expect(items(m, lru, 2)).toEqual([5]);
    expect(listLruDel(m, lru, 5, 0, 3)).toBe(true);
  });

  it('keeps a list per group, and answers of a walk mean what they say', () => {
    const m = bootTree();
    const lru = listLruInit(m, true, 0);
    expect(listLruMemcgAlloc(m, lru, 2)).toBe(0);
    for (const item of [5, 6, 7, 8]) expect(listLruAdd(m, lru, item, 0, 2)).toBe(true);
    expect(listLruAdd(m, lru, 5, 0, 2)).toBe(false);
    expect([0, 1, 2].map((memcg) => listLruCount(m, lru, 0, memcg))).toEqual([0, 0, 4]);
    const answers = new Map([
      [5, LRU_ROTATE],
      [6, LRU_REMOVED],
      [7, LRU_REMOVED_RETRY],
    ]);
    const isolate = (mm: Mm, item: number, list: number): number => {
      const answer = answers.get(item) ?? LRU_STOP;
      if (answer === LRU_REMOVED || answer === LRU_REMOVED_RETRY) listLruIsolate(mm, item, list);
      if (answer === LRU_REMOVED_RETRY) listLruUnlock(mm, list);
      return answer;
    };
    expect(listLruWalk(m, lru, 0, 2, isolate, 10)).toBe(2);
    expect(items(m, lru, 2)).toEqual([8, 5]);
    expect(listLruWalk(m, lru, 0, 1, isolate, 10)).toBe(0);
    for (const item of [5, 8]) expect(listLruDel(m, lru, item, 0, 2)).toBe(true);
    expect(listLruDel(m, lru, 5, 0, 2)).toBe(false);
    listLruDestroy(m, lru);
  });

  it('finds the list of a removed group at its parent, in order, up to the root', () => {
    const m = bootTree();
    const lru = listLruInit(m, true, 0);
    listLruMemcgAlloc(m, lru, 3);
    for (const item of [5, 6]) listLruAdd(m, lru, item, 0, 3);
    listLruAdd(m, lru, 9, 0, 2);
    remove(m, 3);
    expect(items(m, lru, 2)).toEqual([9, 5, 6]);
    // The caller still says group 3; a removed group gets no lists again.
    expect(listLruMemcgAlloc(m, lru, 3)).toBe(0);
    expect(listLruAdd(m, lru, 7, 0, 3)).toBe(true);
    expect(listLruDel(m, lru, 5, 0, 3)).toBe(true);
    expect(items(m, lru, 2)).toEqual([9, 6, 7]);
    remove(m, 2);
    remove(m, 1);
    expect(items(m, lru, 0)).toEqual([9, 6, 7]);
    expect(() => listLruDestroy(m, lru)).toThrow('has items left');
  });

  it('goes past a list that died between the lookup and the lock', () => {
    const m = bootTree();
    const lru = listLruInit(m, true, 0);
    listLruMemcgAlloc(m, lru, 3);
    // As memcgReparentListLrus leaves it before the entry is out of the hash.
    m.lists.list[listAt(findList(m, lru, 0, 3)) + LIST_DEAD] = 1;
    expect(listLruAdd(m, lru, 5, 0, 3)).toBe(true);
    expect(listLruCount(m, lru, 0, 2)).toBe(1);
    expect(items(m, lru, 3)).toEqual([]);
  });

  it('runs out of lists with an answer, and waits for a grace period to use one again', () => {
    const m = bootTree();
    const rows = m.sizes.lists.nrEntries - 1;
    const lrus: number[] = [];
    let made = 0;
    for (;;) {
      const lru = listLruInit(m, true, 0);
      if (lru < 0) break;
      lrus.push(lru);
      for (let memcg = 1; memcg < 5; memcg++) {
        if (memcg !== 4) continue;
        if (listLruMemcgAlloc(m, lru, 3) === 0 && listLruMemcgAlloc(m, lru, 4) === 0) made += 4;
      }
    }
    expect(made).toBeLessThanOrEqual(rows);
    for (const lru of lrus) listLruDestroy(m, lru);
    for (let round = 0; round < 3 * rows; round++) {
      const lru = listLruInit(m, true, 0);
      expect(listLruMemcgAlloc(m, lru, 3)).toBe(0);
      listLruDestroy(m, lru);
    }
  });

  it('sets the bit of the group with the first item, and of the parent that inherits', () => {
    const m = bootTree();
    const shrinker = shrinkerAlloc(m, SHRINKER_MEMCG_AWARE, 0, 0, 'x');
    const lru = listLruInit(m, true, shrinker);
    listLruMemcgAlloc(m, lru, 3);
    const id = m.shrinker.id[shrinker] as number;
    const bits = (): number[] =>
      [1, 2, 3, 4].map((memcg) => Number(testShrinkerBit(m, memcg, 0, id)));
    expect(bits()).toEqual([0, 0, 0, 0]);
    listLruAdd(m, lru, 5, 0, 3);
    expect(bits()).toEqual([0, 0, 1, 0]);
    remove(m, 3);
    expect(bits()).toEqual([0, 1, 1, 0]);
  });
});

describe('objcg', () => {
  it('moves what a removed group owes to its parent, with all it had inherited', () => {
    const m = bootTree();
    enter(m, 3);
    const rows = [1, 2, 3].map(() => slabAlloc(m, CACHE_INODE));
    const usage = (): number[] => [0, 1, 2, 3].map((memcg) => Atomics.load(m.memcg.usage, memcg));
    const refs = (): number[] => [1, 2, 3].map((memcg) => Atomics.load(m.memcg.refs, memcg));
    const objcg = Atomics.load(m.memcg.objcg, 3);
    expect([usage(), refs()]).toEqual([
      [1, 1, 1, 1],
      // Online, and: the child; the child; the objects and this thread.
      [2, 2, 3],
    ]);
    remove(m, 3);
    expect(objcgMemcg(m, objcg)).toBe(2);
    expect([usage(), refs()]).toEqual([
      [1, 1, 1, 0],
      // The objects went up; the removed group has this thread.
      [2, 3, 1],
    ]);
    // Who is still in the removed group charges the next one upwards.
    rows.push(slabAlloc(m, CACHE_INODE));
    expect(m.objcg.bytes[Atomics.load(m.memcg.objcg, 2)]).toBe(720);
    expect(usage()).toEqual([2, 2, 2, 0]);
    remove(m, 2);
    expect(usage()).toEqual([2, 2, 0, 0]);
    for (const row of rows) slabFree(m, CACHE_INODE, row);
    expect([usage(), refs()]).toEqual([
      [0, 0, 0, 0],
      [2, 1, 1],
    ]);
    // Both rows are reaped when the next group is made.
    const free = m.sizes.slabs.nrObjcgs - 1 - 4;
    for (let i = 0; i < free + 2; i++) expect(objcgAlloc(m, 5)).toBe(0);
    expect(objcgAlloc(m, 5)).toBe(ENOMEM);
  });

  it('refuses an object that does not fit below the limit, and frees nothing twice', () => {
    const m = bootTree({ memcgMax: 2, swap: 'none' });
    enter(m, 3);
    const rows: number[] = [];
    for (let row = 1; row !== 0; ) {
      row = slabAlloc(m, CACHE_INODE);
      if (row !== 0) rows.push(row);
    }
    expect(rows).toHaveLength(Math.floor((2 * 4096) / 720));
    expect(Atomics.load(m.memcg.usage, 1)).toBe(2);
    for (const row of rows) slabFree(m, CACHE_INODE, row);
    expect(() => slabFree(m, CACHE_INODE, rows[0] as number)).toThrow('freed twice');
  });
});

describe('walkers of objects', () => {
  const boot = (): [Mm, number] => {
    const m = bootTree();
    enter(m, 3);
    const sb = mount(m, DISKFS, 'a');
    for (let name = 1; name <= 30; name++) lookup(m, sb, name);
    expect(checkQuiescent(m).violations).toEqual([]);
    return [m, sb];
  };
  const found = (m: Mm): string => checkQuiescent(m).violations.join('\n');

  it.each<[string, (m: Mm, sb: number) => void, string]>([
    ['a lost bit', (m) => m.shrinker.unitMap.fill(0), 'is clear: 30 items'],
    ['a wrong count', (m, sb) => miscount(m, sb), 'items of lru'],
    ['bytes that nobody charged', (m) => addBytes(m), 'bytes of objcg'],
    ['a page that no slab has', (m) => Atomics.add(m.node.slabReclaimable, 0, 1), 'reclaimable'],
    ['an object that came from nowhere', (m, sb) => addMade(m, sb), 'made - freed'],
    ['a dentry that its flags put on a list', (m) => m.fs.dentry.flags.fill(1, 2, 3), 'on a list'],
    ['a reference that nobody has', (m) => m.fs.inode.count.fill(2, 3, 4), 'open files'],
    ['a file that was forgotten', (m, sb) => void openFile(m, sb, 3, false), ''],
    ['a use count that is wrong', (m) => m.slab.inuse.fill(9, 1, 2), 'objects in use of slab'],
    ['usage that nobody has', (m) => Atomics.add(m.memcg.usage, 2, 1), 'memcg 2 usage'],
    ['a name that cannot be found', (m) => fsListsInit(m), 'dentry of name'],
  ])('find %s', (_, breakIt, message) => {
    const [m, sb] = boot();
    breakIt(m, sb);
    if (message === '') expect(found(m)).toBe('');
    else expect(found(m)).toContain(message);
  });

  function miscount(m: Mm, sb: number): void {
    const list = listAt(findList(m, m.fs.super.dentryLru[sb] as number, 0, 3)) + LIST_COUNT;
    expect(m.lists.list[list]).toBe(30);
    m.lists.list[list] = 29;
  }
  function addBytes(m: Mm): void {
    const objcg = Atomics.load(m.memcg.objcg, 3);
    m.objcg.bytes[objcg] = (m.objcg.bytes[objcg] as number) + 1;
  }
  function addMade(m: Mm, sb: number): void {
    const { inodesMade } = m.fs.super;
    inodesMade[sb] = (inodesMade[sb] as number) + 1;
  }
});

describe('files of removed groups', () => {
  it('stay cached with the parent, are found, scanned there and unmounted', () => {
    const m = bootTree();
    const sb = mount(m, DISKFS, 'a');
    const tmp = mount(m, TMPFS, 'b');
    enter(m, 3);
    for (let name = 1; name <= 30; name++) lookup(m, sb, name);
    closeFile(m, openFile(m, tmp, 1, true));
    remove(m, 3);
    expect(checkQuiescent(m).violations).toEqual([]);
    expect(lookup(m, sb, 5)).toBe(1);
    expect(unlink(m, tmp, 1)).toBe(0);
    const sc = { ...shrinkControl(), arg: sb, memcg: 2, nrToScan: 128, gfp: GFP_KERNEL };
    expect(superShrinkerType.countObjects(m, sc)).toBe(30);
    expect(superShrinkerType.scanObjects(m, { ...sc, memcg: 3 })).toBe(0);
    expect(superShrinkerType.scanObjects(m, sc)).toBe(30 + 1);
    expect(checkQuiescent(m).violations).toEqual([]);
    expect([umount(m, sb), umount(m, tmp)]).toEqual([0, 0]);
    expect(Atomics.load(m.memcg.usage, 0)).toBe(0);
    expect(checkQuiescent(m).violations).toEqual([]);
  });
});
