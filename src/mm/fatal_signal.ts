// SPDX-License-Identifier: GPL-2.0-only
/** Is the running process about to die? (fatal_signal_pending) */
import type { Mm } from './mm.ts';
import { MMF_OOM_VICTIM } from './mm_types.ts';

/** The process that runs on this thread was chosen by the OOM killer. */
export function fatalSignalPending(m: Mm): boolean {
  return m.task.mm !== 0 && (Atomics.load(m.mm.flags, m.task.mm) & MMF_OOM_VICTIM) !== 0;
}
