// SPDX-License-Identifier: GPL-2.0-only
/** The configuration of the machines that benches build: a small one, and what differs. */
import type { MmConfig } from '../src/mm/config.ts';

/** @param changes what the bench is about */
export function benchConfig(changes: Partial<MmConfig>): MmConfig {
  return {
    nodes: [{ zonePages: [4096] }],
    cpus: 1,
    memcgs: [{ name: '/', parent: 0, maxPages: null }],
    memcgsMax: 1,
    kmem: true,
    shrinker: 'lockless-fixed',
    shrinkerFlaws: null,
    shrinkersMax: 64,
    shrinkerTypes: [],
    superBlocksMax: 16,
    dentriesMax: 1024,
    inodesMax: 1024,
    filePagesMax: 1024,
    vfsCachePressure: 100,
    processes: [],
    contents: false,
    swap: 'none',
    swapPages: 0,
    swappiness: 60,
    pageCluster: 3,
    swapSynchronous: true,
    minFreeKbytes: null,
    watermarkScaleFactor: 10,
    tlbEntries: 0,
    tlbFlushEvents: 0,
    accessKernel: 'wasm',
    regionsMax: 1,
    pageTables: 8,
    vmasMax: 8,
    programs: [],
    tasksMax: 0,
    mmsMax: 1,
    lockStat: false,
    lockdep: false,
    hungTaskMs: 10_000,
    seed: 1,
    faults: null,
    faultSeed: 1,
    ...changes,
  };
}
