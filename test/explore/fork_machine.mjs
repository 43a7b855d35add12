// SPDX-License-Identifier: GPL-2.0-only
/**
 * A whole machine of src/mm, as small as it gets: 64 pages, swap for 16, two CPUs and a kernel
 * thread. Process 1 has mapped two pages and stored to one, and what is known; a second address
 * space is there to become its child.
 *
 * The modules are too many to order their plain accesses as well: threads change at Atomics.
 */
import { expect } from './subject.mjs';

/** The page of process 1, and the address space of its child. */
export const START = 4096;
export const PARENT = 1;
export const CHILD = 2;
/** What process 1 has stored, and what stores of a scenario are. */
export const FIRST = 111;
export const SECOND = 222;

const MODULES = [
  ...['access_kernel', 'anon_vma', 'check', 'drain', 'exit_mm', 'folio', 'fork', 'fault_codes'],
  ...['mapping', 'memcg_task', 'memory', 'migrate', 'mm', 'mm_init', 'mm_rows', 'mm_types', 'mmap'],
  ...[
    'madvise',
    'mlock',
    'mremap',
    'munmap',
    'oom_reap',
    'page_alloc_slow',
    'pgtable',
    'rcu_ids',
    'swap',
  ],
  ...['swap_state', 'tlb', 'verify', 'vmscan_pages', 'zap', 'content'],
];

const CONFIG = {
  nodes: [{ zonePages: [64] }],
  cpus: 2,
  memcgs: [
    { name: '', parent: 0, maxPages: null },
    { name: 'programs', parent: 0, maxPages: null },
  ],
  memcgsMax: 2,
  kmem: true,
  shrinker: 'lockless-fixed',
  shrinkerFlaws: null,
  shrinkersMax: 2,
  shrinkerTypes: [],
  superBlocksMax: 1,
  dentriesMax: 1,
  inodesMax: 1,
  filePagesMax: 1,
  hostFiles: false,
  readAheadKb: 0,
  dirtyRatio: 20,
  dirtyBackgroundRatio: 10,
  dirtyWritebackCentisecs: 500,
  vfsCachePressure: 100,
  processes: [
    {
      comm: 'parent',
      memcg: 1,
      cpus: [0],
      program: { module: '', export: '' },
      args: null,
      vmas: [],
      generator: false,
    },
  ],
  programs: [],
  tasksMax: 0,
  contents: true,
  swap: 'zram',
  swapPages: 16,
  swappiness: 60,
  pageCluster: 0,
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
  accessKernel: 'ts',
  regionsMax: 1,
  pageTables: 12,
  vmasMax: 6,
  mmsMax: 3,
  lockStat: false,
  lockdep: false,
  hungTaskMs: 10_000,
  seed: 1,
  faults: null,
  faultSeed: 1,
};

/** What threads of a scenario do to the machine. @param e the modules, as one object */
function actsOf(e) {
  const entryAt = (m, mm, vpn) => {
    const pte = e.pteOffset(m, mm, vpn);
    return pte === e.PTE_NONE ? 0 : Atomics.load(m.pte, pte);
  };

  /** The CPU's own try at an access. @returns the frame, in whose section it is then; or -1 */
  function translate(m, mm, vpn, need) {
    e.sectionEnter(m);
    const pte = e.pteOffset(m, mm, vpn);
    const entry = pte === e.PTE_NONE ? 0 : Atomics.load(m.pte, pte);
    const hit = (entry & need) === need || (pte !== e.PTE_NONE && e.markEntry(m, pte, entry, need));
    if (hit) return entry >>> e.PTE_SHIFT;
    e.sectionLeave(m);
    return -1;
  }

  /**
   * An access of this CPU, which runs in `mm`: faults until it is done.
   * @returns what was there; -1 when the fault fails, as those of a victim of the OOM killer do
   */
  function access(m, mm, vpn, write, value = 0) {
    const need = write ? e.NEED_WRITE : e.NEED_READ;
    for (;;) {
      const pfn = translate(m, mm, vpn, need);
      if (pfn >= 0) {
        const words = e.pageWords(m, pfn);
        const seen = Atomics.load(words, 0);
        if (write) Atomics.store(words, 0, value);
        e.sectionLeave(m);
        return seen;
      }
      const result = e.handleMmFault(m, mm, vpn, write ? e.FAULT_FLAG_WRITE : 0);
      if (result === e.FAULT_OOM) return -1;
      expect(result === e.FAULT_DONE || result === e.FAULT_MAJOR, `the fault fails: ${result}`);
    }
  }

  const load = (m, mm, vpn = START) => access(m, mm, vpn, false);
  const store = (m, mm, value, vpn = START) => access(m, mm, vpn, true, value);

  /** Reclaims a page, whoever has used it lately. */
  function reclaim(m, pfn) {
    if (!e.folioTryGet(m, pfn)) return;
    e.reclaimPages(m, [pfn], (one) => e.folioPut(m, one));
  }

  /** Moves a page to another frame, or not. */
  function migrate(m, pfn) {
    if (!e.isolateForMigration(m, pfn)) return;
    e.migratePages(m, [pfn], () => e.allocPages(m, 0, 0, true), true);
  }

  /**
   * What an address space holds there: 0 for a page that nobody has touched. A page that is
   * resident is looked at by an Atomics load, so that the order of stores to it matters.
   */
  function content(m, mm, vpn = START) {
    const pte = e.pteOffset(m, mm, vpn);
    if (pte === e.PTE_NONE) return 0;
    const entry = Atomics.load(m.pte, pte);
    if ((entry & e.PTE_PRESENT) !== 0)
      return Atomics.load(e.pageWords(m, entry >>> e.PTE_SHIFT), 0);
    const words = new Int32Array(1024);
    return e.readPage(m, pte, words) ? words[0] : 0;
  }

  return { entryAt, load, store, reclaim, migrate, content };
}

