// SPDX-License-Identifier: GPL-2.0-only
/** Is the running process about to die? (fatal_signal_pending) */
import type { Mm } from './mm.ts';
import { MMF_OOM_VICTIM, MMF_SIGBUS, MMF_UNSTABLE } from './mm_types.ts';

/** The process was chosen by the OOM killer: its memory may be gone. */
export function oomVictim(m: Mm, mm: number): boolean {
  return (Atomics.load(m.mm.flags, mm) & MMF_OOM_VICTIM) !== 0;
}

/**
 * Has the OOM reaper begun with it (check_stable_address_space)? Then an empty entry may be one
 * that it took, and stays empty.
 * @context mmap_lock held; under ptl it decides: the reaper comes to the entry after it said so
 */
export function mmUnstable(m: Mm, mm: number): boolean {
  return (Atomics.load(m.mm.flags, mm) & MMF_UNSTABLE) !== 0;
}

/** Flags of a process that is to end. */
const MMF_KILLED = MMF_OOM_VICTIM | MMF_SIGBUS;

/** The process that runs on this thread was killed: by the OOM killer, or over a page of swap. */
export function fatalSignalPending(m: Mm): boolean {
  return m.task.mm !== 0 && (Atomics.load(m.mm.flags, m.task.mm) & MMF_KILLED) !== 0;
}
