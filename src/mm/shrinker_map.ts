// SPDX-License-Identifier: GPL-2.0-only
/**
 * The lock that is none: a walk "holds" a shrinker while it runs its callbacks, and shrinkerFree
 * "waits for" it. Told to the lock-order checker, so that who frees a shrinker under a lock that
 * its callbacks take is named before it deadlocks. Nothing happens when the checker is off.
 */
import { HELD_READ } from '../../shared/held_locks.ts';
import { lockTrace, traceAcquire, traceAcquired, traceRelease } from '../../shared/lock_trace.ts';
import { LC_SHRINKER_MAP } from './lock_order.ts';
import type { Mm } from './mm.ts';

/** Callbacks of the shrinker begin, or are about to be waited for. */
export function shrinkerMapAcquire(m: Mm, s: number): void {
  if (!lockTrace.order) return;
  traceAcquire(m.shrinker.done, s, LC_SHRINKER_MAP, HELD_READ);
  traceAcquired(m.shrinker.done, s, LC_SHRINKER_MAP, HELD_READ);
}

/** They have ended. */
export function shrinkerMapRelease(m: Mm, s: number): void {
  if (lockTrace.order) traceRelease(m.shrinker.done, s, LC_SHRINKER_MAP, HELD_READ);
}
