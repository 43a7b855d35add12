// SPDX-License-Identifier: GPL-2.0-only
/** A page of one or two processes: fork, copies, ends, moves, reclaim, migration side by side. */
import { CHILD, FIRST, mmMachine, PARENT, SECOND, START } from './fork_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  unlocked_copy: {
    says: 'fork copies entries without ptl',
    module: 'mm/fork',
    edits: [
      ['ptlLock(m, first);\n    for', 'for'],
      ['ptlUnlock(m, first);', ''],
    ],
    variant: 'reclaim',
  },
  uncounted_slot: {
    says: 'fork copies a swap entry and does not count it',
    module: 'mm/fork',
    edits: [['copied.full = !swapDuplicate(m, target);', '']],
    variant: 'reclaim',
  },
  late_link: {
    says: 'the child is in sight of the rmap when its entries have been copied',
    module: 'mm/fork',
    edits: [
      ['anonVmaFork(m, copy, vma) < 0', 'false'],
      ['condResched();\n    });', 'condResched();\n    });\n    anonVmaFork(m, copy, vma);'],
    ],
    variant: 'migrate',
  },
  no_flush: {
    says: 'fork does not wait for CPUs that may still store',
    module: 'mm/fork',
    edits: [['tlbFlush(m, Atomics.load(m.mm.cpuMask, parentMm));', '']],
    variant: 'writer',
  },
  no_mask: {
    says: 'a CPU does not say which address space it runs',
    twin: true,
    variant: 'writer',
  },
  no_recheck: {
    says: 'a copy takes the place of whatever the entry holds by then',
    module: 'mm/memory_cow',
    edits: [['if (!same || (found & PTE_WRITE) !== 0)', 'if (false)']],
    variant: 'copyReclaim',
  },
  cached_orphan: {
    says: 'a page that is copied away from its last owner stays in the swap cache',
    module: 'mm/memory_cow',
    edits: [['freeSwapCache(m, old);', ';']],
    variant: 'copyCached',
  },
  early_look: {
    says: 'who drops a slot looks for its page before, and misses one that comes meanwhile',
    module: 'mm/zap',
    edits: [
      ['const page = swapCacheGet(m, slot);', ''],
      [
        'if (swapFree(m, slot) !== 0)\n        return;',
        'const page = swapCacheGet(m, slot); swapFree(m, slot);',
      ],
    ],
    variant: 'swapExit',
  },
  blind_reuse: {
    says: 'a page is taken for its writer’s alone although a swap entry leads to it',
    module: 'mm/memory_cow',
    edits: [['const alone = Atomics.load(m.page.refcount, pfn) === 1;', 'const alone = true;']],
    variant: 'swapped',
  },
  blind_exclusive: {
    says: 'a page from swap is its process’s alone although another maps it',
    module: 'mm/memory',
    edits: [['others === 0 && Atomics.load(m.page.mapcount, page) === 0', 'others === 0']],
    variant: 'swapins',
  },
  unlocked_move: {
    says: 'entries move while walks of the rmap look for them',
    module: 'mm/mremap',
    edits: [
      ['if (root !== 0)\n        anonVmaLockRoot(m, root);', ''],
      ['if (root !== 0)\n        anonVmaUnlockRoot(m, root);', ''],
    ],
    variant: 'moveMigrate',
  },
  zero_again: {
    says: 'a fault maps the zero page where the OOM reaper was',
    module: 'mm/memory',
    edits: [['if (!mmUnstable(m, mm))\n            Atomics', 'Atomics']],
    variant: 'reapFault',
  },
  early_free: {
    says: 'pages are given back before CPUs have left their sections',
    module: 'mm/zap',
    edits: [['if (pages.length > 0 && cpuMask !== 0)', 'if (false)']],
    variant: 'dropWriter',
  },
};

const subject = await openSubject(import.meta.url, plants);
const e = await mmMachine(subject);
const { machine, thread, sound, content, entryAt } = e;

const THIRD = 333;
const MOVED = START + 700;

/** A CPU that runs in an address space. */
const inside = (name, cpu, mm, act) =>
  thread(name, cpu, (m, state) => {
    if (subject.plant === 'no_mask') m.task.mm = mm;
    else e.switchMm(m, mm);
    return act(m, state);
  });

