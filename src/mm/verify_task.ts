// SPDX-License-Identifier: GPL-2.0-only
/** The end of a simulated process reads back every page that it has stamped (stamp.ts). */
import { condResched } from '../../shared/sched.ts';
import { PAGE_WORDS, PTRS_PER_TABLE } from './limits.ts';
import type { Mm } from './mm.ts';
import { PTE_NONE, pteOffset } from './pgtable.ts';
import { stampHolds } from './stamp.ts';
import type { UserAccess } from './user_access.ts';
import { readPage } from './verify.ts';

const copy = new Int32Array(PAGE_WORDS);

/**
 * Compares every page that the task has stamped, resident or swapped, and counts into `access` what
 * is wrong. Neither faults nor changes a counter.
 * @returns pages that were read back
 * @context the CPU of the task, which is in its address space; may block
 */
export function verifyStamps(m: Mm, row: number, access: UserAccess): number {
  if (!m.config.contents) return 0;
  const { task, stamp, stampValue } = m.sched;
  const slot = task.stampSlot[row] as number;
  const mm = Atomics.load(task.mm, row);
  let pages = 0;
  let table = task.stampHead[row] as number;
  for (; table !== 0; table = stamp.next[table] as number) {
    condResched();
    const first = (stamp.region[table] as number) * PTRS_PER_TABLE;
    const leaf = pteOffset(m, mm, first);
    for (let i = 0; i < PTRS_PER_TABLE; i++) {
      const expected = stampValue[table * PTRS_PER_TABLE + i] as number;
      if (expected === 0) continue;
      const there = leaf !== PTE_NONE && readPage(m, leaf + i, copy);
      if (!there) access.noteMismatch(first + i, 'at its end: gone');
      else if (!stampHolds(copy, 0, slot, expected)) access.noteMismatch(first + i, 'at its end');
      if (there) pages++;
    }
  }
  return pages;
}
