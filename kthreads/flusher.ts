// SPDX-License-Identifier: GPL-2.0-only
/**
 * The flusher: writes dirty pages of the host's files when there are more than the background
 * threshold, when reclaim or a writer asks, and every dirty_writeback_centisecs.
 *
 * A pass takes all that is dirty: the kernel's age limit (dirty_expire_centisecs) is not modelled.
 */
import { faultStall } from '../shared/fault.ts';
import { kthreadShouldStop } from '../shared/sched.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import { flushPass, flushWanted } from '../src/mm/flush.ts';
import type { Mm } from '../src/mm/mm.ts';
import { dirtyPages } from '../src/mm/page_writeback.ts';
import { runDaemon } from './daemon.ts';

/** @context thread function of the flusher kthread */
export function flusher(m: Mm): void {
  const every = m.config.dirtyWritebackCentisecs * 10;
  let written = 1;
  runDaemon({
    words: m.flusherWait,
    base: 0,
    maxSleepMs: every === 0 ? Infinity : every,
    // What cannot be written is tried again when somebody asks, or when it is time.
    hasWork: () => flushWanted(m, written > 0 && !kthreadShouldStop()),
    step: () => {
      faultStall(FAULT_STALL);
      written = flushPass(m);
    },
    onTimeout: () => {
      if (dirtyPages(m) > 0) written = flushPass(m);
    },
  });
}
