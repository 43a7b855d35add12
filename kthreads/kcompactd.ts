// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompactd, one per node where the machine is configured so: sleeps until kswapd, or an allocation
 * that kswapd cannot help, asks for a free block of some order, moves pages until there is one, or
 * there can be none, sleeps again.
 *
 * While its node is offline it is parked (memory_hotplug.ts). Nobody waits for what it was asked
 * for: a stop does not, either.
 */
import { faultStall } from '../shared/fault.ts';
import { freezeRequested, kthreadShouldPark, kthreadShouldStop } from '../shared/sched.ts';
import { WAIT_QUEUE_WORDS } from '../shared/wait_queue.ts';
import { kcompactdDoWork, kcompactdWanted } from '../src/mm/compaction_daemon.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import type { Mm } from '../src/mm/mm.ts';
import { runDaemon } from './daemon.ts';

/**
 * @param nid the node it looks after
 * @context thread function of kcompactd<nid>
 */
export function kcompactd(m: Mm, nid: number): void {
  const stop = (): boolean => kthreadShouldStop() || freezeRequested() || kthreadShouldPark();
  runDaemon({
    words: m.kcompactdWait,
    base: nid * WAIT_QUEUE_WORDS,
    maxSleepMs: Infinity,
    hasWork: () => kcompactdWanted(m, nid) && !kthreadShouldStop(),
    step: () => {
      faultStall(FAULT_STALL);
      kcompactdDoWork(m, nid, stop);
    },
  });
}
