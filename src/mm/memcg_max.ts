// SPDX-License-Identifier: GPL-2.0-only
/** Changing a group's limit while it is used (mm/memcontrol.c, memory_max_write). */
import { kthreadShouldStop } from '../../shared/sched.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { kshrinkdPutbackAll } from './kshrinkd_step.ts';
import { MAX_RECLAIM_RETRIES } from './limits.ts';
import type { Mm } from './mm.ts';
import { drainCaches, memcgOutOfMemory } from './oom_kill.ts';
import { tryToFreeMemcgPages } from './vmscan_direct.ts';

/**
 * Sets a group's limit and brings its usage below it: by reclaim, then by the OOM killer.
 * @param memcg a group with a reference, not the root @param maxPages -1 for no limit
 * @context may block and reclaim; no lock held. Ends early when the caller is told to stop
 */
export function memcgSetMax(m: Mm, memcg: number, maxPages: number): void {
  Atomics.store(m.memcg.max, memcg, maxPages);
  if (maxPages < 0) return;
  const fatal = (): boolean => fatalSignalPending(m) || kthreadShouldStop();
  drainCaches(m);
  let retries = MAX_RECLAIM_RETRIES;
  for (let returned = false; !fatal(); ) {
    const over = Atomics.load(m.memcg.usage, memcg) - maxPages;
    if (over <= 0) return;
    if (retries > 0) {
      if (tryToFreeMemcgPages(m, memcg, over, fatal) === 0) retries--;
    } else if (!returned) {
      returned = true;
      if (kshrinkdPutbackAll(m, memcg) > 0) retries = 1;
    } else if (memcgOutOfMemory(m, memcg)) {
      returned = false;
    } else return;
  }
}
