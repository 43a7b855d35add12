// SPDX-License-Identifier: GPL-2.0-only
/** How a worker of a real machine binds to the engine: the export that EngineRef names. */
import { enterFaults } from '../shared/fault.ts';
import type { LockRegion } from '../shared/lock_region.ts';
import { SRCU_MUTEX } from '../shared/srcu.ts';
import { LINE_WORDS } from '../shared/types.ts';
import type { MmConfig } from '../src/mm/config.ts';
import { faultAttrs } from '../src/mm/faults.ts';
import { HOST_NAMES_LOCK } from '../src/mm/host_types.ts';
import { LIST_STRIDE } from '../src/mm/list_lru_types.ts';
import * as L from '../src/mm/lock_order.ts';
import { enterMapping } from '../src/mm/mapping.ts';
import { attachMm, type Mm } from '../src/mm/mm.ts';
import type { MmBuffers } from '../src/mm/mm_buffers.ts';
import { bindRcuCallbacks } from '../src/mm/rcu_ids.ts';
// Any thread may run what others queued for a grace period: each must know all of it.
import '../src/mm/hostfs.ts';
import '../src/mm/shrinker.ts';
import { SCHED_STAMP_LOCK } from '../src/mm/sched_types.ts';
import { installShrinkerTypes } from '../src/mm/shrinker_install.ts';
import type { Engine } from './engine.ts';
import { takeShrinkerModules } from './user_shrinkers.ts';

/** Every lock whose word holds its owner, by class: reports scan them. */
function lockRegions(m: Mm): LockRegion[] {
  const region = (cls: number, words: LockRegion['words'], count: number, stride: number) => ({
    cls,
    words,
    base: 0,
    stride,
    count,
  });
  const { sizes } = m;
  return [
    region(L.LC_OOM, m.oom, 1, 1),
    region(L.LC_CGROUP, m.cgroup, 1, 1),
    { ...region(L.LC_SHRINKER_SRCU, m.shrinker.srcu.words, 1, 1), base: SRCU_MUTEX },
    region(L.LC_PAGE_TABLE, m.pageTableLock, sizes.nrMms, LINE_WORDS),
    region(L.LC_PTL, m.ptl, sizes.nrTables, 1),
    region(L.LC_TABLE_POOL, m.poolLock, 1, 1),
    region(L.LC_I_PAGES, m.iPages, m.iPages.length, 1),
    region(L.LC_SWAP_CLUSTER, m.clusterLock, sizes.nrClusters, 1),
    region(L.LC_LIST_LRUS, m.lists.words, 1, 1),
    region(L.LC_I_LOCK, m.fs.inode.lock, sizes.fs.nrInodes, 1),
    region(L.LC_D_LOCK, m.fs.dentry.lock, sizes.fs.nrDentries, 1),
    region(L.LC_LIST_LRU, m.lists.list, sizes.lists.nrLists, LIST_STRIDE),
    region(L.LC_OBJECT_LISTS, m.fs.superLock, sizes.fs.nrSupers, LINE_WORDS),
    region(L.LC_OBJECT_LISTS, m.fs.hashLock, m.fs.hashLock.length / LINE_WORDS, LINE_WORDS),
    region(L.LC_OBJCG, m.objcg.lock, sizes.slabs.nrObjcgs, 1),
    region(L.LC_SLAB, m.slabLock, m.slabLock.length / LINE_WORDS, LINE_WORDS),
    region(L.LC_LRU_BATCH, m.lruBatch, m.lruBatch.length / (2 * LINE_WORDS), 2 * LINE_WORDS),
    region(L.LC_LRU, m.lruLock, sizes.nrLruvecs, LINE_WORDS),
    region(L.LC_MEMCG_STOCK, m.stock, m.stock.length / LINE_WORDS, LINE_WORDS),
    region(L.LC_PCP, m.pcp, sizes.nrZones * m.config.cpus, LINE_WORDS),
    region(L.LC_ZONE, m.zoneLock, sizes.nrZones, LINE_WORDS),
    region(L.LC_ZS_CLASS, m.zsClassLock, m.zsClassLock.length / LINE_WORDS, LINE_WORDS),
    region(L.LC_ZS_POOL, m.zsPool, 1, 1),
    { ...region(L.LC_HOST_NAMES, m.hostInfo, 1, 1), base: HOST_NAMES_LOCK },
    region(L.LC_SHRINKER_POOL, m.shrinker.poolLock, 1, 1),
    region(L.LC_FILE_NODES, m.filePool.words, 1, 1),
    region(L.LC_TASKLIST, m.sched.words, 1, 1),
    region(L.LC_RQ, m.sched.rq, m.sched.rq.length / LINE_WORDS, LINE_WORDS),
    region(L.LC_STAMP_POOL, m.sched.words.subarray(SCHED_STAMP_LOCK), 1, 1),
  ];
}

/** The engine of an Mm that is bound already: the main thread's. */
export function engineOf(m: Mm): Engine {
  return {
    sync: m.sync,
    rcu: m.rcu,
    tasks: m.tasks,
    lockRegions: lockRegions(m),
    hungTaskMs: m.config.hungTaskMs,
    target: m,
    takeModules: (modules) => takeShrinkerModules(m, modules),
  };
}

/** @context a worker, at its start */
export function attachEngine(buffers: unknown, config: unknown, id: number, cpu: number): Engine {
  const m = attachMm(buffers as MmBuffers, config as MmConfig, id, cpu);
  bindRcuCallbacks(m);
  installShrinkerTypes(m);
  enterMapping(m);
  enterFaults(m.faults, faultAttrs(m.config.faults), m.config.faultSeed, id);
  return engineOf(m);
}
