// SPDX-License-Identifier: GPL-2.0-only
/** kshrinkd's queue: what reclaim gives it against its stop, its parking and its sleep. */
import { kthreadMachine } from './kthread_machine.mjs';
import { AT } from './mm_machine.mjs';
import { expect, openSubject } from './subject.mjs';

const plants = {
  no_second_look: {
    says: 'reclaim queues a folio although the thread has stopped since it looked',
    module: 'mm/kshrinkd',
    edits: [
      [
        'const running = Atomics.load(m.kshrinkd.state, nid) === KSHRINKD_RUNNING;',
        'const running = true;',
      ],
    ],
    variant: 'stop',
  },
  no_wake: {
    says: 'a folio is queued, and nobody wakes the thread',
    module: 'mm/kshrinkd',
    edits: [['wakeUp(m.kshrinkdWait, nid * WAIT_QUEUE_WORDS, WAKE_ALL);', '']],
    variant: 'sleep',
  },
  open_queue: {
    says: 'the queue is open while the thread empties it to park',
    module: 'kthreads/kshrinkd',
    edits: [['kshrinkdShut(m, nid);', '']],
    variant: 'park',
  },
  no_drain: {
    says: 'the thread parks with what is queued',
    module: 'kthreads/kshrinkd',
    edits: [['kshrinkdDrain(m, nid);', '']],
    variant: 'park',
  },
  not_isolated: {
    says: 'queued folios are not counted as isolated',
    module: 'mm/kshrinkd',
    edits: [['modQueuedIsolated(m, nid, file, pages);\n    kfUnlock', 'kfUnlock']],
    variant: 'sleep',
  },
};

const subject = await openSubject(import.meta.url, plants, true);
const { mm, boot, thread, access, checked, daemon, ...kthread } = await kthreadMachine(
  subject,
  'kshrinkd',
);
const WORD = 7;

/** A page that is mapped and was used, so that it goes back when it was looked at. */
function mapped() {
  const options = { hostFiles: false, contended: 'kshrinkd-fixed' };
  return boot(options, (m) => {
    expect(mm.mmapAnon(m, 1, AT, AT + 1) > 0, 'mmap');
    access(m, AT, true, WORD);
  });
}

/** As shrinkInactiveList does with a folio that is contended. @returns whether it was queued */
function give(m) {
  const folios = [kthread.isolate(m, AT)];
  const queued = mm.kshrinkdQueue(m, 0, folios, false);
  if (queued === 0) mm.putbackLru(m, folios);
  mm.modIsolated(m, 0, false, -1);
  return queued;
}

const reclaim = thread('reclaim', give);
const stopper = thread('stop', kthread.stop);

/** The node goes offline and comes back. */
const parker = thread('park', (m) => {
  kthread.request(m, mm.REQUEST_PARK);
  kthread.waitParked(m);
  expect(mm.kshrinkdPages(m, 0) === 0, 'a folio is queued while the thread is parked');
  mm.kshrinkdInitNode(m, 0);
  mm.clearRequest(m.sync.threads, m.tasks, 1, mm.REQUEST_PARK);
  kthread.stop(m);
});

/** Gives the thread a folio, and stops it when that is gone. */
const waiter = thread('reclaim, then stop', (m) => {
  while (Atomics.load(m.kshrinkd.state, 0) !== 1) mm.cpuRelax();
  expect(give(m) === 1, 'the queue is open');
  while (mm.kshrinkdPages(m, 0) > 0) mm.cpuRelax();
  kthread.stop(m);
});

/** A thread that found nothing to reclaim puts back what is queued. */
const beforeOom = thread('before OOM', (m) => mm.kshrinkdPutbackAll(m, 0));

const settled = checked((m) => {
  expect(mm.kshrinkdPages(m, 0) === 0, 'a folio is queued for ever');
  expect(m.node.isolatedAnon[0] === 0, `${m.node.isolatedAnon[0]} pages are isolated`);
});

const variant = (says, threads, preemptions) => ({
  says,
  setup: mapped,
  threads,
  preemptions,
  check: settled,
});

export const exploration = {
  subject: 'kshrinkd',
  asserts: 'no folio is queued when the thread is parked or has stopped; none is slept over',
  plainData: false,
  plants,
  variants: {
    stop: variant('a folio is queued; the thread is stopped', [daemon, reclaim, stopper], 1),
    park: variant('a folio is queued; the thread is parked', [daemon, reclaim, parker], 1),
    sleep: variant('a folio is queued, and waited for', [daemon, waiter], 2),
  },
  more: {
    oom: {
      ...variant('a folio is queued; it is put back before OOM', [daemon, waiter, beforeOom], 1),
      brief: true,
    },
    stop2: variant('as stop, two preemptions', [daemon, reclaim, stopper], 2),
    park2: variant('as park, two preemptions', [daemon, reclaim, parker], 2),
  },
};

export const { setup, threads, check, options } = subject.choose(exploration);
