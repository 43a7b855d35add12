// SPDX-License-Identifier: GPL-2.0-only
/**
 * cgroup_destroy: wakes when the last reference to a removed group has gone, and gives its row
 * back. Stopped after the programs and all daemons, and drains: what any of them let go of last is
 * released.
 */
import { faultStall } from '../shared/fault.ts';
import { cgroupReleasePass, cgroupReleasePending } from '../src/mm/cgroup_release.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import type { Mm } from '../src/mm/mm.ts';
import { runDaemon } from './daemon.ts';

/** @context thread function of the cgroup_destroy kthread */
export function cgroupDestroy(m: Mm): void {
  runDaemon({
    words: m.cgroupWait,
    base: 0,
    maxSleepMs: Infinity,
    hasWork: () => cgroupReleasePending(m),
    step: () => {
      faultStall(FAULT_STALL);
      cgroupReleasePass(m);
    },
  });
}
