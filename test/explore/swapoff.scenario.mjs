// SPDX-License-Identifier: GPL-2.0-only
/** Swapoff against faults, unmapping and reclaim: pages come back whole, the device is empty. */
import { AT, mmMachine } from './mm_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  blind_fault: {
    says: 'a fault maps its page without a look whether the entry is still the slot’s',
    module: 'mm/memory',
    edits: [
      [
        'if (Atomics.load(m.pte, pte) !== entry) {\n        ptlUnlock(m, pte);\n        if (major)',
        'if (false) {\n        ptlUnlock(m, pte);\n        if (major)',
      ],
    ],
    variant: 'twice',
  },
  spins: {
    says: 'a fault whose slot was given up tries again at once, for as long as the entry says so',
    module: 'mm/memory',
    edits: [
      [
        'ptlLock(m, pte);\n        ptlUnlock(m, pte);\n        return FAULT_DONE;',
        'return FAULT_DONE;',
      ],
    ],
    variant: 'load',
  },
  two_folios: {
    says: 'a slot gets a second folio in the swap cache',
    module: 'mm/swap_state',
    edits: [['if (count === 0 || (count & SWAP_HAS_CACHE) !== 0) {', 'if (count === 0) {']],
    variant: 'twice',
  },
  one_round: {
    says: 'the device goes after one round, with what was swapped out meanwhile',
    module: 'mm/swapoff',
    edits: [['while (usedSlots(m, device) > 0) {', 'if (usedSlots(m, device) > 0) {']],
    variant: 'pageout',
  },
  open_clusters: {
    says: 'slots of a device that goes are allocated',
    module: 'mm/swapfile',
    edits: [['&& m.cluster.on[cluster] === 1) {', ') {']],
    variant: 'pageout',
  },
};

const subject = await openSubject(import.meta.url, plants, true);
const { mm, boot, thread, access, checked } = await mmMachine(subject);
const DEVICE = '/dev/zram0';
const PAGES = 2;
const wordOf = (page) => 100 + page;

/** Two pages, stored to; `out` of them are in swap, on a device that is waited for or not. */
function swapped(out, swapSynchronous = true) {
  const options = { hostFiles: false, swap: 'zram', swapPages: 8, swapSynchronous };
  return boot(options, (m) => {
    expect(mm.mmapAnon(m, 1, AT, AT + PAGES) > 0, 'mmap');
    for (let page = 0; page < PAGES; page++) access(m, AT + page, true, wordOf(page));
    expect(mm.madvise(m, 1, AT, AT + out, mm.MADV_PAGEOUT) === 0, 'pageout');
    expect(used(m) === out, `${used(m)} slots are used`);
  });
}

const used = (m) => m.swapDevice.pages[0] - m.swapDevice.free[0];

/** The last pages are mapped, and as they were stored. */
function whole(m, pages) {
  for (let page = PAGES - pages; page < PAGES; page++) {
    const entry = m.pte[mm.pteOffset(m, 1, AT + page)];
    expect((entry & mm.PTE_PRESENT) !== 0, `page ${page} is not mapped`);
    const found = mm.pageWords(m, entry >>> mm.PTE_SHIFT)[0];
    expect(found === wordOf(page), `page ${page} has ${found}`);
  }
}

/** @param pages that are mapped at the end */
const broughtBack = (pages) =>
  checked((m, _, results) => {
    expect(m.swapDevice.state[0] === 0 && used(m) === 0, `${used(m)} slots of what is off`);
    expect(results.at(-1) === 0, `swapoff: ${results.at(-1)}`);
    whole(m, pages);
  });

const swapoff = thread('swapoff', (m) => mm.swapoff(m, DEVICE, () => false));
const touch = (name, write) =>
  thread(name, (m) => {
    const found = access(m, AT + 1, write, wordOf(1));
    expect(found === wordOf(1), `${name}: ${found}`);
  });

export const exploration = {
  subject: 'swapoff',
  asserts: 'pages are as they were stored, and a device that is off has no slot in use',
  plainData: false,
  plants,
  variants: {
    load: {
      says: 'a load of a page that is in swap',
      setup: () => swapped(PAGES),
      threads: [touch('load', false), swapoff],
      preemptions: 1,
      check: broughtBack(PAGES),
    },
    twice: {
      says: 'two faults of one page, which stays in the swap cache',
      setup: () => swapped(PAGES, false),
      threads: [touch('load', false), touch('again', false)],
      preemptions: 2,
      check: checked((m) => whole(m, 1)),
    },
    store: {
      says: 'a store to a page that is in swap',
      setup: () => swapped(PAGES),
      threads: [touch('store', true), swapoff],
      preemptions: 1,
      check: broughtBack(PAGES),
    },
    munmap: {
      says: 'a page that is in swap is unmapped',
      setup: () => swapped(PAGES),
      threads: [thread('munmap', (m) => mm.munmap(m, 1, AT, AT + 1)), swapoff],
      preemptions: 2,
      check: broughtBack(PAGES - 1),
    },
    pageout: {
      says: 'a page goes to swap',
      setup: () => swapped(1),
      threads: [
        thread('pageout', (m) => mm.madvise(m, 1, AT + 1, AT + 2, mm.MADV_PAGEOUT)),
        swapoff,
      ],
      preemptions: 2,
      check: broughtBack(PAGES),
    },
  },
};

export const { setup, threads, check, options } = subject.choose(exploration);
