// SPDX-License-Identifier: GPL-2.0-only
/** Writeback against stores to a mapped page: what fsync leaves clean is on the host. */
import { AT, hostWord, mmMachine, scratchFile } from './mm_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  early_read: {
    says: 'the bytes are written without waiting for CPUs that may still store to them',
    module: 'mm/writeback',
    edits: [
      [
        'if (unmapOut.cpuMask !== 0)\n        tlbFlush(m, unmapOut.cpuMask);\n    unmapOut',
        'unmapOut',
      ],
    ],
    variant: 'store',
    options: { reduction: false },
  },
  unprotected: {
    says: 'a page is written without write-protecting its mappings',
    module: 'mm/writeback',
    edits: [['if (fileMkclean(m, pfn))', 'if (false)']],
    variant: 'store',
  },
  late_upper: {
    says: 'the upper part of a VMA that is split is shown to its file when the lower has shrunk',
    module: 'mm/vma',
    edits: [
      ['vmaLinkFile(m, upper);', ''],
      ['linkVma(m, m.vma.mm[vma], upper);', 'insertVma(m, m.vma.mm[vma], upper);'],
    ],
    variant: 'split',
  },
  early_removal: {
    says: 'of two VMAs that become one the other grows when the one has gone',
    module: 'mm/vma',
    edits: [
      [
        'setVmaBounds(m, stays, start, end, pgoff);\n    unlinkVma(m, goes);',
        'unlinkVma(m, goes);\n    setVmaBounds(m, stays, start, end, pgoff);',
      ],
    ],
    variant: 'merge',
  },
};

const subject = await openSubject(import.meta.url, plants, true);
const { mm, boot, thread, access, checked } = await mmMachine(subject);
const PAGES = 2;
const STORED = 7;

let file = null;

/** A file of two pages, mapped and stored to; the second has a VMA of its own if `apart`. */
function mapped(apart = false) {
  file ??= scratchFile(PAGES);
  return boot({}, (m) => {
    const inode = mm.hostOpenFile(m, mm.hostMount(m, file.dir, 'a'), 'f', false);
    expect(inode > 0, `open: ${inode}`);
    const shared = mm.VM_READ | mm.VM_WRITE | mm.VM_SHARED;
    expect(mm.mmapFile(m, 1, AT, AT + PAGES, inode, 0, shared) > 0, 'mmap');
    for (let page = 0; page < PAGES; page++) access(m, AT + page, true, 1);
    if (apart) expect(mm.madvise(m, 1, AT, AT + 1, mm.MADV_RANDOM) === 0, 'madvise');
    return { inode, fd: m.hostFile.fd[inode] - 1 };
  });
}

/** A page that nothing says is dirty is on the host as it is in memory. */
const nothingLost = checked((m, { inode }) => {
  for (let page = 0; page < PAGES; page++) {
    const onHost = file.take(page);
    const pfn = mm.mappingPeek(m, inode, page);
    expect(pfn > 0, 'a page has gone');
    const clean = (m.page.flags[pfn] & mm.PG_DIRTY) === 0;
    const here = mm.pageWords(m, pfn)[0];
    expect(!clean || here === onHost, `page ${page} is clean, has ${here}, the host ${onHost}`);
  }
});

const store = (page) => (m) => {
  expect(access(m, AT + page, true, STORED) === STORED, 'a store fails');
};
const fsync = thread('fsync', (m, { inode }) => {
  expect(mm.fileFsync(m, inode, 0) === 0, 'fsync fails');
});

export const exploration = {
  subject: 'writeback',
  asserts: 'a page of a file that is clean after fsync is on the host as it is in memory',
  plainData: false,
  plants,
  variants: {
    store: {
      says: 'a store to a page that fsync writes',
      setup: () => mapped(),
      threads: [thread('store', store(0)), fsync],
      // The host reads bytes in no step: nothing commutes with that.
      reduction: false,
      preemptions: 1,
      check: nothingLost,
    },
    sync: {
      says: 'munmap of a page that was stored to; fsync, a write to it, fsync',
      setup: () => mapped(),
      threads: [
        thread('munmap', (m) => {
          expect(mm.munmap(m, 1, AT, AT + 1) === 0, 'munmap fails');
        }),
        thread('write', (m, { inode, fd }) => {
          expect(mm.fileFsync(m, inode, 0) === 0, 'fsync fails');
          expect(mm.fileWrite(m, inode, Uint8Array.of(STORED, 0, 0, 0), 0) === 4, 'write fails');
          expect(mm.fileFsync(m, inode, 0) === 0, 'fsync fails');
          const onHost = hostWord(fd, 0);
          expect(onHost === STORED, `the host has ${onHost} after fsync`);
        }),
      ],
      preemptions: 1,
      check: nothingLost,
    },
    split: {
      says: 'a VMA is split while fsync looks for who maps its pages; then a store',
      setup: () => mapped(),
      threads: [
        thread('split', (m) => {
          expect(mm.madvise(m, 1, AT + 1, AT + 2, mm.MADV_RANDOM) === 0, 'madvise fails');
          store(1)(m);
        }),
        fsync,
      ],
      preemptions: 2,
      check: nothingLost,
    },
    merge: {
      says: 'two VMAs become one while fsync looks for who maps their pages; then stores',
      setup: () => mapped(true),
      threads: [
        thread('merge', (m) => {
          expect(mm.madvise(m, 1, AT, AT + 1, mm.MADV_NORMAL) === 0, 'madvise fails');
          store(0)(m);
          store(1)(m);
        }),
        fsync,
      ],
      preemptions: 2,
      check: nothingLost,
    },
  },
};

export const { setup, threads, check, options } = subject.choose(exploration);
