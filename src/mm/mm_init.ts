// SPDX-License-Identifier: GPL-2.0-only
/** Filling a new machine's tables: zones, free lists, groups, address spaces (mm/mm_init.c). */

import { assert } from '../../shared/assert.ts';
import { initFaults } from '../../shared/fault.ts';
import { listInit, listNodeInit } from '../../shared/list.ts';
import { initXaPool } from '../../shared/xarray.ts';
import { createCgroup } from './cgroup.ts';
import { setCgroupName } from './cgroup_names.ts';
import type { MemcgConfig } from './config.ts';
import { policyHasKshrinkd } from './contended.ts';
import { deferredSplitInit } from './deferred_split.ts';
import { faultAttrs } from './faults.ts';
import { fsListsInit } from './fs_lists.ts';
import { hasBug, kshrinkdOpen } from './kshrinkd.ts';
import { MAX_PAGE_ORDER } from './limits.ts';
import { listLruTablesInit } from './list_lru_entry.ts';
import { CGROUP_LIVE, CGROUP_SERIAL } from './memcg_css.ts';
import { memcgSetLow, memcgSetMin } from './memcg_protection.ts';
import { GATE_PROGRAMS, GATE_RUNNING, type Mm } from './mm.ts';
import { mmRowsInit } from './mm_rows.ts';
import { MEMCG_ONLINE, PG_RESERVED } from './mm_types.ts';
import { objcgInit } from './objcg.ts';
import { freeOnePageLocked } from './page_alloc.ts';
import { enqueueTask } from './runqueue.ts';
import { SCHED_PID } from './sched_types.ts';
import { shadowListInit } from './shadow_list.ts';
import { shrinkerInit } from './shrinker.ts';
import { slabInit } from './slab.ts';
import { swapInit } from './swap_info.ts';
import { activateTask, makeTask } from './task_rows.ts';
import { setupPcp, setupPerZoneWmarks } from './watermark.ts';
import { zswapInit } from './zswap_shrinker.ts';

/**
 * Makes the machine ready for its first thread.
 * @context the main thread, once, before any worker starts: nothing is contended, nothing blocks
 */
export function mmInit(m: Mm): void {
  listNodeInit(m.link.next, m.link.prev, 0, m.sizes.heads);
  for (let head = m.sizes.heads; head < m.sizes.heads + m.sizes.nrHeads; head++) {
    listInit(m.link.next, m.link.prev, head);
  }
  initZones(m);
  initKshrinkd(m);
  setupPerZoneWmarks(m);
  setupPcp(m);
  shrinkerInit(m);
  slabInit(m);
  objcgInit(m);
  listLruTablesInit(m);
  assert(shadowListInit(m) === 0, 'the first shrinker and list are there');
  zswapInit(m);
  deferredSplitInit(m);
  initMemcgs(m);
  fsListsInit(m);
  swapInit(m);
  initXaPool(m.filePool);
  initProcesses(m);
  initFaults(m.faults, faultAttrs(m.config.faults));
}

/** As posted, a node takes folios before its thread is known to run. */
function initKshrinkd(m: Mm): void {
  const early = policyHasKshrinkd(m.config.contended) && hasBug(m, 'early-publish');
  for (let nid = 0; early && nid < m.sizes.nrNodes; nid++) kshrinkdOpen(m, nid);
}

function initZones(m: Mm): void {
  m.page.flags[0] = PG_RESERVED;
  m.page.refcount[0] = 1;
  let pfn = 1;
  let zone = 0;
  m.config.nodes.forEach((node, nid) => {
    for (const pages of node.zonePages) {
      m.zone.nid[zone] = nid;
      m.zone.startPfn[zone] = pfn;
      m.zone.endPfn[zone] = pfn + pages;
      m.zone.managed[zone] = pages;
      m.page.zone.fill(zone, pfn, pfn + pages);
      freeZone(m, zone, pfn, pages);
      pfn += pages;
      zone++;
    }
  });
  assert(pfn === m.sizes.nrPages, 'zones cover all pages');
}

