// SPDX-License-Identifier: GPL-2.0-only
/** Shadow nodes and their shrinker, over a plain list. */
import { afterEach, describe, expect, it } from 'vitest';
import { spinHeld, spinLock, spinUnlock } from '../../../dist/shared/spinlock.js';
import { checkQuiescent } from '../../../dist/src/mm/check.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { ENOMEM } from '../../../dist/src/mm/errno.js';
import { SHADOW_NODE_SLOTS, SWAPFILE_CLUSTER } from '../../../dist/src/mm/limits.js';
import { LC_SWAP_CLUSTER } from '../../../dist/src/mm/lock_order.js';
import { NODE_NO_LIST } from '../../../dist/src/mm/mapping_types.js';
import { memcgGet, memcgPut } from '../../../dist/src/mm/memcg_css.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { vmstatItems } from '../../../dist/src/mm/proc_vmstat.js';
import {
  registerShadowList,
  type ShadowList,
  shadowNodeOf,
} from '../../../dist/src/mm/shadow_nodes.js';
import { shmemEvict } from '../../../dist/src/mm/shmem.js';
import { shmemRead, shmemWrite } from '../../../dist/src/mm/shmem_io.js';
import { SHRINKER_MEMCG_AWARE, SHRINKER_NUMA_AWARE } from '../../../dist/src/mm/shrinker_types.js';
import { clusterOf } from '../../../dist/src/mm/swap_cluster.js';
import { UserContext } from '../../../dist/src/mm/user.js';
import { tryToFreeMemcgPages } from '../../../dist/src/mm/vmscan_direct.js';
import { vmEvents } from '../../../dist/src/mm/vmstat.js';
import {
  type IsolateNode,
  type ShadowLru,
  shadowShrinker,
  workingsetInit,
} from '../../../dist/src/mm/workingset_shrinker.js';
import {
  bootFixture,
  eventOf,
  type FixtureOptions,
  fixtureRegions,
} from '../../helpers/mm_fixture.js';

const WRITE = 1;
const GROUP = 1;
/** CPU 0 takes its slots from the second cluster on. */
const FIRST_SLOT = SWAPFILE_CLUSTER;
const FIRST_NODE = shadowNodeOf(FIRST_SLOT);

/** Lists by group and node, oldest first, that refuse what is wrong. */
class PlainList implements ShadowList, ShadowLru {
  readonly lists = new Map<string, number[]>();
  readonly refs = new Map<number, number>();
  readonly prepared = new Set<number>();
  full = false;

  of(nid: number, memcg: number): number[] {
    const key = `${memcg}:${nid}`;
    const found = this.lists.get(key) ?? [];
    this.lists.set(key, found);
    return found;
  }

  prepare(_: Mm, memcg: number): void {
    this.prepared.add(memcg);
  }

  add(_: Mm, node: number, nid: number, memcg: number): boolean {
    expect(this.prepared.has(memcg)).toBe(true);
    expect(this.refs.get(memcg) ?? 0).toBeGreaterThan(0);
    if (this.full) return false;
    expect([...this.lists.values()].flat()).not.toContain(node);
    this.of(nid, memcg).push(node);
    return true;
  }

  del(_: Mm, node: number, nid: number, memcg: number): void {
    const nodes = this.of(nid, memcg);
    expect(nodes).toContain(node);
    nodes.splice(nodes.indexOf(node), 1);
  }

  get(m: Mm, memcg: number): void {
    memcgGet(m, memcg);
    this.refs.set(memcg, (this.refs.get(memcg) ?? 0) + 1);
  }

  put(m: Mm, memcg: number): void {
    memcgPut(m, memcg);
    this.refs.set(memcg, (this.refs.get(memcg) ?? 0) - 1);
  }

  count(_: Mm, lru: number, nid: number, memcg: number): number {
    expect(lru).toBe(5);
    return this.of(nid, memcg).length;
  }

  walk(m: Mm, lru: number, nid: number, memcg: number, isolate: IsolateNode, nr: number): number {
    expect(lru).toBe(5);
    const nodes = this.of(nid, memcg);
    const remove = (node: number): void => {
      const cluster = clusterOf((node - 1) * SHADOW_NODE_SLOTS);
      expect(spinHeld(m.clusterLock, cluster), 'off before the cluster is let go').toBe(true);
      nodes.splice(nodes.indexOf(node), 1);
    };
    return nodes.slice(0, nr).filter((node) => isolate(node, remove)).length;
  }
}

/** A machine whose shadow nodes are on a plain list. */
function booted(options: FixtureOptions = {}) {
  const list = new PlainList();
  registerShadowList(list);
  const m = bootFixture(options);
  const made: unknown[] = [];
  const result = workingsetInit(m, {
    listLruInit: (_, memcgAware, shrinker) => {
      made.push([memcgAware, shrinker]);
      return 5;
    },
    shrinkerAlloc: (_, flags) => {
      made.push(flags);
      m.shrinker.seeks[3] = 2;
      return 3;
    },
    shrinkerRegister: (_, shrinker) => made.push(`registered ${shrinker}`),
  });
  expect(result).toBe(0);
  expect(made).toEqual([SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE, [true, 3], 'registered 3']);
  expect([m.shadowLru[0], m.shadowLru[1], m.shrinker.seeks[3]]).toEqual([5, 3, 0]);
  return { m, list, shrinker: shadowShrinker(list) };
}

function touch(user: UserContext, from: number, to: number): void {
  const events = Uint32Array.from({ length: to - from }, (_, i) => eventOf(from + i, WRITE));
  expect(user.run(events, 0, events.length, 1, () => undefined)).toBe(0);
}

