// SPDX-License-Identifier: GPL-2.0-only
/**
 * The loop that every daemon shares: park and freeze at the top, work while there is some, drain
 * before a stop, sleep otherwise. A daemon brings its queue, its test for work and one step.
 */
import { condResched, EVENT_TIMEOUT, kthreadSafePoint, waitEventTimeout } from '../shared/sched.ts';
import type { I32 } from '../shared/types.ts';

export interface Daemon {
  /** Wait queue that producers wake after they made `hasWork` true. */
  readonly words: I32;
  readonly base: number;
  /** Cheap; reads shared words with Atomics. */
  hasWork(): boolean;
  /** One bounded pass. Returns with no lock held. */
  step(): void;
  /** Longest sleep in ms; Infinity sleeps until woken. */
  readonly maxSleepMs: number;
  /** Called when a sleep ran its full time. */
  onTimeout?(): void;
}

/**
 * Runs a daemon until it is stopped and has drained.
 * @context a thread function, holding no lock
 */
export function runDaemon(daemon: Daemon): void {
  const hasWork = (): boolean => daemon.hasWork();
  for (;;) {
    const stopping = kthreadSafePoint();
    if (hasWork()) {
      daemon.step();
      condResched();
    } else if (stopping) {
      return;
    } else if (
      waitEventTimeout(daemon.words, daemon.base, hasWork, daemon.maxSleepMs) === EVENT_TIMEOUT
    ) {
      daemon.onTimeout?.();
    }
  }
}