/** @param subject of openSubject */
export async function mmMachine({ load, begin }) {
  const e = { ...(await load('rcu')), ...(await load('sync_domain')), ...(await load('thread')) };
  for (const name of MODULES) Object.assign(e, await load(`mm/${name}`));
  const acts = actsOf(e);

  /** The machine as a thread sees it, which then has to leave RCU. */
  function attach(state, context, cpu) {
    const id = context.id + 1;
    begin(context);
    const m = e.attachMm(state.buffers, state.config, id, cpu);
    e.enterSync(m.sync, id);
    e.enterRcu(m.rcu, id);
    e.bindRcuCallbacks(m);
    e.enterMapping(m);
    return m;
  }

  function detach(m) {
    e.switchMm(m, 0);
    e.memcgLeave(m);
    e.leaveRcu();
  }

  /** A thread: a CPU, or -1 for a kernel thread. @param act gets its machine, and the state */
  function thread(name, cpu, act) {
    const run = (state, context) => {
      const m = attach(state, context, cpu);
      const result = act(m, state);
      detach(m);
      return result ?? 0;
    };
    return Object.defineProperty(run, 'name', { value: name });
  }

  /**
   * @param options config, beside the fixed one; `first(m, pfn)`: what has happened to the page
   * before; what it returns becomes a part of the state
   */
  function machine({ config = {}, first = () => ({}) } = {}) {
    const state = { config: { ...CONFIG, ...config } };
    const made = e.createMm(state.config);
    e.mmInit(made);
    state.buffers = made.buffers;
    const m = attach(state, { id: 0 }, 0);
    for (let id = 1; id < 8; id++) m.sync.threads.state[id] = e.THREAD_RUNNING;
    e.switchMm(m, PARENT);
    e.mmapAnon(m, PARENT, START, START + 2);
    expect(e.allocMm(m) === CHILD, 'the child has another row');
    acts.store(m, PARENT, FIRST);
    e.drainEverything(m);
    state.pfn = acts.entryAt(m, PARENT, START) >>> e.PTE_SHIFT;
    Object.assign(state, first(m, state.pfn));
    e.drainEverything(m);
    detach(m);
    return state;
  }

  /** Nothing is wrong, and nothing is left when both have ended. @param look at the contents */
  function sound(look) {
    return (state, results) => {
      const m = attach(state, { id: 0 }, 0);
      const holds = (check) => {
        const { violations } = check(m);
        expect(violations.length === 0, violations.join('; '));
      };
      e.drainEverything(m);
      holds(e.checkQuiescent);
      look(m, results, state);
      for (const mm of [PARENT, CHILD]) {
        if (Atomics.load(m.mm.users, mm) === 0) continue;
        e.switchMm(m, mm);
        e.exitMm(m, mm);
      }
      e.drainEverything(m);
      holds(e.checkEmpty);
      detach(m);
    };
  }

  return { ...e, ...acts, machine, thread, sound };
}
