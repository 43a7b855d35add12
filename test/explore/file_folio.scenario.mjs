// SPDX-License-Identifier: GPL-2.0-only
/** A large folio of a file against all that meets a part of it, or takes it apart. */
import { AT, hostWord, mmMachine, PAGE, scratchFile } from './mm_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  stale_lookup: {
    says: 'a lookup does not look again when it has its reference',
    module: 'mm/mapping',
    edits: [
      [
        'const same = got && pages.load(index) === entry && pageFolio(m, entry) === pfn;',
        'const same = got;',
      ],
    ],
    variant: 'splitRead',
  },
  undropped: {
    says: 'what lies behind the end stays in the file when its folio is split',
    module: 'mm/split_file',
    edits: [['dropBehind(m, pfn, inode, kept);', '']],
    variant: 'cutPart',
  },
  unmarked: {
    says: 'a dirty folio marks its first page alone',
    module: 'mm/mapping_file',
    edits: [
      [
        'for (let at = first; at < end; at++)\n            pages.setMark(at, mark);',
        'pages.setMark(first, mark);',
      ],
    ],
    variant: 'splitFsync',
  },
};

const subject = await openSubject(import.meta.url, plants, true);
const { mm, boot, thread, access, checked } = await mmMachine(subject);
const PAGES = 4;
const ORDER = 2;
/** Pages of the file when it has been cut. */
const LEFT = 2;
const STORED = 7;

let file = null;

/** A file that is mapped, and nothing of it read. @param prepare gets the machine and the inode */
function fresh({ flags = mm.VM_SHARED, cpus = 2, prepare = () => undefined } = {}) {
  file ??= scratchFile(PAGES);
  file.restore();
  return boot({ fileLargeFolios: ORDER, readAheadKb: 32, cpus }, (m) => {
    const inode = mm.hostOpenFile(m, mm.hostMount(m, file.dir, 'a'), 'f', false);
    expect(inode > 0, `open: ${inode}`);
    const bits = mm.VM_READ | mm.VM_WRITE | flags;
    expect(mm.mmapFile(m, 1, AT, AT + PAGES, inode, 0, bits) > 0, 'mmap');
    expect(mm.madvise(m, 1, AT, AT + PAGES, mm.MADV_HUGEPAGE) === 0, 'madvise');
    prepare(m, inode);
    return { inode, fd: m.hostFile.fd[inode] - 1 };
  });
}

/** As `fresh`, in one folio, all read, or `stored` to; no entry has a page if `zapped`. */
function mapped({ stored = false, zapped = false, ...options } = {}) {
  const prepare = (m, inode) => {
    for (let page = 0; page < PAGES; page++) {
      access(m, AT + page, false);
      if (stored) access(m, AT + page, true, page + 1);
    }
    const pfn = mm.mappingPeek(m, inode, 0);
    expect(mm.folioOrder(m, pfn) === ORDER, 'no large folio');
    if (zapped) expect(mm.madvise(m, 1, AT, AT + PAGES, mm.MADV_DONTNEED) === 0, 'madvise');
  };
  return fresh({ ...options, prepare });
}

/** What is clean is on the host; nothing lies behind the end but zeroes that nobody maps. */
function sound(m, { inode, fd }) {
  const pages = Math.ceil(m.hostFile.size[inode] / PAGE);
  for (let page = 0; page < PAGES; page++) {
    const pfn = mm.mappingPeek(m, inode, page);
    if (pfn <= 0) continue;
    const here = mm.pageWords(m, pfn)[0];
    const head = mm.pageFolio(m, pfn);
    const dirty = mm.folioTest(m, head, mm.PG_DIRTY);
    if (page < pages) {
      const onHost = hostWord(fd, page);
      expect(dirty || here === onHost, `page ${page} is clean, has ${here}, the host ${onHost}`);
    } else {
      expect(m.page.mapcount[pfn] === 0, `page ${page} lies behind the end, and is mapped`);
    }
  }
}

const whole = checked(sound);

const cutOff = checked((m, state, results) => {
  sound(m, state);
  expect(m.hostFile.size[state.inode] === LEFT * PAGE, 'the size is wrong');
  expect(
    results.every((result) => result === 0 || result === -mm.FAULT_SIGBUS),
    `${results}`,
  );
});

const load = (page) => thread('load', (m) => access(m, AT + page, false, 0));
const store = (page) => thread('store', (m) => Math.min(access(m, AT + page, true, STORED), 0));
const truncate = thread('truncate', (m, { inode }) => mm.fileTruncate(m, inode, LEFT * PAGE));
const advise = (name, first, end, advice) =>
  thread(name, (m) => {
    mm.madvise(m, 1, AT + first, AT + end, advice());
  });
