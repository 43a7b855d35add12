// SPDX-License-Identifier: GPL-2.0-only
/** A node that goes offline and comes back: what moves, what is counted, what keeps it. */
import { describe, expect, it } from 'vitest';
import { enterFaults, faultsInjected, leaveFaults } from '../../../dist/shared/fault.js';
import { rcuBarrier } from '../../../dist/shared/rcu_callback.js';
import { drainEverything } from '../../../dist/src/mm/drain.js';
import { EBUSY, EINVAL, ENOENT, ENOMEM } from '../../../dist/src/mm/errno.js';
import { FAULT_PAGE_ALLOC, faultAttrs } from '../../../dist/src/mm/faults.js';
import { folioNid } from '../../../dist/src/mm/folio.js';
import { offlineNode, offlineNote, onlineNode } from '../../../dist/src/mm/memory_hotplug.js';
import { mlock } from '../../../dist/src/mm/mlock.js';
import type { Mm } from '../../../dist/src/mm/mm.js';
import { allocPages } from '../../../dist/src/mm/page_alloc_slow.js';
import { readMachineFile, writeMachineFile } from '../../../dist/src/mm/proc_access.js';
import { procMeminfo } from '../../../dist/src/mm/proc_meminfo.js';
import { procZoneinfo } from '../../../dist/src/mm/proc_zoneinfo.js';
import { shmemEvict } from '../../../dist/src/mm/shmem.js';
import { shmemRead, shmemWrite } from '../../../dist/src/mm/shmem_io.js';
import { slabAlloc, slabFree } from '../../../dist/src/mm/slab.js';
import { CACHE_DENTRY } from '../../../dist/src/mm/slab_types.js';
import { discardNewPage } from '../../../dist/src/mm/swap.js';
import { pgdatBalanced } from '../../../dist/src/mm/vmscan_kswapd.js';
import { vmEvents, vmGauges } from '../../../dist/src/mm/vmstat.js';
import {
  context,
  exit,
  expectEmpty,
  expectSound,
  fork,
  pfnOf,
  range,
  touch,
  verify,
} from '../../helpers/fork_fixture.js';
import { bootNodes, NODE_PAGES } from '../../helpers/migrate_fixture.js';
import { FIRST_VPN } from '../../helpers/mm_fixture.js';

const STATE = '/sys/devices/system/node/node0/state';

function memTotalKb(m: Mm): number {
  return Number(/MemTotal:\s+(\d+)/.exec(procMeminfo(m))?.[1]);
}

