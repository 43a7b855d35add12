// SPDX-License-Identifier: GPL-2.0-only
/**
 * kswapd, one per node: sleeps until an allocation finds the node below its low watermark, brings
 * it back to the high one, sleeps again.
 *
 * While its node is offline it is parked (memory_hotplug.ts).
 *
 * Falling asleep takes two steps, as in the kernel: a nap first, during which a quick return of
 * pressure is noticed and counted, then a sleep without end.
 */
import { faultStall } from '../shared/fault.ts';
import {
  EVENT_INTERRUPTED,
  EVENT_READY,
  freezeRequested,
  kthreadSafePoint,
  kthreadShouldPark,
  kthreadShouldStop,
  waitEvent,
  waitEventTimeout,
} from '../shared/sched.ts';
import { WAIT_QUEUE_WORDS } from '../shared/wait_queue.ts';
import { wakeupKcompactd } from '../src/mm/compaction_daemon.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import type { Mm } from '../src/mm/mm.ts';
import { nodeHopeless } from '../src/mm/throttle.ts';
import {
  balanceOut,
  balancePgdat,
  pgdatBalanced,
  wakePfmemallocWaiters,
} from '../src/mm/vmscan_kswapd.ts';
import { EV } from '../src/mm/vmstat_items.ts';

/** HZ/10. */
const NAP_MS = 100;

/** May kswapd sleep? Lets throttled reclaimers go first: nobody else would. */
function prepareSleep(m: Mm, nid: number, order: number): boolean {
  wakePfmemallocWaiters(m, nid);
  return nodeHopeless(m, nid) || pgdatBalanced(m, nid, order);
}

/**
 * @param wanted order that was asked for @param order what kswapd still wants: the rest is
 *   kcompactd's
 */
function trySleep(m: Mm, nid: number, wanted: number, order: number): void {
  const base = nid * WAIT_QUEUE_WORDS;
  // PAIRS(kswapd-wake): read after waitPrepare; a waker that stored it sees us in the queue.
  const requested = (): boolean => Atomics.load(m.node.kswapdZone, nid) !== 0;
  const { events } = m.task;
  if (!prepareSleep(m, nid, order)) return;
  wakeupKcompactd(m, nid, wanted);
  const nap = waitEventTimeout(m.kswapdWait, base, requested, NAP_MS);
  if (nap === EVENT_INTERRUPTED) return;
  if (nap === EVENT_READY) {
    events[EV.kswapd_low_wmark_hit_quickly] =
      (events[EV.kswapd_low_wmark_hit_quickly] as number) + 1;
    return;
  }
  if (!prepareSleep(m, nid, order)) {
    events[EV.kswapd_high_wmark_hit_quickly] =
      (events[EV.kswapd_high_wmark_hit_quickly] as number) + 1;
    return;
  }
  waitEvent(m.kswapdWait, base, requested);
}

/**
 * @param nid the node it looks after
 * @context thread function of kswapd<nid>
 */
export function kswapd(m: Mm, nid: number): void {
  m.task.memalloc = true;
  m.task.kswapd = true;
  const shouldStop = (): boolean => kthreadShouldStop() || freezeRequested() || kthreadShouldPark();
  let order = 0;
  let left = 0;
  for (;;) {
    trySleep(m, nid, order, left);
    if (kthreadSafePoint()) return;
    faultStall(FAULT_STALL);
    Atomics.exchange(m.node.kswapdZone, nid, 0);
    order = Atomics.exchange(m.node.kswapdOrder, nid, 0);
    balancePgdat(m, nid, order, shouldStop);
    left = balanceOut.order;
  }
}
