// SPDX-License-Identifier: MIT
/**
 * The only source of time. `performance.now` is called through the global, so that the
 * deterministic scheduler, which replaces it before this module loads, controls it.
 */

/** Nanoseconds on this thread's monotonic clock. For durations within one thread only. */
export function ktimeNs(): number {
  return performance.now() * 1e6;
}

/**
 * Milliseconds on a clock that all threads of the process share; for stamps compared across
 * threads.
 */
export function ktimeSharedMs(): number {
  return performance.timeOrigin + performance.now();
}