/** @returns what the child has when the fork is done; -12 when it failed */
const forker = inside('forker', 0, PARENT, (m) => {
  return e.dupMm(m, PARENT, CHILD) || content(m, CHILD);
});
const parentWriter = inside('parentWriter', 0, PARENT, (m) => e.store(m, PARENT, SECOND));
const writer = inside('writer', 1, PARENT, (m) => e.store(m, PARENT, SECOND));
const childWriter = inside('childWriter', 1, CHILD, (m) => e.store(m, CHILD, THIRD));
const childReader = inside('childReader', 1, CHILD, (m) => e.load(m, CHILD));
const parentReader = inside('parentReader', 0, PARENT, (m) => e.load(m, PARENT));
const reader = inside('reader', 1, PARENT, (m) => e.load(m, PARENT));
const leaver = inside('leaver', 0, PARENT, (m) => {
  e.exitMm(m, PARENT);
});
const mover = inside('mover', 0, PARENT, (m) => e.mremap(m, PARENT, START, 1, 1, MOVED));
const locker = inside('locker', 0, PARENT, (m) => e.mlock(m, PARENT, START, START + 1));
/** Its next page gets the frame of the one that it drops. */
const dropper = inside('dropper', 0, PARENT, (m) => {
  expect(e.madvise(m, PARENT, START, START + 1, e.MADV_DONTNEED) === 0, 'madvise fails');
  e.store(m, PARENT, THIRD, START + 1);
});
const reclaimer = thread('reclaimer', -1, (m, { pfn }) => e.reclaim(m, pfn));
const migrator = thread('migrator', -1, (m, { pfn }) => e.migrate(m, pfn));
const reaper = thread('reaper', -1, (m) => (e.oomReapTask(m, PARENT, 0) ? 1 : 0));

const forked = (more = () => ({})) => ({
  first: (m, pfn) => {
    expect(e.dupMm(m, PARENT, CHILD) === 0, 'no child');
    return more(m, pfn);
  },
});

/** The page gets a slot, and stays mapped. */
function cached(m, pfn) {
  e.folioLock(m, pfn);
  expect(e.addToSwap(m, pfn) > 0, 'no slot');
  e.folioUnlock(m, pfn);
}

function swappedOut(m, pfn) {
  e.drainEverything(m);
  e.reclaim(m, pfn);
  expect((entryAt(m, PARENT, START) & e.PTE_PRESENT) === 0, 'the page is not swapped out');
}

const holds = (m, mm, value, vpn = START) => {
  const found = content(m, mm, vpn);
  expect(found === value, `process ${mm} finds ${found}, not ${value}`);
};

/** Both hold what the parent had stored, and neither may write to it. */
function copied(m, [child]) {
  expect(child === FIRST, `the child began with ${child}`);
  for (const mm of [PARENT, CHILD]) {
    holds(m, mm, FIRST);
    expect((entryAt(m, mm, START) & e.PTE_WRITE) === 0, `process ${mm} may write`);
  }
}

/** The child has what there was at the fork, the parent what was stored, before or after. */
function snapshot(m, [child]) {
  expect(child === FIRST || child === SECOND, `the child began with ${child}`);
  holds(m, CHILD, child);
  holds(m, PARENT, SECOND);
}

const childCopied = (m) => {
  holds(m, CHILD, THIRD);
  holds(m, PARENT, FIRST);
};
const childAlone = (m) => holds(m, CHILD, THIRD);
const nothing = () => undefined;

function movedOn(m, [error]) {
  expect(error === 0, `mremap fails: ${error}`);
  holds(m, PARENT, FIRST, MOVED);
}

/** What threads do to a page that one process has, and what must hold then. */
const ofOne = {
  reclaim: ['a process is forked; its page is reclaimed', [forker, reclaimer], copied],
  migrate: ['a process is forked; its page moves', [forker, migrator], copied],
  writer: ['a process is forked; another CPU of it stores', [forker, writer], snapshot],
  moveReclaim: ['mremap; the page is reclaimed', [mover, reclaimer], movedOn],
  moveMigrate: ['mremap; the page moves', [mover, migrator], movedOn],
  exitReclaim: ['a process ends; its page is reclaimed', [leaver, reclaimer], nothing],
  dropWriter: [
    'MADV_DONTNEED, a store to another page; another CPU stores',
    [dropper, writer],
    (m) => {
      holds(m, PARENT, THIRD, START + 1);
      const found = content(m, PARENT);
      expect(found === 0 || found === SECOND, `the process finds ${found}`);
    },
  ],
  lockReclaim: [
    'mlock; the page is reclaimed',
    [locker, reclaimer],
    (m, [error]) => {
      expect(error === 0, `mlock fails: ${error}`);
      const entry = entryAt(m, PARENT, START);
      expect((entry & e.PTE_PRESENT) !== 0, 'a page is not there that is locked');
      expect(e.folioTest(m, entry >>> e.PTE_SHIFT, e.PG_MLOCKED), 'the page is not locked');
      holds(m, PARENT, FIRST);
    },
  ],
};

