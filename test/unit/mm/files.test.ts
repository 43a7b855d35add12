// SPDX-License-Identifier: GPL-2.0-only
/** Mounts, dentries and inodes on one thread, against a model and by themselves. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { POISON_FREE } from '../../../dist/shared/rcu_cells.js';
import { checkEmpty, checkQuiescent } from '../../../dist/src/mm/check.js';
import {
  dDropLocked,
  dLock,
  dLookup,
  dput,
  dUnlock,
  pruneDcache,
  shrinkDcacheForUmount,
} from '../../../dist/src/mm/dcache.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { dropSlab } from '../../../dist/src/mm/drop_caches.js';
import { EBUSY, EINVAL, ENODEV, ENOENT, ENOSPC, EPERM } from '../../../dist/src/mm/errno.js';
import { exitMm } from '../../../dist/src/mm/exit_mm.js';
import { superDentries, superInodes } from '../../../dist/src/mm/fs_lists.js';
import {
  D_MAY_FREE,
  D_REFERENCED,
  D_SHRINK_LIST,
  DISKFS,
  TMPFS,
} from '../../../dist/src/mm/fs_types.js';
import { iput, pruneIcache } from '../../../dist/src/mm/inode.js';
import { listLruCount } from '../../../dist/src/mm/list_lru.js';
import { memcgLeave, memcgRefresh } from '../../../dist/src/mm/memcg_task.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { closeFile, lookup, openFile, unlink } from '../../../dist/src/mm/namei.js';
import { shmemEvictAll } from '../../../dist/src/mm/shmem.js';
import { shmemWrite } from '../../../dist/src/mm/shmem_io.js';
import {
  GFP_KERNEL,
  GFP_NOFS,
  SHRINK_EMPTY,
  SHRINK_STOP,
  type ShrinkControl,
  shrinkControl,
} from '../../../dist/src/mm/shrinker_ops.js';
import { itemOf } from '../../../dist/src/mm/slab.js';
import { CACHE_DENTRY, OBJECT_USED } from '../../../dist/src/mm/slab_types.js';
import { mount, umount, umountAll } from '../../../dist/src/mm/super.js';
import { superShrinkerType } from '../../../dist/src/mm/super_shrinker.js';
import { verifyFiles } from '../../../dist/src/mm/verify_files.js';
import { tryToFreePages } from '../../../dist/src/mm/vmscan_direct.js';
import { MountModel } from '../../helpers/files_model.js';
import { bootFixture, type FixtureOptions } from '../../helpers/mm_fixture.js';

/** A machine whose thread is in group 1. */
function boot(options: FixtureOptions = {}): Mm {
  const m = bootFixture(options);
  memcgRefresh(m, 1);
  return m;
}

function control(sb: number, nr: number, gfp = GFP_KERNEL, memcg = 1): ShrinkControl {
  return { ...shrinkControl(), arg: sb, memcg, nrToScan: nr, nrScanned: nr, gfp };
}

function scan(m: Mm, sb: number, nr: number): number {
  return superShrinkerType.scanObjects(m, control(sb, nr));
}

function live(m: Mm, sb: number): [number, number] {
  const [d, i] = [superDentries(m), superInodes(m)];
  return [
    (d.made[sb] as number) - (d.freed[sb] as number),
    (i.made[sb] as number) - (i.freed[sb] as number),
  ];
}

function expectSound(m: Mm): void {
  expect(checkQuiescent(m).violations).toEqual([]);
}

/** Everything back, to the page. */
function expectNothingLeft(m: Mm): void {
  expect(umountAll(m)).toBe(0);
  exitMm(m, 1);
  memcgLeave(m);
  drainEverything(m);
  rcuBarrier();
  expect(checkEmpty(m).violations).toEqual([]);
  expect(Atomics.load(m.memcg.usage, 1)).toBe(0);
  expect(Atomics.load(m.memcg.refs, 1)).toBe(1);
}

type Step = readonly [op: string, name: number];

