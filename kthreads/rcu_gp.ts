// SPDX-License-Identifier: GPL-2.0-only
/**
 * rcu_gp: wakes when a callback was queued, waits for a grace period, runs what was queued before
 * it. Stopped after all daemons, and drains: every callback that was ever queued has run.
 */
import { faultStall } from '../shared/fault.ts';
import { rcuCallbacksPending, rcuGpPass } from '../shared/rcu_callback.ts';
import { RCU_WORK } from '../shared/rcu_table.ts';
import { scheduleTimeout } from '../shared/sched.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import { runDaemon } from './daemon.ts';
import { currentEngine } from './kthread.ts';

/** Somebody else runs the callbacks just now (rcuBarrier): look again after so long, in ms. */
const BUSY_RETRY_MS = 1;

/** @context thread function of the rcu_gp kthread */
export function rcuGp(): void {
  const { rcu } = currentEngine();
  runDaemon({
    words: rcu.queues,
    base: RCU_WORK,
    maxSleepMs: Infinity,
    hasWork: () => rcuCallbacksPending(rcu) > 0,
    step: () => {
      faultStall(FAULT_STALL);
      if (rcuGpPass(rcu) < 0) scheduleTimeout(BUSY_RETRY_MS);
    },
  });
}
