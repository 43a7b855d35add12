// SPDX-License-Identifier: GPL-2.0-only
/**
 * kshrinkd, one per node (seed 000): sleeps until reclaim has queued folios whose rmap lock was
 * contended, frees what it can of them, puts the rest back.
 *
 * It stops with an empty queue, and empties it before it freezes. While its node is offline it is
 * parked (kshrinkd_hotplug.ts), and nobody queues. What the seed got wrong there can be switched on
 * (contended.ts).
 */
import { faultStall, shouldFail } from '../shared/fault.ts';
import {
  condResched,
  freezeRequested,
  kthreadSafePoint,
  kthreadShouldPark,
  kthreadShouldStop,
  waitEvent,
  waitEventBlocked,
} from '../shared/sched.ts';
import { WAIT_QUEUE_WORDS } from '../shared/wait_queue.ts';
import { CONTENDED_KSHRINKD } from '../src/mm/contended.ts';
import { FAULT_KTHREAD, FAULT_STALL } from '../src/mm/faults.ts';
import {
  hasBug,
  kshrinkdClose,
  kshrinkdOpen,
  kshrinkdPages,
  kshrinkdShut,
} from '../src/mm/kshrinkd.ts';
import { kshrinkdDrain, kshrinkdStep } from '../src/mm/kshrinkd_step.ts';
import type { Mm } from '../src/mm/mm.ts';

/** Sleeps until there is work, or something is asked of the thread. */
function sleep(m: Mm, nid: number): void {
  const base = nid * WAIT_QUEUE_WORDS;
  // PAIRS(kshrinkd-wake): read after waitPrepare; a producer that counted its folios sees us.
  const queued = (): boolean => kshrinkdPages(m, nid) > 0;
  if (hasBug(m, 'stop-hang')) {
    waitEventBlocked(
      m.kshrinkdWait,
      base,
      () => queued() || freezeRequested() || kthreadShouldPark(),
    );
  } else waitEvent(m.kshrinkdWait, base, queued);
}

/** Is it to end, park or freeze? Then nothing is to stay queued. */
function asked(): boolean {
  return kthreadShouldStop() || kthreadShouldPark() || freezeRequested();
}

/**
 * @param nid the node it looks after
 * @context thread function of kshrinkd<nid>
 */
export function kshrinkd(m: Mm, nid: number): void {
  // As if it could not be started: its node goes on without it.
  if (shouldFail(FAULT_KTHREAD)) return;
  m.task.memalloc = true;
  // The seed marks it as kswapd, so that it writes dirty pages of files where kswapd does.
  m.task.kswapd = m.contended === CONTENDED_KSHRINKD;
  kshrinkdOpen(m, nid);
  const leak = hasBug(m, 'stop-leak');
  for (;;) {
    if (asked()) {
      if (!leak) {
        kshrinkdShut(m, nid);
        kshrinkdDrain(m, nid);
      }
      if (kthreadSafePoint() && (leak || kshrinkdClose(m, nid))) return;
      kshrinkdOpen(m, nid);
    }
    if (kshrinkdPages(m, nid) === 0) {
      sleep(m, nid);
      continue;
    }
    kshrinkdStep(m, nid, !asked());
    condResched();
    // More is queued meanwhile.
    faultStall(FAULT_STALL);
  }
}