describe('offline and online', () => {
  it('everything movable goes to the other node, and totals are without it', () => {
    const m = bootNodes();
    const user = context(m, 1);
    touch(m, user, range(0, 300));
    const child = fork(m, user);
    touch(m, child, range(0, 100));
    expect(mlock(m, child.mm, FIRST_VPN, FIRST_VPN + 8)).toBe(0);
    for (let i = 0; i < 32; i++) expect(shmemWrite(m, 7, i, 100 + i)).toBe(0);
    expect(folioNid(m, pfnOf(m, 1, 5))).toBe(0);
    expect(offlineNode(m, 0)).toBe(0);
    expect(offlineNote.text).toBe('');
    for (const page of [0, 5, 299]) expect(folioNid(m, pfnOf(m, 1, page))).toBe(1);
    expectSound(m);
    expect(memTotalKb(m)).toBe(NODE_PAGES * 4);
    expect(vmGauges(m).nr_free_pages).toBeLessThan(NODE_PAGES);
    expect(procZoneinfo(m)).toMatch(/Node 0, zone[\s\S]*managed {2}0[\s\S]*Node 1/);
    expect(pgdatBalanced(m, 0, 0)).toBe(true);
    expect(vmEvents(m).pgmigrate_success).toBe(432);
    for (const one of [user, child]) expect(verify(m, one).mismatches).toBe(0);
    for (let i = 0; i < 32; i++) expect(shmemRead(m, 7, i)).toBe(100 + i);
    expect(onlineNode(m, 0)).toBe(0);
    expectSound(m);
    expect(memTotalKb(m)).toBe(2 * NODE_PAGES * 4);
    touch(m, user, range(300, 400));
    expect(folioNid(m, pfnOf(m, 1, 350))).toBe(0);
    shmemEvict(m, 7);
    exit(m, 1);
    exit(m, child.mm);
    rcuBarrier();
    expectEmpty(m);
  });

  it('allocations fall back, whatever node they prefer', () => {
    const m = bootNodes();
    expect(offlineNode(m, 0)).toBe(0);
    const pfn = allocPages(m, 0, 0);
    expect(folioNid(m, pfn)).toBe(1);
    expect(folioNid(m, allocPages(m, 0, 3))).toBe(1);
  });

  it('pages that are freed while the node empties are not given out again', () => {
    const m = bootNodes();
    const user = context(m, 1);
    touch(m, user, range(0, 40));
    exit(m, 1);
    // On this CPU's list now: drained, not lost.
    expect(offlineNode(m, 0)).toBe(0);
    expectEmpty(m);
  });

  it('the last node with memory stays, and so do nodes that are not there', () => {
    const m = bootNodes();
    expect(offlineNode(m, 1)).toBe(0);
    expect(offlineNode(m, 1)).toBe(0);
    expect(offlineNode(m, 0)).toBe(EBUSY);
    expect(offlineNote.text).toBe('node 0 is the last one with memory');
    for (const nid of [-1, 2, 0.5]) expect(offlineNode(m, nid)).toBe(EINVAL);
    expect(onlineNode(m, 9)).toBe(EINVAL);
    expectSound(m);
  });

  it('kernel objects keep it: it says what, is online again, and has lost nothing', () => {
    const m = bootNodes();
    const user = context(m, 1);
    touch(m, user, range(0, 50));
    const object = slabAlloc(m, CACHE_DENTRY);
    expect(offlineNode(m, 0)).toBe(EBUSY);
    expect(offlineNote.text).toMatch(/^node 0: pfn \d+: kernel objects of slab \d+$/);
    expect(memTotalKb(m)).toBe(2 * NODE_PAGES * 4);
    expect(folioNid(m, allocPages(m, 0, 3))).toBe(0);
    slabFree(m, CACHE_DENTRY, object);
    expect(verify(m, user).mismatches).toBe(0);
  });

  it('one allocation that fails does not keep it; no memory at all does', () => {
    const m = bootNodes();
    const user = context(m, 1);
    touch(m, user, range(0, 300));
    const failing = (oneIn: number) => {
      const faults = { fail_page_alloc: { oneIn, interval: 1, times: null } };
      enterFaults(m.faults, faultAttrs(faults), 1, 1);
      try {
        return offlineNode(m, 0);
      } finally {
        leaveFaults();
      }
    };
    expect(failing(1)).toBe(ENOMEM);
    expect(offlineNote.text).toMatch(/^node 0: pfn \d+: no memory to move it to$/);
    expect(failing(50)).toBe(0);
    expect(faultsInjected(m.faults)[FAULT_PAGE_ALLOC]).toBeGreaterThan(4);
    for (const page of [0, 5, 299]) expect(folioNid(m, pfnOf(m, 1, page))).toBe(1);
    expectSound(m);
    expect(verify(m, user).mismatches).toBe(0);
  });

  it('a page that somebody holds keeps it until it is put', () => {
    const m = bootNodes();
    const pfn = allocPages(m, 0, 0);
    expect(offlineNode(m, 0)).toBe(EBUSY);
    expect(offlineNote.text).toMatch(new RegExp(`^node 0: pfn ${pfn}: in use`));
    discardNewPage(m, pfn);
    expect(offlineNode(m, 0)).toBe(0);
  });

  it('one node moves at a time', () => {
    const m = bootNodes();
    Atomics.store(m.hotplug, 0, 9);
    expect([offlineNode(m, 0), onlineNode(m, 0)]).toEqual([EBUSY, EBUSY]);
  });

  it('a file says and changes it', () => {
    const m = bootNodes();
    expect(readMachineFile(m, STATE)).toBe('online\n');
    expect(writeMachineFile(m, STATE, 'offline\n')).toBe(0);
    expect(readMachineFile(m, STATE)).toBe('offline\n');
    expect(writeMachineFile(m, STATE, 'off')).toBe(EINVAL);
    expect(writeMachineFile(m, STATE.replace('0', '2'), 'online')).toBe(ENOENT);
    expect(writeMachineFile(m, STATE, 'online')).toBe(0);
    drainEverything(m);
    expectSound(m);
  });
});
