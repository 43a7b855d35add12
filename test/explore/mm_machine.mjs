// SPDX-License-Identifier: GPL-2.0-only
/**
 * A whole engine, as small as it boots: one node, one process of two CPUs, with a file of the host
 * or with swap. Its paths have hundreds of steps, so what is explored is bounded: every execution
 * in which few threads are left where they could have gone on.
 *
 * A thread of a scenario is a CPU of the process, or a kthread. Accesses are the TypeScript ones,
 * in sections; the check of every variant has the walkers of the engine look at the whole.
 */
import { ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, newFolder } from './subject.mjs';

export const PAGE = 4096;
/** First page of the process's mapping. */
export const AT = 64;
const CPUS = 2;

const CONFIG = {
  nodes: [{ zonePages: [64] }],
  cpus: CPUS,
  memcgs: [{ name: '', parent: 0, maxPages: null }],
  memcgsMax: 1,
  kmem: false,
  shrinker: 'lockless-fixed',
  shrinkerFlaws: null,
  shrinkersMax: 8,
  shrinkerTypes: [],
  superBlocksMax: 2,
  dentriesMax: 8,
  inodesMax: 4,
  filePagesMax: 64,
  hostFiles: true,
  readAheadKb: 0,
  dirtyRatio: 100,
  dirtyBackgroundRatio: 100,
  dirtyWritebackCentisecs: 0,
  vfsCachePressure: 100,
  processes: [
    {
      comm: 'test',
      memcg: 0,
      cpus: [0, 1],
      program: { module: '', export: '' },
      args: null,
      vmas: [],
      generator: false,
      file: null,
    },
  ],
  programs: [],
  tasksMax: 0,
  contents: true,
  swap: 'none',
  swapPages: 0,
  swappiness: 60,
  pageCluster: 0,
  swapSynchronous: true,
  rmapTryLock: true,
  contended: 'head',
  kshrinkdBugs: [],
  kcompressd: 'off',
  kcompressdThreads: 1,
  kcompressdBugs: [],
  minFreeKbytes: 16,
  watermarkScaleFactor: 10,
  tlbEntries: 0,
  tlbFlushEvents: 0,
  accessKernel: 'ts',
  regionsMax: 1,
  pageTables: 8,
  vmasMax: 6,
  mmsMax: 1,
  lockStat: false,
  lockdep: false,
  hungTaskMs: 10_000,
  seed: 1,
  faults: null,
  faultSeed: 1,
};

const MODULES = [
  'mm/access_kernel',
  'mm/check',
  'mm/content',
  'mm/fault_codes',
  'mm/filemap_io',
  'mm/folio',
  'mm/hostfs',
  'mm/limits',
  'mm/madvise',
  'mm/mapping',
  'mm/memcg_task',
  'mm/memory',
  'mm/mm',
  'mm/mm_init',
  'mm/mm_types',
  'mm/mmap',
  'mm/mmap_file',
  'mm/munmap',
  'mm/pgtable',
  'mm/rcu_ids',
  'mm/shrinker_install',
  'mm/swap',
  'mm/swapoff',
  'mm/tlb',
  'mm/vmscan_direct',
  'rcu',
  'sync_domain',
];

/** @param subject of openSubject */
export async function mmMachine({ load, begin }) {
  const mm = {};
  for (const name of MODULES) Object.assign(mm, await load(name));

  /** The engine as a thread sees it. @param cpu -1 for a kthread */
  function enter(state, id, cpu) {
    const m = mm.attachMm(state.buffers, state.config, id, cpu);
    mm.enterSync(m.sync, id);
    mm.enterRcu(m.rcu, id);
    mm.bindRcuCallbacks(m);
    mm.enterMapping(m);
    mm.installShrinkerTypes(m);
    if (cpu >= 0) {
      m.task.mm = 1;
      Atomics.or(m.mm.cpuMask, 1, 1 << cpu);
      mm.memcgRefresh(m, 1);
    }
    return m;
  }

  /** Boots one. @param prepare what the process does before the threads begin; it is kept */
  function boot(options, prepare) {
    const config = { ...CONFIG, ...options };
    begin({ id: 0 });
    const made = mm.createMm(config);
    mm.mmInit(made);
    const state = { buffers: made.buffers, config };
    const m = enter(state, 1, 0);
    Atomics.or(m.mm.cpuMask, 1, (1 << CPUS) - 1);
    const kept = prepare(m);
    mm.lruAddDrain(m);
    mm.leaveRcu();
    return { ...state, ...kept };
  }

  /** A thread: a CPU of the process, in the order of the threads. */
  function thread(name, act) {
    const run = (state, context) => {
      begin(context);
      const result = act(enter(state, context.id + 1, context.id), state);
      mm.leaveRcu();
      return result ?? 0;
    };
    return Object.defineProperty(run, 'name', { value: name });
  }

  /** One access of a CPU to the first word of a page. @returns the word, or a failing FAULT_* */
  function access(m, vpn, write, value) {
    const need = write ? mm.NEED_WRITE : mm.NEED_READ;
    for (;;) {
      mm.sectionEnter(m);
      const index = mm.pteOffset(m, 1, vpn);
      const entry = index === mm.PTE_NONE ? 0 : Atomics.load(m.pte, index);
      if ((entry & need) === need || (entry !== 0 && mm.markEntry(m, index, entry, need))) {
        const words = mm.pageWords(m, entry >>> mm.PTE_SHIFT);
        // Steps of their own: others may come between the translation and the bytes.
        if (write) Atomics.store(words, 0, value);
        const found = Atomics.load(words, 0);
        mm.sectionLeave(m);
        return found;
      }
      mm.sectionLeave(m);
      const result = mm.handleMmFault(m, 1, vpn, write ? mm.FAULT_FLAG_WRITE : 0);
      if (result !== mm.FAULT_DONE && result !== mm.FAULT_MAJOR) return -result;
    }
  }

  /** When all threads have ended the walkers find nothing wrong, nor does `look`. */
  function checked(look) {
    return (state, results) => {
      begin({ id: 0 });
      const m = enter(state, 1, 0);
      const { violations } = mm.checkQuiescent(m);
      expect(violations.length === 0, violations.join('; '));
      look(m, state, results);
      mm.leaveRcu();
    };
  }

  return { mm, boot, thread, access, checked };
}

/** First word of a page of an open file of the host. */
export function hostWord(fd, page) {
  const word = new Int32Array(1);
  readSync(fd, word, 0, 4, page * PAGE);
  return word[0];
}

/** A file of the host, `f`, in a folder of its own. */
export function scratchFile(pages) {
  const dir = newFolder();
  const fd = openSync(join(dir, 'f'), 'wx+');
  writeSync(fd, new Uint8Array(pages * PAGE));
  return {
    dir,
    /** As long as it was, and empty. */
    restore() {
      ftruncateSync(fd, 0);
      ftruncateSync(fd, pages * PAGE);
    },
    /** First word of a page, which is 0 again after it. */
    take(page) {
      const word = hostWord(fd, page);
      writeSync(fd, new Uint8Array(4), 0, 4, page * PAGE);
      return word;
    },
  };
}
