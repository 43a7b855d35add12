// SPDX-License-Identifier: GPL-2.0-only
/** kcompressd's ring: what kswapd pushes against the thread's sleep, its parking and its stop. */
import { kthreadMachine } from './kthread_machine.mjs';
import { AT } from './mm_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  no_wait: {
    says: 'a thread that stops does not wait for producers that have seen it running',
    module: 'mm/kcompressd_step',
    edits: [['while (Atomics.load(pushing, row) !== 0)\n        cpuRelax();', '']],
    variant: 'stop',
  },
  late_count: {
    says: 'a producer counts itself when it has seen the thread running',
    module: 'mm/kcompressd',
    edits: [
      ['Atomics.add(pushing, row, 1);\n', '\n'],
      ['const done = running &&', 'Atomics.add(pushing, row, 1); const done = running &&'],
    ],
    variant: 'stop',
  },
  no_wake: {
    says: 'a folio is pushed, and nobody wakes the thread',
    module: 'mm/kcompressd',
    edits: [['wakeUp(m.kcompressdWait, row * WAIT_QUEUE_WORDS, WAKE_ALL);', '']],
    variant: 'sleep',
  },
  no_reference: {
    says: 'the ring has no reference of its own',
    module: 'mm/kcompressd',
    edits: [['Atomics.add(m.page.refcount, pfn, 1);', '']],
    variant: 'sleep',
  },
  late_writeback: {
    says: 'the folio is in writeback when the thread may have it already',
    module: 'mm/kcompressd',
    edits: [
      ['folioSet(m, pfn, PG_WRITEBACK);', ''],
      [
        'folioUnlock(m, pfn);\n    return true;',
        'folioSet(m, pfn, PG_WRITEBACK); folioUnlock(m, pfn); return true;',
      ],
    ],
    variant: 'sleep',
  },
};

const subject = await openSubject(import.meta.url, plants, true);
const { mm, boot, thread, access, checked, daemon, ...kthread } = await kthreadMachine(
  subject,
  'kcompressd',
);
const WORD = 7;
const UNPARKED = mm.KCOMPRESSD_RUNNING ?? 1;

/** A page of the process, mapped. */
function mapped() {
  const options = { hostFiles: false, kcompressd: 'fixed', swap: 'zram', swapPages: 8 };
  return boot(options, (m) => {
    expect(mm.mmapAnon(m, 1, AT, AT + 1) > 0, 'mmap');
    access(m, AT, true, WORD);
  });
}

/** As reclaim does with a folio that goes to swap. @returns WRITE_* */
function pageout(m) {
  m.task.kswapd = true;
  const pfn = kthread.isolate(m, AT);
  expect(mm.folioTryLock(m, pfn), 'nobody has it locked');
  expect(mm.addToSwap(m, pfn) > 0 && mm.tryToUnmap(m, pfn, true), 'it goes to swap');
  mm.tlbFlush(m, -1);
  mm.folioClear(m, pfn, mm.PG_DIRTY);
  mm.folioSet(m, pfn, mm.PG_RECLAIM);
  const written = mm.swapWriteout(m, pfn, false);
  expect(written !== mm.WRITE_FAILED, 'it is written');
  mm.modIsolated(m, 0, false, -1);
  mm.putbackLru(m, [pfn]);
  m.task.kswapd = false;
  return written;
}

const kswapd = thread('kswapd', pageout);
const stopper = thread('stop', kthread.stop);

const empty = (m) => mm.kcompressdRing(m, 0).length() === 0;

/** The node goes offline and comes back. */
const parker = thread('park', (m) => {
  kthread.request(m, mm.REQUEST_PARK);
  kthread.waitParked(m);
  expect(empty(m), 'a folio is in the ring while the thread is parked');
  mm.clearRequest(m.sync.threads, m.tasks, 1, mm.REQUEST_PARK);
  kthread.stop(m);
});

/** Pushes a folio, and stops the thread when that is stored. */
const waiter = thread('kswapd, then stop', (m) => {
  while (Atomics.load(m.kcompressd.state, 0) !== UNPARKED) mm.cpuRelax();
  expect(pageout(m) === mm.WRITE_QUEUED, 'the ring is open');
  while (Atomics.load(m.kcompressd.stored, 0) === 0) mm.cpuRelax();
  kthread.stop(m);
});

/** The process uses the page meanwhile, and stores to it. */
const toucher = thread('store', (m) => {
  const found = access(m, AT, true, WORD);
  expect(found === WORD, `store: ${found}`);
});

const settled = checked((m) => {
  expect(empty(m), 'a folio is in the ring for ever');
  expect(access(m, AT, false, 0) === WORD, 'the page is not as it was stored');
});

const variant = (says, threads, preemptions) => ({
  says,
  setup: mapped,
  threads,
  preemptions,
  check: settled,
});

export const exploration = {
  subject: 'kcompressd',
  asserts: 'no folio is in the ring of a thread that is parked or has stopped; none is slept over',
  plainData: false,
  plants,
  variants: {
    stop: variant('a folio is pushed; the thread is stopped', [daemon, kswapd, stopper], 1),
    park: variant('a folio is pushed; the thread is parked', [daemon, kswapd, parker], 1),
    sleep: variant('a folio is pushed, and waited for', [daemon, waiter], 2),
  },
  more: {
    store: {
      ...variant('a page is stored to while it is compressed', [daemon, toucher, waiter], 1),
      brief: true,
    },
    stop2: variant('as stop, two preemptions', [daemon, kswapd, stopper], 2),
    park2: variant('as park, two preemptions', [daemon, kswapd, parker], 2),
  },
};

export const { setup, threads, check, options } = subject.choose(exploration);