const steps = fc.array(
  fc.tuple(
    fc.constantFrom('lookup', 'open', 'create', 'unlink', 'close', 'scan'),
    fc.integer({ min: 1, max: 24 }),
  ),
  { maxLength: 150 },
);

function runStep(m: Mm, sb: number, model: MountModel, open: [number, object][], step: Step): void {
  const [op, name] = step;
  if (op === 'lookup') expect(lookup(m, sb, name)).toBe(model.lookup(name));
  else if (op === 'scan') expect(scan(m, sb, name)).toBe(model.scan(name));
  else if (op === 'unlink') {
    if (model.disk) expect(unlink(m, sb, name)).toBe(EPERM);
    else expect(unlink(m, sb, name)).toBe(model.unlink(name) ? 0 : ENOENT);
  } else if (op === 'close') {
    const file = open.splice(name % Math.max(open.length, 1), 1)[0];
    if (file === undefined) return;
    closeFile(m, file[0]);
    model.closeFile(file[1] as Parameters<MountModel['closeFile']>[0]);
  } else {
    const inode = openFile(m, sb, name, op === 'create');
    const expected = model.openFile(name, op === 'create' && !model.disk);
    if (expected === null) expect(inode).toBe(ENOENT);
    else {
      expect(inode).toBeGreaterThan(0);
      open.push([inode, expected]);
    }
  }
}

