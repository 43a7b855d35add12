// SPDX-License-Identifier: GPL-2.0-only
/** Truncation against faults, writers and reclaim: what is cut off is nobody's. */
import { AT, mmMachine, scratchFile } from './mm_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  blind_map: {
    says: 'a fault maps a page without a look whether it is still the file’s',
    module: 'mm/filemap_fault',
    edits: [
      [
        'if (fileHasPage(m, page, inode, index))\n            return page;\n        folioUnlock',
        'return page;\n        folioUnlock',
      ],
    ],
    variant: 'read',
  },
  no_invalidate: {
    says: 'pages are read into the cache while the file is cut',
    module: 'mm/readahead',
    edits: [
      ['rwsemDownRead(m.invalidateLock, inode * RWSEM_WORDS, LC_INVALIDATE);', ''],
      ['rwsemUpRead(m.invalidateLock, inode * RWSEM_WORDS, LC_INVALIDATE);', ''],
    ],
    variant: 'read',
  },
  blind_around: {
    says: 'fault-around maps a page without a look whether it is still the file’s',
    module: 'mm/filemap_around',
    edits: [['if (fileHasPage(m, page, inode, index) && ', 'if (']],
    variant: 'load',
  },
  stale_around: {
    says: 'fault-around locks the frame of a page that is gone',
    module: 'mm/filemap_around',
    edits: [['const same = mappingPeek(m, inode, index) === page && ', 'const same = ']],
    variant: 'reuse',
  },
  greedy: {
    says: 'reclaim takes a page that truncation has found',
    module: 'mm/mapping_file',
    edits: [
      [
        'let removed = folioRefFreeze(m, pfn, 1 + nr);',
        'let removed = Atomics.exchange(m.page.refcount, pfn, 0) > 0;',
      ],
    ],
    variant: 'pageout',
  },
};

const subject = await openSubject(import.meta.url, plants, true);
const { mm, boot, thread, access, checked } = await mmMachine(subject);
const PAGES = 2;
const LEFT = 1;

let file = null;

/** A file of two pages, mapped, `cached` of them in the cache; no entry has one if `zapped`. */
function mapped({ cached = PAGES, flags = mm.VM_SHARED, zapped = false } = {}) {
  file ??= scratchFile(PAGES);
  return boot({}, (m) => {
    const inode = mm.hostOpenFile(m, mm.hostMount(m, file.dir, 'a'), 'f', false);
    expect(inode > 0, `open: ${inode}`);
    const bits = mm.VM_READ | mm.VM_WRITE | flags;
    expect(mm.mmapFile(m, 1, AT, AT + PAGES, inode, 0, bits) > 0, 'mmap');
    for (let page = PAGES - cached; page < PAGES; page++) access(m, AT + page, false);
    if (zapped) expect(mm.madvise(m, 1, AT, AT + PAGES, mm.MADV_DONTNEED) === 0, 'madvise');
    return { inode };
  });
}

const cutOff = checked((m, { inode }, results) => {
  file.restore();
  for (let page = LEFT; page < PAGES; page++) {
    expect(mm.mappingPeek(m, inode, page) === 0, `page ${page} is in the file`);
    const entry = m.pte[mm.pteOffset(m, 1, AT + page)];
    const ofFile = entry !== 0 && m.page.mapping[entry >>> mm.PTE_SHIFT] < 0;
    expect(!ofFile, `page ${page} is mapped`);
  }
  expect(m.hostFile.dirty[inode] === 0, 'what was cut off is dirty');
  expect(m.hostFile.size[inode] === LEFT * mm.PAGE_SIZE, 'the size is wrong');
  expect(
    results.every((result) => result === 0 || result === -mm.FAULT_SIGBUS),
    `${results}`,
  );
});

/** The result is what the last page has, or that there is none. */
const touch = (name, write) => thread(name, (m) => access(m, AT + 1, write, 0));
const truncate = thread('truncate', (m, { inode }) =>
  mm.fileTruncate(m, inode, LEFT * mm.PAGE_SIZE),
);
/** The frames that are cut off are the next ones to be given out. */
const rewrite = thread('rewrite', (m, { inode }) => {
  expect(mm.fileTruncate(m, inode, 0) === 0, 'truncate fails');
  const word = Uint8Array.of(1, 0, 0, 0);
  for (let page = 0; page < PAGES; page++) {
    expect(mm.fileWrite(m, inode, word, page * mm.PAGE_SIZE) === 4, 'write fails');
  }
});
const rewritten = checked((_m, _state, [found]) => {
  file.restore();
  expect(found === 0 || found === 1 || found === -mm.FAULT_SIGBUS, `the load has ${found}`);
});

export const exploration = {
  subject: 'truncate',
  asserts: 'what is cut off a file is in no cache, mapped by nobody and not dirty',
  plainData: false,
  plants,
  variants: {
    read: {
      says: 'a load of a page that is to be read from the host',
      setup: () => mapped({ cached: 0 }),
      threads: [touch('load', false), truncate],
      preemptions: 2,
      check: cutOff,
    },
    load: {
      says: 'a load of a page that is cached',
      setup: () => mapped({ zapped: true }),
      threads: [touch('load', false), truncate],
      preemptions: 2,
      check: cutOff,
    },
    store: {
      says: 'a store to a page that is mapped to be read',
      setup: () => mapped(),
      threads: [touch('store', true), truncate],
      preemptions: 2,
      check: cutOff,
    },
    copy: {
      says: 'a store through a private mapping',
      setup: () => mapped({ flags: 0 }),
      threads: [touch('store', true), truncate],
      preemptions: 2,
      check: cutOff,
    },
    pageout: {
      says: 'reclaim of a page that is mapped',
      setup: () => mapped(),
      threads: [
        thread('pageout', (m) => mm.madvise(m, 1, AT + 1, AT + 2, mm.MADV_PAGEOUT)),
        truncate,
      ],
      preemptions: 2,
      check: cutOff,
    },
  },
  more: {
    reuse: {
      says: 'a load around which is cached what is cut off and written anew',
      setup: () => mapped({ zapped: true }),
      threads: [touch('load', false), rewrite],
      preemptions: 3,
      check: rewritten,
      brief: true,
    },
  },
};

export const { setup, threads, check, options } = subject.choose(exploration);
