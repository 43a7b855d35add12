// SPDX-License-Identifier: GPL-2.0-only
/**
 * Stopping a node's daemons while the node has no memory (mm/vmscan.c, kswapd_stop, kswapd_run;
 * mm/compaction.c, kcompactd_stop, kcompactd_run). Their threads are there from boot to shutdown:
 * they are parked meanwhile.
 */
import { THREADS_MAX } from '../../shared/limits.ts';
import { waitSequence } from '../../shared/sched.ts';
import { clearRequest, postRequest, REQUEST_PARK } from '../../shared/task.ts';
import {
  getComm,
  THREAD_DEAD,
  THREAD_EXITED,
  THREAD_PARKED,
  THREAD_UNUSED,
} from '../../shared/thread.ts';
import type { Mm } from './mm.ts';

/** @returns id of a thread by name, 0 when there is none: a test without threads, or it is off */
function threadOf(m: Mm, comm: string): number {
  const { threads } = m.sync;
  for (let id = 1; id < THREADS_MAX; id++) {
    const used = Atomics.load(threads.state, id) !== THREAD_UNUSED;
    if (used && getComm(threads, id) === comm) return id;
  }
  return 0;
}

/** Parks it, and waits until it sleeps, holding no lock. @context no lock held; blocks */
export function parkThread(m: Mm, comm: string): void {
  const id = threadOf(m, comm);
  if (id === 0) return;
  postRequest(m.sync.threads, m.tasks, id, REQUEST_PARK);
  waitSequence(m.tasks.machine.taskSeq, 0, () => {
    const state = Atomics.load(m.sync.threads.state, id);
    return state === THREAD_PARKED || state === THREAD_EXITED || state === THREAD_DEAD;
  });
}

/** @returns whether there is such a thread, and it is parked or frozen @context any; a hint */
export function daemonParked(m: Mm, comm: string): boolean {
  const id = threadOf(m, comm);
  return id !== 0 && Atomics.load(m.sync.threads.state, id) === THREAD_PARKED;
}

/** Lets it run on. @context any thread; does not block */
export function unparkThread(m: Mm, comm: string): void {
  const id = threadOf(m, comm);
  if (id !== 0) clearRequest(m.sync.threads, m.tasks, id, REQUEST_PARK);
}

/** Parks a node's kcompactd, then its kswapd, which would wake it. @context no lock held; blocks */
export function parkNodeDaemons(m: Mm, nid: number): void {
  parkThread(m, `kcompactd${nid}`);
  parkThread(m, `kswapd${nid}`);
}

/** Lets them run on, kswapd first. @context any thread; does not block */
export function unparkNodeDaemons(m: Mm, nid: number): void {
  unparkThread(m, `kswapd${nid}`);
  unparkThread(m, `kcompactd${nid}`);
}
