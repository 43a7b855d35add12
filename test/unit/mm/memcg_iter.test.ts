// SPDX-License-Identifier: GPL-2.0-only
/** Walks over groups: order, sharing, and groups that go while a walk stands on them. */
import { describe, expect, it } from 'vitest';
import { cgroupMkdir, cgroupRmdir } from '../../../dist/src/mm/cgroup.js';
import { cgroupReleasePass } from '../../../dist/src/mm/cgroup_release.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { memcgRefs } from '../../../dist/src/mm/memcg_css.js';
import { FULL_WALK, memcgIter, memcgIterBreak } from '../../../dist/src/mm/memcg_iter.js';
import { attachMm, type Mm } from '../../../dist/src/mm/mm.js';
import { bootFixture } from '../../helpers/mm_fixture.js';

/** The rest of a walk that has come to `prev`. */
function walk(m: Mm, root: number, prev = -1, cookie = FULL_WALK): number[] {
  const seen: number[] = [];
  let at = memcgIter(m, root, prev, cookie);
  while (at >= 0) {
    seen.push(at);
    at = memcgIter(m, root, at, cookie);
  }
  return seen;
}

/** 1 is the configuration's; 2 and its children 3, 4; 4's child 5; 6 beside 2. */
function tree(): Mm {
  const m = bootFixture({ memcgsMax: 16 });
  for (const [parent, name] of [
    [0, 'a'],
    [2, 'b'],
    [2, 'c'],
    [4, 'd'],
    [0, 'e'],
  ] as const) {
    expect(cgroupMkdir(m, parent, name, -1)).toBeGreaterThan(0);
  }
  return m;
}

function remove(m: Mm, memcg: number): void {
  expect(cgroupRmdir(m, memcg)).toBe(0);
  cgroupReleasePass(m);
}

/** The same machine as another thread sees it: a reclaimer with a walk of its own. */
function other(m: Mm): Mm {
  return attachMm(m.buffers, m.config, 2, -1);
}

describe('memcg_iter', () => {
  it('visits parents before children, in the order of making', () => {
    const m = tree();
    expect(walk(m, 0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(walk(m, 2)).toEqual([2, 3, 4, 5]);
    expect(walk(m, 5)).toEqual([5]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('holds a reference on the group that it stands on, and on no other', () => {
    const m = tree();
    let at = memcgIter(m, 0, -1, FULL_WALK);
    for (let i = 0; i < 3; i++) at = memcgIter(m, 0, at, FULL_WALK);
    expect([at, memcgRefs(m, 3), memcgRefs(m, 4), memcgRefs(m, 2)]).toEqual([3, 2, 2, 3]);
    memcgIterBreak(m, 0, at);
    expect(memcgRefs(m, 3)).toBe(1);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('goes on from a group that was removed under it, and over those that are gone', () => {
    const m = tree();
    let at = memcgIter(m, 0, -1, FULL_WALK);
    while (at !== 3) at = memcgIter(m, 0, at, FULL_WALK);
    remove(m, 3);
    expect(memcgRefs(m, 3)).toBe(1);
    remove(m, 5);
    expect(cgroupMkdir(m, 2, 'new', -1)).toBe(5);
    expect(walk(m, 0, 3)).toEqual([4, 5, 6]);
    expect(cgroupReleasePass(m)).toBe(1);
    expect(walk(m, 0)).toEqual([0, 1, 2, 4, 5, 6]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('skips a group that waits to be released, and visits one that is only removed', () => {
    const m = tree();
    let at = memcgIter(m, 0, -1, FULL_WALK);
    while (at !== 3) at = memcgIter(m, 0, at, FULL_WALK);
    expect(cgroupRmdir(m, 3)).toBe(0);
    expect(walk(m, 0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    memcgIterBreak(m, 0, 3);
    expect(walk(m, 0)).toEqual([0, 1, 2, 4, 5, 6]);
  });

  it('shares the groups of a node between reclaimers, until the round ends', () => {
    const m = tree();
    const b = other(m);
    const first = memcgIter(m, 0, -1, 0);
    const second = memcgIter(b, 0, -1, 0);
    const third = memcgIter(m, 0, first, 0);
    expect([first, second, third]).toEqual([0, 1, 2]);
    expect(walk(b, 0, second, 0)).toEqual([3, 4, 5, 6]);
    // The round is over for the one that did not end it, too.
    expect(memcgIter(m, 0, third, 0)).toBe(-1);
    expect(walk(m, 0, -1, 0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('begins where the last reclaimer broke off, and at the start when the end was reached', () => {
    const m = tree();
    let at = memcgIter(m, 0, -1, 0);
    at = memcgIter(m, 0, at, 0);
    at = memcgIter(m, 0, at, 0);
    memcgIterBreak(m, 0, at);
    expect(at).toBe(2);
    expect(walk(m, 0, -1, 0)).toEqual([3, 4, 5, 6]);
    // One who joins when the position is at the last group sees the root at least.
    at = memcgIter(m, 0, -1, 0);
    while (at !== 6) at = memcgIter(m, 0, at, 0);
    memcgIterBreak(m, 0, at);
    at = memcgIter(m, 0, -1, 0);
    expect(at).toBe(0);
    memcgIterBreak(m, 0, at);
    expect(walk(m, 2, -1, 0)).toEqual([2, 3, 4, 5]);
  });

  it('forgets a shared position in a group that goes, on every ancestor', () => {
    const m = tree();
    for (const root of [0, 2, 4]) {
      let at = memcgIter(m, root, -1, 0);
      while (at !== 5) at = memcgIter(m, root, at, 0);
      memcgIterBreak(m, root, at);
      expect(Atomics.load(m.lruvec.iterPosition, root)).toBe(6);
    }
    remove(m, 5);
    for (const root of [0, 2, 4]) expect(Atomics.load(m.lruvec.iterPosition, root)).toBe(0);
    expect(walk(m, 0, -1, 0)).toEqual([0, 1, 2, 3, 4, 6]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('makes, walks and removes 10,000 groups', () => {
    const m = bootFixture({ memcgsMax: 10_100 });
    const rows: number[] = [];
    for (let i = 0; i < 10_000; i++) {
      const parent = i % 100 === 0 ? 0 : (rows[i - (i % 100)] as number);
      rows.push(cgroupMkdir(m, parent, `group${i}`, -1));
    }
    expect(new Set(walk(m, 0)).size).toBe(10_002);
    expect(checkQuiescent(m).violations).toEqual([]);
    for (const row of rows.toReversed()) expect(cgroupRmdir(m, row)).toBe(0);
    expect([cgroupReleasePass(m), cgroupReleasePass(m)]).toEqual([9900, 100]);
    expect(walk(m, 0)).toEqual([0, 1]);
    expect(checkQuiescent(m).violations).toEqual([]);
  });
});