const pageoutPart = advise('part', 0, 1, () => mm.MADV_PAGEOUT);
const pageoutAll = advise('pageout', 0, PAGES, () => mm.MADV_PAGEOUT);
const reclaim = thread('reclaim', (m) => {
  mm.tryToFreeMemcgPages(m, 0, 32, () => false);
});
const fsync = thread('fsync', (m, { inode }) => {
  mm.fileFsync(m, inode, 0);
});
const write = (page) =>
  thread('write', (m, { inode }) => {
    expect(mm.fileWrite(m, inode, Uint8Array.of(STORED, 0, 0, 0), page * PAGE) === 4, 'write');
  });
const read = (page, found) =>
  thread('read', (m, { inode }) => {
    const bytes = new Uint8Array(4);
    const ra = { start: 0, size: 0, asyncSize: 0, mmapMiss: 0, prev: -1 };
    const got = mm.fileRead(m, inode, bytes, page * PAGE, ra);
    expect(got === 0 || got === 4, `read ${got}`);
    expect(got === 0 || bytes[0] === found, `page ${page} has ${bytes[0]}`);
  });
const munmap = (first, end) =>
  thread('munmap', (m) => {
    expect(mm.munmap(m, 1, AT + first, AT + end) === 0, 'munmap');
  });
const regrow = thread('regrow', (m, { inode }) => {
  expect(mm.fileTruncate(m, inode, LEFT * PAGE) === 0, 'it is cut');
  expect(mm.fileTruncate(m, inode, PAGES * PAGE) === 0, 'it grows');
});
const stored = true;
const zapped = true;
const cutBy = (says, one, options) => ({
  says: `truncation into it; ${says}`,
  setup: () => mapped(options),
  threads: [one, truncate],
  preemptions: 2,
  check: cutOff,
});
const both = (says, threads, options, setup = mapped) => ({
  says,
  setup: () => setup(options),
  threads,
  preemptions: 2,
  check: whole,
});

export const exploration = {
  subject: 'file_folio',
  asserts:
    'a large folio of a file is whole or in pages, for everybody; nothing that was stored is ' +
    'lost, nothing behind the end is mapped',
  plainData: false,
  plants,
  variants: {
    cutStore: cutBy('a store behind the end', store(3)),
    cutPart: cutBy('advice about a part', pageoutPart, { stored }),
    splitRead: both('a split; a read', [read(2, 3), pageoutPart], { stored }),
    splitStore: both('a split; a store', [store(2), pageoutPart]),
    splitFsync: both('a split; fsync', [fsync, pageoutPart], { stored }),
    splitUnmap: both('a split; munmap of a part', [munmap(2, 4), pageoutPart], { stored }),
  },
  more: {
    cutAround: cutBy('a fault around which it is cached', load(1), { zapped }),
    cutLoad: cutBy('a load behind the end', load(3)),
    cutFault: cutBy('a fault behind the end', load(3), { zapped }),
    cutCopy: cutBy('a store to a private mapping', store(3), { flags: 0 }),
    cutFsync: cutBy('fsync', fsync, { stored }),
    cutReclaim: cutBy('reclaim', reclaim, { zapped }),
    cutUnmap: cutBy('munmap of a part', munmap(2, 4), { stored }),
    splitLoad: both('a split; a load', [load(2), pageoutPart]),
    splitWrite: both('a split; a write', [write(2), pageoutPart]),
    splitReclaim: both('a split; reclaim', [reclaim, pageoutPart]),
    reclaimRead: both('reclaim; a read', [read(2, 0), reclaim], { zapped }),
    reclaimLoad: both('reclaim; a load', [load(2), pageoutAll]),
    reclaimStore: both('reclaim; a store', [store(2), pageoutAll]),
    reclaimWrite: both('reclaim; a write', [write(2), reclaim], { zapped }),
    fsyncStore: both('fsync; a store', [store(2), fsync], { stored }),
    fsyncUnmap: both('fsync; munmap of a part', [munmap(1, 3), fsync], { stored }),
    readRead: both('two read it', [load(0), load(3)], {}, fresh),
    regrow: both('a store; munmap; cut, and grown', [store(3), munmap(2, 4), regrow], {
      stored,
      cpus: 3,
    }),
  },
};

export const { setup, threads, check, options } = subject.choose(exploration);