/**
 * Gives a zone's pages to the buddy lists, highest blocks first so that low pfns are taken first.
 * @context boot, or zone->lock held; the pages have no flag and no reference
 */
export function freeZone(m: Mm, zone: number, start: number, pages: number): void {
  const blocks: { pfn: number; order: number }[] = [];
  for (let at = 0; at < pages; ) {
    let order = 0;
    while (order < MAX_PAGE_ORDER && at % (2 << order) === 0 && at + (2 << order) <= pages) order++;
    blocks.push({ pfn: start + at, order });
    at += 1 << order;
  }
  for (const block of blocks.reverse()) freeOnePageLocked(m, zone, block.pfn, block.order);
}

function initMemcgs(m: Mm): void {
  m.config.memcgs.forEach((memcg, index) => {
    assert(index === 0 ? memcg.parent === 0 : memcg.parent < index, 'parents come before children');
    const max = memcg.maxPages ?? -1;
    const { name, parent } = memcg;
    const row = index === 0 ? initRoot(m, name, max) : createCgroup(m, parent, name, max);
    assert(row === index, 'the groups of the configuration can be made');
    if (index !== 0) initMemcgLimits(m, row, memcg);
  });
}

/** What a group of the configuration is set to beside memory.max. */
function initMemcgLimits(m: Mm, memcg: number, config: MemcgConfig): void {
  m.memcg.high[memcg] = config.highPages ?? -1;
  m.memcg.swapMax[memcg] = config.swapMaxPages ?? -1;
  if (config.minPages !== undefined) memcgSetMin(m, memcg, config.minPages);
  if (config.lowPages !== undefined) memcgSetLow(m, memcg, config.lowPages);
}

/** The one group that has no parent and is never removed. */
function initRoot(m: Mm, name: string, maxPages: number): number {
  setCgroupName(m, 0, name);
  m.memcg.state[0] = MEMCG_ONLINE;
  m.memcg.refs[0] = 1;
  m.memcg.serial[0] = 1;
  m.memcg.max[0] = maxPages;
  m.memcg.high[0] = -1;
  m.memcg.swapMax[0] = -1;
  m.cgroup[CGROUP_SERIAL] = 1;
  m.cgroup[CGROUP_LIVE] = 1;
  return 0;
}

function initProcesses(m: Mm): void {
  m.config.processes.forEach((process, index) => {
    const mm = index + 1;
    m.mm.memcg[mm] = process.memcg;
    Atomics.add(m.memcg.procs, process.memcg, 1);
    m.mm.users[mm] = process.generator ? 1 : process.cpus.length;
    m.mm.running[mm] = process.cpus.length;
    Atomics.add(m.gate, GATE_RUNNING, process.cpus.length);
    // CPUs that take turns come to no barrier.
    const programs = process.generator ? 0 : process.cpus.length;
    Atomics.add(m.gate, GATE_PROGRAMS, programs);
  });
  mmRowsInit(m);
  initTasks(m);
}

/** Processes whose programs are generators stand in the queues of their first CPUs. */
function initTasks(m: Mm): void {
  m.config.processes.forEach((process, index) => {
    // Its pid is its address space's number, as those of the others.
    m.sched.words[SCHED_PID] = index;
    if (!process.generator) return;
    const mm = index + 1;
    const row = makeTask(m, {
      parent: 0,
      mm,
      group: 0,
      cpu: process.cpus[0] as number,
      affinity: process.cpus.reduce((mask, cpu) => mask | (1 << cpu), 0),
      program: m.config.programs.length + index,
      args: null,
    });
    assert(row > 0, 'there is a row for each process of the configuration');
    m.sched.stampSlots[mm] = 1;
    activateTask(m, row, 0);
    enqueueTask(m, row);
  });
  m.sched.words[SCHED_PID] = m.config.processes.length;
}
