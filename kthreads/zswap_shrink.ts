// SPDX-License-Identifier: GPL-2.0-only
/**
 * zswap_shrink: wakes when the pool of zswap has reached its limit, and writes the coldest entries
 * of all groups to the swap file until it is below the threshold (mm/zswap.c, the zswap-shrink
 * workqueue).
 */
import { faultStall } from '../shared/fault.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import type { Mm } from '../src/mm/mm.ts';
import { zswapShrinkPass, zswapShrinkPending } from '../src/mm/zswap_writeback.ts';
import { runDaemon } from './daemon.ts';

/** @context thread function of the zswap_shrink kthread */
export function zswapShrink(m: Mm): void {
  runDaemon({
    words: m.zswapWait,
    base: 0,
    maxSleepMs: Infinity,
    hasWork: () => zswapShrinkPending(m),
    step: () => {
      faultStall(FAULT_STALL);
      zswapShrinkPass(m);
    },
  });
}
