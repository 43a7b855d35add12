// SPDX-License-Identifier: GPL-2.0-only
/**
 * Address spaces come and go (kernel/fork.c, mm_alloc and mmdrop): rows of the table `mm`.
 *
 * The processes of the configuration have the first rows for ever, so that a report can name them
 * after their end; the rows behind them are for processes made at run time.
 */
import { assert } from '../../shared/assert.ts';
import type { Mm } from './mm.ts';
import { MMF_LIFE_SHIFT } from './mm_types.ts';
import { allocTable, freeTable } from './pgtable.ts';
import { POOL_MMS, poolPut, poolReserve, poolTake } from './row_pool.ts';

/** Gives the processes of the configuration their rows. @context boot */
export function mmRowsInit(m: Mm): void {
  const { length } = m.config.processes;
  poolReserve(m, POOL_MMS, length);
  for (let mm = 1; mm <= length; mm++) {
    m.mm.fillId[mm] = mm;
    m.mm.pgd[mm] = allocTable(m, mm, 0);
    assert(m.mm.pgd[mm] !== 0, 'there is a page table for each process');
  }
}

/** Is the row one of the configuration's processes? */
export function mmOfConfig(m: Mm, mm: number): boolean {
  return mm <= m.config.processes.length;
}

/**
 * An empty address space with one user, in the root group: dupMm or cgroupAttach moves it.
 * @returns its row; 0 when none is free, or no page table is
 * @context takes table_pool
 */
export function allocMm(m: Mm): number {
  const mm = poolTake(m, POOL_MMS, m.mm.freeNext, m.sizes.nrMms - 1);
  if (mm === 0) return 0;
  // Its next life: who read the flags of the last one cannot kill this one by them.
  const life = (Atomics.load(m.mm.flags, mm) >>> MMF_LIFE_SHIFT) + 1;
  Atomics.store(m.mm.flags, mm, life << MMF_LIFE_SHIFT);
  m.mm.fillId[mm] = mm + life * m.sizes.nrMms;
  m.mm.vmaHead[mm] = 0;
  Atomics.store(m.mm.cpuMask, mm, 0);
  Atomics.store(m.mm.faults, mm, 0);
  Atomics.store(m.mm.majorFaults, mm, 0);
  Atomics.store(m.mm.running, mm, 0);
  m.mm.pgd[mm] = allocTable(m, mm, 0);
  if (m.mm.pgd[mm] === 0) {
    poolPut(m, POOL_MMS, m.mm.freeNext, mm);
    return 0;
  }
  Atomics.store(m.mm.users, mm, 1);
  Atomics.store(m.mm.memcg, mm, 0);
  Atomics.add(m.memcg.procs, 0, 1);
  return mm;
}

/**
 * Gives the row of an address space back that has no memory, no VMA and no user; those of the
 * configuration keep theirs.
 * @context takes table_pool; nobody can find the address space but by its number
 */
export function freeMm(m: Mm, mm: number): void {
  if (mmOfConfig(m, mm)) return;
  assert(m.mm.vmaHead[mm] === 0, 'an address space that is freed has no VMA');
  assert(Atomics.load(m.mm.users, mm) === 0, 'an address space that is freed has no user');
  freeTable(m, mm, m.mm.pgd[mm] as number);
  m.mm.pgd[mm] = 0;
  poolPut(m, POOL_MMS, m.mm.freeNext, mm);
}
