// SPDX-License-Identifier: GPL-2.0-only
/**
 * A whole engine (mm_machine.mjs) and one of its kthreads: the function of kthreads/ as it is, with
 * requests and states as the machine has them. It begins when the other threads do.
 */
import { mmMachine } from './mm_machine.mjs';
import { expect } from './subject.mjs';

const MODULES = [
  'mm/kcompressd',
  'mm/kcompressd_step',
  'mm/kshrinkd',
  'mm/kshrinkd_step',
  'mm/lruvec',
  'mm/page_io',
  'mm/rmap',
  'mm/swap_state',
  'mm/vmscan_count',
  'mm/vmscan_lists',
  'mm/vmstat_items',
  'cpu_relax',
  'sched',
  'task',
  'thread',
];
/** The kthread: row 1 of the thread table, the first of every variant. */
const DAEMON = 1;

/** @param subject of openSubject @param name file and export of kthreads/ */
export async function kthreadMachine(subject, name) {
  const made = await mmMachine(subject);
  const { mm } = made;
  for (const module of MODULES) Object.assign(mm, await subject.load(module));
  const daemonOf = (await subject.load(`kthreads/${name}`))[name];

  function enter(m, id) {
    const { threads } = m.sync;
    Atomics.store(threads.state, id, mm.THREAD_RUNNING);
    mm.enterThread(threads, id);
    mm.enterTask(threads, m.tasks, id);
  }

  /** A thread of the machine that knows its row. */
  const thread = (label, act) =>
    made.thread(label, (m, state) => {
      enter(m, m.task.id);
      return act(m, state);
    });

  const daemon = thread(name, (m) => {
    m.task.cpu = -1;
    daemonOf(m, 0);
    Atomics.store(m.sync.threads.state, DAEMON, mm.THREAD_EXITED);
    mm.signalTaskChange(m.tasks);
    return 0;
  });

  const request = (m, bit) => mm.postRequest(m.sync.threads, m.tasks, DAEMON, bit);

  /** Waits until the kthread is parked, or frozen. */
  function waitParked(m) {
    const parked = () => Atomics.load(m.sync.threads.state, DAEMON) === mm.THREAD_PARKED;
    mm.waitSequence(m.tasks.machine.taskSeq, 0, parked);
  }

  const stop = (m) => request(m, mm.REQUEST_STOP);

  /** A folio of the process, isolated and counted so. */
  function isolate(m, vpn) {
    const pfn = m.pte[mm.pteOffset(m, 1, vpn)] >>> mm.PTE_SHIFT;
    expect(mm.folioTestClear(m, pfn, mm.PG_LRU) && mm.folioTryGet(m, pfn), 'isolated');
    const lruvec = mm.folioLruvec(m, pfn);
    mm.lruLock(m, lruvec);
    mm.lruvecDelFolioLocked(m, lruvec, pfn, Atomics.load(m.page.flags, pfn));
    mm.lruUnlock(m, lruvec);
    mm.modIsolated(m, 0, false, 1);
    return pfn;
  }

  return { ...made, thread, daemon, request, waitParked, stop, isolate };
}
