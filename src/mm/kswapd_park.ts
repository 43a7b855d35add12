// SPDX-License-Identifier: GPL-2.0-only
/**
 * Stopping a node's kswapd while the node has no memory (mm/vmscan.c, kswapd_stop, kswapd_run). Its
 * thread is there from boot to shutdown: it is parked meanwhile.
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

/** @returns id of the node's kswapd, 0 when it has none (a test without threads) */
export function kswapdThread(m: Mm, nid: number): number {
  const { threads } = m.sync;
  for (let id = 1; id < THREADS_MAX; id++) {
    const used = Atomics.load(threads.state, id) !== THREAD_UNUSED;
    if (used && getComm(threads, id) === `kswapd${nid}`) return id;
  }
  return 0;
}

/** Parks it, and waits until it sleeps, holding no lock. @context no lock held; blocks */
export function parkKswapd(m: Mm, nid: number): void {
  const id = kswapdThread(m, nid);
  if (id === 0) return;
  postRequest(m.sync.threads, m.tasks, id, REQUEST_PARK);
  waitSequence(m.tasks.machine.taskSeq, 0, () => {
    const state = Atomics.load(m.sync.threads.state, id);
    return state === THREAD_PARKED || state === THREAD_EXITED || state === THREAD_DEAD;
  });
}

/** Lets it run on. @context any thread; does not block */
export function unparkKswapd(m: Mm, nid: number): void {
  const id = kswapdThread(m, nid);
  if (id !== 0) clearRequest(m.sync.threads, m.tasks, id, REQUEST_PARK);
}
