// SPDX-License-Identifier: GPL-2.0-only
/**
 * Rows that come and go: page tables, VMAs, anon_vmas and their links, address spaces.
 *
 * A kind has three words of `pool`: the head of its free list, the highest row ever taken, and how
 * many are in use. Rows were never written before they are taken for the first time; after that
 * they hold what their last owner left.
 */
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import type { I32 } from '../../shared/types.ts';
import { LC_TABLE_POOL } from './lock_order.ts';
import type { Mm } from './mm.ts';

/** First word of each kind. */
export const POOL_TABLES = 0;
export const POOL_VMAS = 3;
export const POOL_ANON_VMAS = 6;
export const POOL_AVCS = 9;
export const POOL_MMS = 12;

const HIGHEST = 1;
const IN_USE = 2;

/**
 * Takes a row.
 * @param kind POOL_* @param next the kind's column of the free list
 * @param last highest row there is @param most fail when so many are in use
 * @returns a row, 1 or above; 0 when none is left
 * @context takes table_pool
 */
export function poolTake(m: Mm, kind: number, next: I32, last: number, most = last): number {
  const { pool } = m;
  spinLock(m.poolLock, 0, LC_TABLE_POOL);
  let row = 0;
  if ((pool[kind + IN_USE] as number) < most) {
    row = pool[kind] as number;
    if (row !== 0) {
      pool[kind] = next[row] as number;
    } else if ((pool[kind + HIGHEST] as number) < last) {
      row = (pool[kind + HIGHEST] as number) + 1;
      pool[kind + HIGHEST] = row;
    }
    if (row !== 0) pool[kind + IN_USE] = (pool[kind + IN_USE] as number) + 1;
  }
  spinUnlock(m.poolLock, 0, LC_TABLE_POOL);
  return row;
}

/** Gives a row back. @param kind POOL_* @context takes table_pool; nobody can reach the row */
export function poolPut(m: Mm, kind: number, next: I32, row: number): void {
  const { pool } = m;
  spinLock(m.poolLock, 0, LC_TABLE_POOL);
  next[row] = pool[kind] as number;
  pool[kind] = row;
  pool[kind + IN_USE] = (pool[kind + IN_USE] as number) - 1;
  spinUnlock(m.poolLock, 0, LC_TABLE_POOL);
}

/** Rows 1 to `rows` are in use for ever. @context boot */
export function poolReserve(m: Mm, kind: number, rows: number): void {
  m.pool[kind + HIGHEST] = rows;
  m.pool[kind + IN_USE] = rows;
}

/** @returns rows in use @context quiescence, else a hint */
export function poolInUse(m: Mm, kind: number): number {
  return m.pool[kind + IN_USE] as number;
}
