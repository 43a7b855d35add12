// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs of the experiment on kcompressd.
 *
 *   allocator  a process that sweeps more pages than there is room for, in bursts: as many stores,
 *              one to each page, then a pause, in which kswapd may catch up
 */
import { currentEngine } from '../../kthreads/kthread.ts';
import type { Process } from '../../kthreads/process.ts';
import { scheduleTimeout } from '../../shared/sched.ts';
import { FILL_RANDOM } from '../mm/content.ts';
import type { Mm } from '../mm/mm.ts';
import { RUN_DONE } from '../mm/user.ts';

/** What an allocator is told. */
export interface AllocatorArgs {
  readonly start: number;
  readonly pages: number;
  /** After it has used all pages once: bursts, pages of one, and ms between two. */
  readonly bursts: number;
  readonly burst: number;
  readonly pauseMs: number;
  /** Its pages are random all over: no codec makes them smaller. */
  readonly random: boolean;
}

/** @context program of a simulated CPU */
export function allocator(process: Process, args: AllocatorArgs): number {
  const { start, pages, bursts, burst, pauseMs, random } = args;
  const m = currentEngine().target as Mm;
  // Before the first touch: what is expected of the pages at the end is made from it, too.
  const { mm } = m.task;
  if (random) m.mm.fillId[mm] = (m.mm.fillId[mm] as number) | FILL_RANDOM;
  let next = 0;
  const use = (count: number): number => {
    for (let i = 0; i < count; i++) {
      const result = process.store(start + next);
      if (result !== RUN_DONE) return result;
      next = (next + 1) % pages;
    }
    return RUN_DONE;
  };
  let result = use(pages) || process.barrier();
  for (let i = 0; i < bursts && result === RUN_DONE; i++) {
    result = use(burst);
    if (pauseMs > 0) scheduleTimeout(pauseMs);
    if (result === RUN_DONE) result = process.ended;
  }
  return result;
}
