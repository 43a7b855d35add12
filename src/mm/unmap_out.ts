// SPDX-License-Identifier: GPL-2.0-only
/** What walks of the rmap leave to their caller. */

/**
 * CPUs whose sections must end before the bytes may be read or given away: gathered by walks that
 * take entries away or write-protect them, for one `tlbFlush`. Private to the thread.
 */
export const unmapOut = { cpuMask: 0 };
