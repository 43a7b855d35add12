// SPDX-License-Identifier: GPL-2.0-only
/** What a simulated CPU tells the main thread: how far it is, and what its checks found. */
import { LINE_WORDS } from '../shared/types.ts';
import { CPU_NOTE_BYTES, type Mm } from '../src/mm/mm.ts';

/** Words of `cpuState`. */
export const CPU_STATUS = 0;
export const CPU_RESULT = 1;
export const CPU_PAGES_VERIFIED = 2;
export const CPU_MISMATCHES = 3;
/** Values of CPU_STATUS. */
export const CPU_RUNNING = 1;
export const CPU_VERIFYING = 2;
export const CPU_ENDED = 3;

/** Sets CPU_STATUS. @context the CPU itself, as all below */
export function setStatus(m: Mm, status: number): void {
  Atomics.store(m.cpuState, m.task.cpu * LINE_WORDS + CPU_STATUS, status);
}

/** Counts pages that were read back. */
export function addPagesVerified(m: Mm, pages: number): void {
  Atomics.add(m.cpuState, m.task.cpu * LINE_WORDS + CPU_PAGES_VERIFIED, pages);
}

/** Counts mismatches. @param first what the first was: kept if it is this CPU's first */
export function addMismatches(m: Mm, mismatches: number, first: string | null): void {
  const row = m.task.cpu * LINE_WORDS;
  const before = Atomics.add(m.cpuState, row + CPU_MISMATCHES, mismatches);
  if (before === 0 && first !== null) writeNote(m, first);
}

function writeNote(m: Mm, text: string): void {
  for (let i = 0; i < Math.min(text.length, CPU_NOTE_BYTES - 1); i++) {
    m.cpuNote[m.task.cpu * CPU_NOTE_BYTES + i] = text.charCodeAt(i) & 127;
  }
}