describe('files', () => {
  it.each([
    ['tmpfs', TMPFS],
    ['diskfs', DISKFS],
  ])(
    'does what the model does: %s',
    (_, type) => {
      fc.assert(
        fc.property(steps, (list) => {
          const m = boot();
          const sb = mount(m, type, 'model');
          const model = new MountModel(type === DISKFS);
          const open: [number, object][] = [];
          for (const step of list) {
            runStep(m, sb, model, open, step);
            expect(live(m, sb)).toEqual([model.dentries.size + 1, model.liveInodes + 1]);
            const { dentryLru, inodeLru } = m.fs.super;
            expect(listLruCount(m, dentryLru[sb] as number, 0, 1)).toBe(
              model.dentryLru.items.length,
            );
            expect(listLruCount(m, inodeLru[sb] as number, 0, 1)).toBe(model.inodeLru.items.length);
          }
          expectSound(m);
          expect(umount(m, sb)).toBe(open.length > 0 ? EBUSY : 0);
          for (const [inode] of open) closeFile(m, inode);
          expectNothingLeft(m);
        }),
        { numRuns: 60 },
      );
    },
    60_000,
  );

  it('charges objects to the group of the thread, in whole pages', () => {
    const m = boot();
    const sb = mount(m, TMPFS, 'a');
    for (let name = 1; name <= 100; name++) closeFile(m, openFile(m, sb, name, true));
    const bytes = 101 * (192 + 720);
    expect(m.objcg.bytes[Atomics.load(m.memcg.objcg, 1)]).toBe(bytes);
    expect(Atomics.load(m.memcg.usage, 1)).toBe(Math.ceil(bytes / 4096));
    expect(Atomics.load(m.memcg.refs, 1)).toBe(3);
    expect(Atomics.load(m.node.slabReclaimable, 0)).toBe(Math.ceil(101 / 21) + Math.ceil(101 / 5));
    expectSound(m);
    expectNothingLeft(m);
  });

  it('charges nobody without accounting, and keeps one list', () => {
    const m = boot({ kmem: false });
    const sb = mount(m, DISKFS, 'a');
    for (let name = 1; name <= 30; name++) lookup(m, sb, name);
    expect(Atomics.load(m.memcg.usage, 0)).toBe(0);
    expect(superShrinkerType.countObjects(m, control(sb, 0, GFP_KERNEL, 0))).toBe(30);
    expectSound(m);
    expectNothingLeft(m);
  });

  it('counts as the kernel does: empty, pressure, and what it may not do', () => {
    const m = boot({ vfsCachePressure: 50 });
    const sb = mount(m, DISKFS, 'a');
    expect(superShrinkerType.countObjects(m, control(sb, 0))).toBe(SHRINK_EMPTY);
    for (let name = 1; name <= 31; name++) lookup(m, sb, name);
    expect(superShrinkerType.countObjects(m, control(sb, 0))).toBe(15);
    expect(superShrinkerType.scanObjects(m, control(sb, 8, GFP_NOFS))).toBe(SHRINK_STOP);
    expect(live(m, sb)).toEqual([32, 32]);
    // Half of the list, and one: those dentries go, their inodes are unused from then on.
    expect(scan(m, sb, 15)).toBe(16 + 1);
    expect(live(m, sb)).toEqual([16, 31]);
    expectNothingLeft(m);
  });

  it('gives a page back with the last object of its slab', () => {
    const m = boot();
    const sb = mount(m, DISKFS, 'a');
    for (let name = 1; name <= 200; name++) lookup(m, sb, name);
    const before = Atomics.load(m.node.slabReclaimable, 0);
    m.task.memalloc = true;
    while (scan(m, sb, 128) > 0);
    m.task.memalloc = false;
    expect(Atomics.load(m.node.slabReclaimable, 0)).toBe(2);
    expect(m.task.reclaimedSlab).toBe(before - 2);
    expectNothingLeft(m);
  });

  it('counts pages of slabs as progress of the reclaim that frees them, and of no other', () => {
    const m = boot();
    const sb = mount(m, DISKFS, 'a');
    for (let name = 1; name <= 200; name++) lookup(m, sb, name);
    const slabs = Atomics.load(m.node.slabReclaimable, 0);
    expect(dropSlab(m)).toBeGreaterThan(0);
    expect(Atomics.load(m.node.slabReclaimable, 0)).toBeLessThan(slabs);
    expect(umount(m, sb)).toBe(0);
    // Nothing is left that could be reclaimed.
    expect(m.task.reclaimedSlab).toBe(0);
    expect(tryToFreePages(m, 0, 0, () => false)).toBe(0);
    m.task.reclaimedSlab = 3;
    expect(
      tryToFreePages(m, 0, 0, () => false),
      'what was left over',
    ).toBe(0);
    expectNothingLeft(m);
  });

  it('a dentry that is killed while on a shrink list is freed by the shrinker', () => {
    const m = boot();
    const sb = mount(m, DISKFS, 'a');
    lookup(m, sb, 1);
    lookup(m, sb, 2);
    const second = dLookup(m, sb, 2);
    dput(m, second);
    const flags = (): number => m.fs.dentry.flags[second] as number;
    const state = (): number => m.object.state[itemOf(m, CACHE_DENTRY, second)] as number;
    // A round for the mark that it was used again.
    m.fs.dentry.flags[second] = flags() & ~D_REFERENCED;
    const { inode } = m.fs;
    let killed = false;
    // The first dentry's inode is put when both are on the shrink list and no lock is held.
    Object.defineProperty(m.fs, 'inode', {
      get: () => {
        if (!killed) {
          killed = true;
          expect(flags() & D_SHRINK_LIST).not.toBe(0);
          expect(dLookup(m, sb, 2)).toBe(second);
          dLock(m, second);
          dDropLocked(m, second);
          dUnlock(m, second);
          dput(m, second);
          expect(flags()).toBe(D_SHRINK_LIST | D_MAY_FREE);
          expect(state(), 'not freed under the shrinker').toBe(OBJECT_USED);
        }
        return inode;
      },
    });
    expect(pruneDcache(m, sb, control(sb, 8), 8)).toBe(2);
    expect(killed).toBe(true);
    expect(state(), 'freed by it').toBe(POISON_FREE);
    expect(live(m, sb)).toEqual([1, 3]);
    expectSound(m);
    expectNothingLeft(m);
  });

  it('gives an inode that was used again another round', () => {
    const m = boot();
    const sb = mount(m, DISKFS, 'a');
    const sc = control(sb, 1);
    for (let round = 0; round < 2; round++) {
      lookup(m, sb, 1);
      expect(pruneDcache(m, sb, sc, 1)).toBe(1);
    }
    expect(pruneIcache(m, sb, sc, 1)).toBe(0);
    expect(pruneIcache(m, sb, sc, 1)).toBe(1);
    expectNothingLeft(m);
  });

  it('keeps an unlinked file until it is closed, and gives its name to a new one', () => {
    const m = boot();
    const sb = mount(m, TMPFS, 'a');
    const first = openFile(m, sb, 7, true);
    expect(unlink(m, sb, 7)).toBe(0);
    expect(unlink(m, sb, 7)).toBe(ENOENT);
    const second = openFile(m, sb, 7, true);
    expect(second).not.toBe(first);
    expectSound(m);
    expect(umount(m, sb)).toBe(EBUSY);
    closeFile(m, first);
    closeFile(m, second);
    expect(live(m, sb)).toEqual([2, 2]);
    expectNothingLeft(m);
  });

  it('refuses what is not there or not allowed', () => {
    const m = boot({ superBlocksMax: 2 });
    const disk = mount(m, DISKFS, 'disk');
    expect(mount(m, 9, 'x')).toBe(EINVAL);
    expect(mount(m, TMPFS, 'b')).toBeGreaterThan(0);
    expect(mount(m, TMPFS, 'c')).toBe(ENOSPC);
    expect(unlink(m, disk, 1)).toBe(EPERM);
    expect(openFile(m, disk, 0, false)).toBe(EINVAL);
    expect(umount(m, disk)).toBe(0);
    expect(umount(m, disk)).toBe(ENODEV);
    expect(lookup(m, disk, 1)).toBe(ENODEV);
    expectNothingLeft(m);
  });

  it('fails an open that no memory can be had for, and leaves nothing half made', () => {
    const m = boot({ dentriesMax: 21, inodesMax: 5 });
    const sb = mount(m, TMPFS, 'a');
    const opened = [1, 2, 3, 4, 5, 6].map((name) => openFile(m, sb, name, true));
    expect(opened.filter((inode) => inode > 0)).toHaveLength(4);
    expectSound(m);
    for (const inode of opened) if (inode > 0) closeFile(m, inode);
    expectNothingLeft(m);
  });

  it('gives pages to every inode that a slab has room for, also above inodesMax', () => {
    const m = boot({ dentriesMax: 21, inodesMax: 6 });
    const sb = mount(m, TMPFS, 'a');
    const opened = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((name) => openFile(m, sb, name, true));
    const last = opened.indexOf(10);
    expect(last).toBeGreaterThanOrEqual(0);
    for (const inode of opened) expect(shmemWrite(m, inode, 3, 1)).toBe(0);
    expectSound(m);
    expect(verifyFiles(m)).toEqual({ pages: 9, mismatches: 0, first: null });
    for (let i = 0; i < 9; i++) {
      expect(unlink(m, sb, i + 1)).toBe(0);
      if (i !== last) closeFile(m, opened[i] as number);
    }
    expectSound(m);
    shmemEvictAll(m);
    expect(Atomics.load(m.fileInfo, 0)).toBe(0);
    closeFile(m, 10);
    expectNothingLeft(m);
  });

  it('names a reference that is put twice, and an object that is used after it was freed', () => {
    const m = boot();
    const sb = mount(m, TMPFS, 'a');
    lookup(m, sb, 3);
    const dentry = dLookup(m, sb, 3);
    dput(m, dentry);
    expect(() => dput(m, dentry)).toThrow('without a reference');
    const n = boot();
    const other = mount(n, TMPFS, 'a');
    const inode = openFile(n, other, 3, true);
    closeFile(n, inode);
    expect(unlink(n, other, 3)).toBe(0);
    expect(() => iput(n, inode)).toThrow(`is used after it was freed: state 0x6b6b6b6b`);
  });

  it('will not take a mount away from under a user of its names', () => {
    const m = boot();
    const sb = mount(m, TMPFS, 'a');
    lookup(m, sb, 3);
    dLookup(m, sb, 3);
    expect(() => shrinkDcacheForUmount(m, sb)).toThrow('in use after umount');
  });
});
