// SPDX-License-Identifier: GPL-2.0-only
/** Is the running process about to die? (fatal_signal_pending) */
import type { Mm } from './mm.ts';
import { MMF_OOM_VICTIM, MMF_SIGBUS } from './mm_types.ts';

/** Flags of a process that is to end. */
const MMF_KILLED = MMF_OOM_VICTIM | MMF_SIGBUS;

/** The process that runs on this thread was killed: by the OOM killer, or over a page of swap. */
export function fatalSignalPending(m: Mm): boolean {
  return m.task.mm !== 0 && (Atomics.load(m.mm.flags, m.task.mm) & MMF_KILLED) !== 0;
}
