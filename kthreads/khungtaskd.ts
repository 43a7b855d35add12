// SPDX-License-Identifier: GPL-2.0-only
/**
 * khungtaskd: wakes some times per timeout, ages every thread, panics the machine over a hung one.
 */
import { ktimeNs } from '../shared/ktime.ts';
import { kthreadSafePoint, scheduleTimeout } from '../shared/sched.ts';
import { currentEngine } from './kthread.ts';
import { checkIntervalMs, HungTaskWatch, panicHung } from './watchdog.ts';

/** @context thread function of the khungtaskd kthread */
export function khungtaskd(): void {
  const engine = currentEngine();
  const { hungTaskMs } = engine;
  const intervalMs = checkIntervalMs(hungTaskMs);
  const watch = new HungTaskWatch(engine, hungTaskMs, ktimeNs() / 1e6);
  while (!kthreadSafePoint()) {
    scheduleTimeout(intervalMs);
    const hung = watch.check(ktimeNs() / 1e6);
    if (hung.length > 0) panicHung(engine, hung, hungTaskMs);
  }
}