const control = (memcg: number, nrToScan = 0) => ({ nid: 0, memcg, nrToScan });

afterEach(() => registerShadowList(null));

describe('shadow nodes', () => {
  it('are listed while they have shadows and no folio', () => {
    const { m, list } = booted();
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, 0, 200);
    drainEverything(m);
    while (tryToFreeMemcgPages(m, GROUP, 200, () => false) > 0);
    const listed = list.of(0, GROUP);
    const nodes = [0, 64, 128, 192].map((slot) => shadowNodeOf(FIRST_SLOT + slot));
    expect([...listed].sort()).toEqual(nodes);
    expect(list.refs.get(GROUP)).toBe(4);
    expect(vmstatItems(m).workingset_nodes).toBe(4);
    expect(checkQuiescent(m).violations).toEqual([]);
    // They come back one by one; a slot that is freed takes its shadow along.
    touch(user, 0, 200);
    drainEverything(m);
    expect(list.of(0, GROUP)).toEqual([]);
    expect(list.refs.get(GROUP)).toBe(0);
    expect(vmstatItems(m).workingset_nodes).toBe(0);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('leave the list while one of their slots has a folio', () => {
    const { m, list } = booted({ swapSynchronous: false, pageCluster: 0 });
    for (let i = 0; i < 40; i++) expect(shmemWrite(m, 2, i, 1)).toBe(0);
    drainEverything(m);
    while (tryToFreeMemcgPages(m, GROUP, 40, () => false) > 0);
    expect(list.of(0, GROUP)).toEqual([FIRST_NODE]);
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, 0, 8);
    drainEverything(m);
    while (tryToFreeMemcgPages(m, GROUP, 8, () => false) > 0);
    const read = Uint32Array.of(eventOf(0, 0));
    expect(user.run(read, 0, 1, 1, () => undefined)).toBe(0);
    // The folio stays in the cache of its slot, in the node of the others.
    expect(m.shadowNode.cached[FIRST_NODE]).toBe(1);
    expect(list.of(0, GROUP)).toEqual([]);
    expect(checkQuiescent(m).violations).toEqual([]);
    shmemEvict(m, 2);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('count above an eighth of the pages, and a scan drops the oldest', () => {
    const { m, list, shrinker } = booted({ pages: 2048 });
    expect(shrinker.countObjects(m, control(GROUP))).toBe(-2);
    const user = new UserContext(m, 1, fixtureRegions());
    touch(user, 0, 640);
    drainEverything(m);
    while (tryToFreeMemcgPages(m, GROUP, 640, () => false) > 0);
    const nodes = [...list.of(0, GROUP)];
    expect(nodes.length).toBe(10);
    // The group has no page left: all of its history is too much.
    expect(shrinker.countObjects(m, control(GROUP))).toBe(10);
    touch(user, 700, 732);
    drainEverything(m);
    expect(shrinker.countObjects(m, control(GROUP))).toBe(10 - 4);
    expect(shrinker.countObjects(m, control(0))).toBe(-2);
    expect(shrinker.scanObjects(m, control(GROUP, 3))).toBe(3);
    expect(list.of(0, GROUP)).toEqual(nodes.slice(3));
    expect(vmEvents(m).workingset_nodereclaim).toBe(3);
    expect(vmstatItems(m)).toMatchObject({ workingset_nodes: 7, workingset_nodereclaim: 3 });
    expect(checkQuiescent(m).violations).toEqual([]);
    // Their pages come back as if they had never been here.
    const before = vmEvents(m).workingset_refault_anon;
    touch(user, 0, 640);
    const refaults = vmEvents(m).workingset_refault_anon - before;
    expect(refaults).toBe(640 - 3 * 64);
  });

  it('a node whose cluster is in use is skipped', () => {
    const { m, list, shrinker } = booted();
    for (let i = 0; i < 40; i++) expect(shmemWrite(m, 2, i, 1)).toBe(0);
    drainEverything(m);
    while (tryToFreeMemcgPages(m, GROUP, 40, () => false) > 0);
    spinLock(m.clusterLock, 1, LC_SWAP_CLUSTER);
    expect(shrinker.scanObjects(m, control(GROUP, 8))).toBe(0);
    spinUnlock(m.clusterLock, 1, LC_SWAP_CLUSTER);
    expect(list.of(0, GROUP)).toEqual([FIRST_NODE]);
    expect(shrinker.scanObjects(m, control(GROUP, 8))).toBe(1);
    for (let i = 0; i < 40; i++) expect(shmemRead(m, 2, i)).toBe(1);
    expect(vmEvents(m).workingset_refault_anon).toBe(0);
    shmemEvict(m, 2);
    expect(checkQuiescent(m).violations).toEqual([]);
  });

  it('stay unlisted where their group has no list, and boot reports what failed', () => {
    const { m, list } = booted();
    list.full = true;
    for (let i = 0; i < 40; i++) expect(shmemWrite(m, 2, i, 1)).toBe(0);
    drainEverything(m);
    while (tryToFreeMemcgPages(m, GROUP, 40, () => false) > 0);
    expect(m.shadowNode.listed[FIRST_NODE]).toBe(NODE_NO_LIST);
    expect(vmstatItems(m).workingset_nodes).toBe(0);
    expect(checkQuiescent(m).violations).toEqual([]);
    shmemEvict(m, 2);
    expect(list.refs.get(GROUP)).toBe(0);
    const boot = { listLruInit: () => ENOMEM, shrinkerAlloc: () => 1, shrinkerRegister: () => {} };
    expect(workingsetInit(m, boot)).toBe(ENOMEM);
    expect(workingsetInit(m, { ...boot, shrinkerAlloc: () => ENOMEM })).toBe(ENOMEM);
  });
});
