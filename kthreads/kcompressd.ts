// SPDX-License-Identifier: GPL-2.0-only
/**
 * kcompressd, one to four per node (seed 001): compresses what kswapd has queued.
 *
 * Its allocations never reclaim. It ends, parks and freezes with an empty ring, and nobody queues
 * meanwhile. What the prototype got wrong there can be switched on (kcompressd_types.ts).
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
import { FAULT_KTHREAD, FAULT_STALL } from '../src/mm/faults.ts';
import { kcompressdHasBug, kcompressdRing } from '../src/mm/kcompressd.ts';
import {
  kcompressdClose,
  kcompressdOpen,
  kcompressdOut,
  kcompressdStep,
} from '../src/mm/kcompressd_step.ts';
import type { Mm } from '../src/mm/mm.ts';

/** A producer that has its place in the ring fills it at once, unless its CPU is taken away. */
const PUSH_MS = 10;

function asked(): boolean {
  return kthreadShouldStop() || kthreadShouldPark() || freezeRequested();
}

function sleep(m: Mm, row: number): void {
  const base = row * WAIT_QUEUE_WORDS;
  const ring = kcompressdRing(m, row);
  const queued = (): boolean => ring.length() > 0;
  if (kcompressdHasBug(m, 'stop-hang')) {
    waitEventBlocked(
      m.kcompressdWait,
      base,
      () => queued() || freezeRequested() || kthreadShouldPark(),
    );
  } else waitEvent(m.kcompressdWait, base, queued);
}

/**
 * @param row its ring: the node's first, and up
 * @context thread function of kcompressd<nid>
 */
export function kcompressd(m: Mm, row: number): void {
  // As if it could not be started: its node goes on without it.
  if (shouldFail(FAULT_KTHREAD)) return;
  m.task.memalloc = true;
  const leak = kcompressdHasBug(m, 'stop-leak');
  kcompressdOpen(m, row);
  for (;;) {
    if (asked()) {
      if (!leak) kcompressdClose(m, row);
      if (kthreadSafePoint()) return;
      kcompressdOpen(m, row);
    }
    if (kcompressdRing(m, row).length() === 0) {
      sleep(m, row);
      continue;
    }
    // What is not there yet, its producer is about to put there.
    if (kcompressdStep(m, row) === 0) kcompressdRing(m, row).waitReadable(PUSH_MS);
    if (kcompressdOut.zswap && kcompressdHasBug(m, 'one-page')) return;
    condResched();
    // More is queued meanwhile.
    faultStall(FAULT_STALL);
  }
}
