// SPDX-License-Identifier: GPL-2.0-only
/**
 * oom_reaper: wakes when the OOM killer has marked a victim, gives it time to end by itself, and
 * then takes its memory. Stopped with the other daemons, when no program is left to be a victim.
 */
import { faultStall } from '../shared/fault.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import type { Mm } from '../src/mm/mm.ts';
import { OomReaper } from '../src/mm/oom_reap.ts';
import { condResched, kthreadSafePoint, waitEventTimeout } from './kthread.ts';

/** @context thread function of the oom_reaper kthread */
export function oomReaper(m: Mm): void {
  const reaper = new OomReaper(m);
  const hasNew = (): boolean => reaper.hasNew();
  while (!kthreadSafePoint()) {
    faultStall(FAULT_STALL);
    const nextMs = reaper.pass();
    condResched();
    waitEventTimeout(m.oomReapWait, 0, hasNew, nextMs);
  }
}
