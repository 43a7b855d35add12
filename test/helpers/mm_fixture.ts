// SPDX-License-Identifier: GPL-2.0-only
/** A machine without workers: the test's own thread is its only CPU. */
import { enterRcu, resetRcu } from '../../dist/shared/rcu.js';
import { enterSync, resetSync } from '../../dist/shared/sync_domain.js';
import type { MmConfig } from '../../dist/src/mm/config.js';
import { enterMapping } from '../../dist/src/mm/mapping.js';
import { attachMm, createMm, type Mm } from '../../dist/src/mm/mm.js';
import { mmInit } from '../../dist/src/mm/mm_init.js';
import { mmapAnon } from '../../dist/src/mm/mmap.js';
import { bindRcuCallbacks } from '../../dist/src/mm/rcu_ids.js';
import { installShrinkerTypes } from '../../dist/src/mm/shrinker_install.js';

export type FixtureOptions = Partial<MmConfig> & { pages?: number; memcgMax?: number | null };

export function fixtureConfig(options: FixtureOptions = {}): MmConfig {
  const { pages = 1024, memcgMax = null, ...rest } = options;
  return {
    nodes: [{ zonePages: [pages] }],
    cpus: 1,
    memcgs: [
      { name: '', parent: 0, maxPages: null },
      { name: 'programs', parent: 0, maxPages: memcgMax },
    ],
    memcgsMax: 8,
    kmem: true,
    shrinker: 'lockless-fixed',
    shrinkerFlaws: null,
    shrinkersMax: 64,
    shrinkerTypes: [],
    superBlocksMax: 16,
    dentriesMax: 1024,
    inodesMax: 1024,
    filePagesMax: 1024,
    hostFiles: false,
    readAheadKb: 128,
    dirtyRatio: 20,
    dirtyBackgroundRatio: 10,
    dirtyWritebackCentisecs: 500,
    vfsCachePressure: 100,
    processes: [
      {
        comm: 'test',
        memcg: 1,
        cpus: [0],
        program: { module: '', export: '' },
        args: null,
        vmas: [{ start: 4096, end: 4096 + 8192 }],
        generator: false,
        file: null,
      },
    ],
    programs: [],
    tasksMax: 0,
    contents: true,
    swap: 'zram',
    swapPages: 4096,
    swappiness: 60,
    pageCluster: 3,
    swapSynchronous: true,
    rmapTryLock: true,
    contended: 'head',
    kshrinkdBugs: [],
    kcompressd: 'off',
    kcompressdThreads: 1,
    kcompressdBugs: [],
    minFreeKbytes: null,
    watermarkScaleFactor: 10,
    tlbEntries: 0,
    tlbFlushEvents: 0,
    accessKernel: 'wasm',
    regionsMax: 16,
    pageTables: 64,
    vmasMax: 8,
    mmsMax: 1,
    lockStat: false,
    lockdep: true,
    hungTaskMs: 10_000,
    seed: 1,
    faults: null,
    faultSeed: 1,
    ...rest,
  };
}

/** Boots an Mm on this thread as CPU 0 of process 1, its VMAs mapped. */
export function bootFixture(options: FixtureOptions = {}): Mm {
  const config = fixtureConfig(options);
  // What the test before held is no business of this machine's boot.
  resetSync();
  resetRcu();
  const created = createMm(config);
  mmInit(created);
  const m = attachMm(created.buffers, config, 1, 0);
  enterSync(m.sync, 1);
  enterRcu(m.rcu, 1);
  bindRcuCallbacks(m);
  enterMapping(m);
  installShrinkerTypes(m);
  m.task.mm = 1;
  Atomics.or(m.mm.cpuMask, 1, 1);
  for (const vma of config.processes[0]?.vmas ?? []) mmapAnon(m, 1, vma.start, vma.end);
  return m;
}

/** First vpn of the fixture's VMA. */
export const FIRST_VPN = 4096;

/** Regions that cover the fixture's VMA. */
export function fixtureRegions(): Float64Array {
  return Float64Array.from({ length: 16 }, (_, i) => FIRST_VPN + i * 512);
}

/** Event word of a page of the VMA. */
export function eventOf(page: number, kind: number): number {
  return (page << 2) | kind;
}