/** The same, of one that two have. */
const ofTwo = {
  writers: [
    'parent and child store',
    [parentWriter, childWriter],
    (m) => {
      holds(m, PARENT, SECOND);
      holds(m, CHILD, THIRD);
    },
  ],
  copyReclaim: ['the child stores; the page is reclaimed', [childWriter, reclaimer], childCopied],
  copyMigrate: ['the child stores; the page moves', [childWriter, migrator], childCopied],
  copyExit: ['the child stores; the parent ends', [childWriter, leaver], childAlone],
};

const entries = (ways, options) =>
  Object.entries(ways).map(([name, [says, threads, look]]) => {
    const setup = () => machine(options());
    return [name, { says, setup, threads, preemptions: 2, check: sound(look) }];
  });

/** Those that take long: in the suite for a while and by chance, in campaigns to their end. */
const LONG = new Set([
  ...['copyMigrate', 'copyReclaim', 'copyCached', 'exitMigrate', 'exitReclaim'],
  ...['migrate', 'swapins', 'three'],
]);

const all = {
  subject: 'fork',
  asserts:
    'every process finds what it stored; counts, slots and the rmap agree; when all have ended, ' +
    'nothing is left',
  plainData: false,
  plants,
  variants: {
    ...Object.fromEntries(entries(ofOne, () => ({}))),
    ...Object.fromEntries(entries(ofTwo, () => forked())),
    copyCached: {
      says: 'a process stores to a page that its child had, too, which is cached and reclaimed',
      setup: () =>
        machine(
          forked((m, pfn) => {
            e.switchMm(m, CHILD);
            e.exitMm(m, CHILD);
            cached(m, pfn);
          }),
        ),
      threads: [parentWriter, reclaimer],
      preemptions: 2,
      check: sound((m) => holds(m, PARENT, SECOND)),
    },
    swapExit: {
      says: 'the child stores to a page from swap; the parent ends',
      setup: () => machine(forked(swappedOut)),
      threads: [childWriter, leaver],
      preemptions: 2,
      check: sound(childAlone),
    },
    swapped: {
      says: 'the parent stores to a page from swap; the child brings it in',
      setup: () =>
        machine({
          config: { swapSynchronous: false },
          ...forked((m, pfn) => {
            swappedOut(m, pfn);
            e.load(m, PARENT);
          }),
        }),
      threads: [parentWriter, childReader],
      preemptions: 2,
      check: sound((m, [, seen]) => {
        expect(seen === FIRST, `the child reads ${seen}`);
        holds(m, PARENT, SECOND);
        holds(m, CHILD, FIRST);
      }),
    },
    swapins: {
      says: 'parent and child bring a page in; the child stores',
      setup: () => machine(forked(swappedOut)),
      threads: [parentReader, childWriter],
      preemptions: 2,
      check: sound((m, [seen]) => {
        expect(seen === FIRST, `the parent reads ${seen}`);
        holds(m, PARENT, FIRST);
        holds(m, CHILD, THIRD);
      }),
    },
    exitMigrate: {
      says: 'a process ends; its page, in the swap cache, moves',
      setup: () => machine({ first: cached }),
      threads: [leaver, migrator],
      preemptions: 2,
      check: sound(nothing),
    },
    reapExit: {
      says: 'a victim ends; the OOM reaper comes',
      setup: () => machine({ first: (m) => Atomics.or(m.mm.flags, PARENT, e.MMF_OOM_VICTIM) }),
      threads: [leaver, reaper],
      preemptions: 2,
      check: sound(nothing),
    },
    reapFault: {
      says: 'the OOM reaper comes; a CPU of the victim reads, from swap',
      setup: () =>
        machine({
          first: (m, pfn) => {
            swappedOut(m, pfn);
            Atomics.or(m.mm.flags, PARENT, e.MMF_OOM_VICTIM);
          },
        }),
      threads: [reader, reaper],
      preemptions: 2,
      check: sound((_m, [seen]) => expect(seen === FIRST || seen === -1, `it reads ${seen}`)),
    },
    three: {
      says: 'a process is forked; another CPU of it stores; the page is reclaimed',
      setup: () => machine(),
      threads: [forker, writer, reclaimer],
      preemptions: 1,
      check: sound(snapshot),
    },
  },
};

const ways = Object.entries(all.variants);
const brief = ([name, way]) => [name, { ...way, brief: true }];

export const exploration = {
  ...all,
  variants: Object.fromEntries(ways.filter(([name]) => !LONG.has(name))),
  more: Object.fromEntries(ways.filter(([name]) => LONG.has(name)).map(brief)),
};

export const { setup, threads, check, options } = subject.choose(exploration);
