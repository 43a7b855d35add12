// SPDX-License-Identifier: GPL-2.0-only
/** Per-VMA locks: a fault against munmap, a VMA that shrinks, and a row that is given out again. */
import { elapsedMs, expect, openSubject, PROMPT_MS, sharedTables } from './subject.mjs';

const plants = {
  no_wait: {
    says: 'a writer marks the VMA and does not wait for the faults in it',
    module: 'mm/vma_lock',
    edits: [
      ['rwsemDownWrite(m.vmaLock, vma * RWSEM_WORDS, LC_VMA);', ''],
      ['rwsemUpWrite(m.vmaLock, vma * RWSEM_WORDS, LC_VMA);', ''],
    ],
  },
  one_look: {
    says: 'a fault does not look again whether a writer came before its lock',
    module: 'mm/vma_lock',
    edits: [
      ['let result = LOCKED;\n    if (!open(m, mm, vma))', 'let result = LOCKED;\n    if (mm < 0)'],
    ],
  },
  anothers: {
    says: 'a fault takes a row that is another address space’s by now',
    module: 'mm/vma_lock',
    edits: [['else if (m.vma.mm[vma] !== mm)', 'else if (mm < 0)']],
    variant: 'reuse',
  },
  bounds: {
    says: 'a fault does not look whether its page is still in the VMA',
    module: 'mm/vma_lock',
    edits: [['vpn >= m.vma.end[vma]) {\n        result', 'mm < 0) {\n        result']],
    variant: 'shrink',
  },
  no_seq: {
    says: 'the locks are opened while the VMA is still being changed',
    module: 'mm/vma_lock',
    edits: [['Atomics.store(m.vma.lockSeq, vma, seq);', '']],
  },
};

const { begin, choose, load } = await openSubject(import.meta.url, plants);
const lock = await load('mm/vma_lock');
const rwsem = await load('rwsem');
const rcu = await load('rcu');
const { initRcu } = await load('rcu_table');
const { EV } = await load('mm/vmstat_items');

const MM = 1;
const OTHER = 2;
const VMA = 1;
const START = 10;
const END = 20;
const VPN = 15;

/** Words of the model: the page's entry, and whether somebody takes it away just now. */
const PTE = 0;
const CHANGING = 1;
const LATER = 2;

/** What of an Mm the lock sees: an address space with one VMA, and another without. */
function tables() {
  const made = sharedTables((builder) => ({
    rcu: rcu.declareRcu(builder, { queueEntries: 2 }),
    mm: builder.columns('mm', { vmaHead: 'i32', lockSeq: 'i32' }, 3),
    vma: builder.columns(
      'vma',
      { start: 'f64', end: 'f64', next: 'i32', mm: 'i32', lockSeq: 'i32' },
      3,
    ),
    vmaLock: builder.columns('vm_lock', { words: 'i32' }, 3 * rwsem.RWSEM_WORDS).words,
    mmapLock: builder.columns('mmap_lock', { words: 'i32' }, rwsem.RWSEM_WORDS).words,
    words: builder.columns('words', { words: 'i32' }, 4).words,
  }));
  initRcu(made.rcu);
  made.mm.vmaHead[MM] = VMA;
  made.mm.lockSeq[MM] = 1;
  // As it is by chance where a row goes from one to the other.
  made.mm.lockSeq[OTHER] = 5;
  made.vma.start[VMA] = START;
  made.vma.end[VMA] = END;
  made.vma.mm[VMA] = MM;
  made.words[PTE] = 1;
  return made;
}

function enter(state, context) {
  begin(context);
  rcu.enterRcu(state.rcu, context.id + 1);
  const events = new Float64Array(Object.keys(EV).length);
  return { ...state, config: { perVmaLocks: true }, task: { events } };
}

function leave(m) {
  rcu.leaveRcu();
  expect(elapsedMs() < PROMPT_MS, 'a wake-up was lost: only looking again helped');
  return m.task.events[EV.vma_lock_miss];
}

/** What a fault does in its VMA: nobody takes the page away meanwhile. */
function mapPage({ words, vma }) {
  expect(Atomics.load(words, CHANGING) === 0, 'a fault is in a VMA that is being changed');
  Atomics.store(words, PTE, 2);
  expect(Atomics.load(words, CHANGING) === 0, 'a VMA is changed under a fault');
  const holds = vma.mm[VMA] === MM && VPN >= vma.start[VMA] && VPN < vma.end[VMA];
  expect(holds, 'a fault is in a VMA that does not hold its page');
}

function fault(state, context) {
  const m = enter(state, context);
  const vma = lock.lockVmaUnderRcu(m, MM, VPN);
  if (vma !== 0) {
    mapPage(m);
    lock.vmaEndRead(m, vma);
    return leave(m);
  }
  rwsem.rwsemDownRead(m.mmapLock, 0, 0);
  const found = m.mm.vmaHead[MM];
  if (found !== 0 && VPN < m.vma.end[found]) mapPage(m);
  rwsem.rwsemUpRead(m.mmapLock, 0, 0);
  return leave(m);
}

/** Changes the VMA as a call does that holds mmap_lock. */
function changing(m, change) {
  rwsem.rwsemDownWrite(m.mmapLock, 0, 0);
  lock.vmaStartWrite(m, VMA);
  Atomics.store(m.words, CHANGING, 1);
  Atomics.store(m.words, PTE, 0);
  change();
  Atomics.store(m.words, CHANGING, 0);
  lock.vmaEndWriteAll(m, MM);
  rwsem.rwsemUpWrite(m.mmapLock, 0, 0);
}

/** As removeVma: out of the list, then free. */
function remove(m) {
  m.mm.vmaHead[MM] = 0;
  lock.vmaDetach(m, VMA);
  m.vma.mm[VMA] = 0;
}

function unmapper(state, context) {
  const m = enter(state, context);
  changing(m, () => remove(m));
  return leave(m);
}

/** The same row is another address space's afterwards, at the same place. */
function reuser(state, context) {
  const m = enter(state, context);
  changing(m, () => remove(m));
  m.vma.mm[VMA] = OTHER;
  lock.vmaAttach(m, VMA);
  m.mm.vmaHead[OTHER] = VMA;
  lock.vmaEndWriteAll(m, OTHER);
  Atomics.store(m.words, LATER, 1);
  return leave(m);
}

function shrinker(state, context) {
  const m = enter(state, context);
  changing(m, () => {
    m.vma.end[VMA] = VPN;
  });
  return leave(m);
}

/** A page that nobody can reach is not mapped. */
function gone({ words }) {
  expect(words[PTE] === 0, 'a page is mapped where nothing is');
}

const variant = (says, threads, bound = {}) => ({
  says,
  setup: tables,
  threads,
  check: gone,
  // Plain words of the VMA decide what a thread does next: no order is like another.
  reduction: false,
  preemptions: 2,
  ...bound,
});

export const exploration = {
  subject: 'mm/vma_lock',
  asserts: 'no fault is in a VMA that is changed, gone, or another’s; no wake-up lost',
  plainData: false,
  plants,
  variants: {
    munmap: variant('a fault and munmap', [fault, unmapper]),
    shrink: variant('a fault and a VMA that shrinks', [fault, shrinker]),
    reuse: variant('a fault and munmap; the row is given out again', [fault, reuser]),
    faults: variant('two faults and munmap', [fault, fault, unmapper], { preemptions: 1 }),
  },
};

export const { setup, threads, check, options } = choose(exploration);
