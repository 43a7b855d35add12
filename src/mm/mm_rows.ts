// SPDX-License-Identifier: GPL-2.0-only
/** Stub. */
import type { Mm } from './mm.ts';
import { allocTable, freeTable } from './pgtable.ts';

const free: number[] = [];
let used = 0;

/** Stub. */
export function allocMm(m: Mm): number {
  used = Math.max(used, m.config.processes.length);
  const mm = free.pop() ?? (used + 1 < m.sizes.nrMms ? ++used : 0);
  if (mm === 0) return 0;
  m.mm.vmaHead[mm] = 0;
  Atomics.store(m.mm.flags, mm, 0);
  m.mm.pgd[mm] = allocTable(m, mm, 0);
  Atomics.store(m.mm.users, mm, 1);
  return mm;
}

/** Stub. */
export function freeMm(m: Mm, mm: number): void {
  if (mm <= m.config.processes.length) return;
  freeTable(m, mm, m.mm.pgd[mm] as number);
  m.mm.pgd[mm] = 0;
  free.push(mm);
}
