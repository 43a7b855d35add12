// SPDX-License-Identifier: GPL-2.0-only
/**
 * Stamps: how a simulated process knows that its pages hold what it stored.
 *
 *   page of a frame   | slot 0 | slot 1 | ... | slot 31 |  ...  | slot 0 | ... | slot 31 |
 *                      bytes 0 .. 255                            bytes 3840 .. 4095
 *
 * A store through `touch` writes a number that no other store of the machine writes soon into the
 * task's slot at both ends of the page, and the task's private table keeps it. A load compares; the
 * end of the process reads every page back, swapped ones too. A child that is forked takes a copy
 * of the table, as it takes a copy of the memory: so COW is checked on both sides. Threads of one
 * address space have a slot and a table each. 0 in a table: not known, not compared.
 *
 * Tables lie in the arena because parent and child run on different workers; each has one user.
 */
import { spinLock, spinUnlock } from '../../shared/spinlock.ts';
import { PAGE_WORDS, PTRS_PER_TABLE, SLOTS_BYTES } from './limits.ts';
import { LC_STAMP_POOL } from './lock_order.ts';
import type { Mm } from './mm.ts';
import {
  SCHED_STAMP_FREE,
  SCHED_STAMP_LOCK,
  SCHED_STAMP_USED,
  stampTables,
} from './sched_types.ts';

/** Threads of one address space that can have stamps of their own. */
export const STAMP_SLOTS = SLOTS_BYTES / 8;
/** Word of a slot at the end of a page, from the slot's word at its beginning. */
const TAIL_WORDS = PAGE_WORDS - SLOTS_BYTES / 4;

/** Takes a table of the pool, all zero. @returns its row, or 0 when there is none left */
function takeTable(m: Mm): number {
  const { words, stamp, stampValue } = m.sched;
  spinLock(words, SCHED_STAMP_LOCK, LC_STAMP_POOL);
  let table = words[SCHED_STAMP_FREE] as number;
  if (table !== 0) {
    words[SCHED_STAMP_FREE] = stamp.next[table] as number;
  } else if ((words[SCHED_STAMP_USED] as number) < stampTables(m.config)) {
    table = (words[SCHED_STAMP_USED] as number) + 1;
    words[SCHED_STAMP_USED] = table;
  }
  spinUnlock(words, SCHED_STAMP_LOCK, LC_STAMP_POOL);
  if (table !== 0) stampValue.fill(0, table * PTRS_PER_TABLE, (table + 1) * PTRS_PER_TABLE);
  return table;
}

/**
 * The table of a task for 512 neighbouring pages, made if it has none.
 * @param region first vpn / 512
 * @returns index of the first page's stamp in `stampValue`, or -1 when there is no table left: then
 *   these pages are not checked
 * @context the CPU of the task, outside a section; takes stamp_pool
 */
export function stampTable(m: Mm, row: number, region: number): number {
  const { task, stamp } = m.sched;
  const found = findStamps(m, row, region);
  if (found >= 0) return found;
  const table = takeTable(m);
  if (table === 0) return -1;
  stamp.region[table] = region;
  stamp.next[table] = task.stampHead[row] as number;
  task.stampHead[row] = table;
  return table * PTRS_PER_TABLE;
}

/** As `stampTable`, without making one. @returns -1 when the task has none */
export function findStamps(m: Mm, row: number, region: number): number {
  const { task, stamp } = m.sched;
  for (
    let table = task.stampHead[row] as number;
    table !== 0;
    table = stamp.next[table] as number
  ) {
    if (stamp.region[table] === region) return table * PTRS_PER_TABLE;
  }
  return -1;
}

/**
 * A forked child starts with its parent's table and slot.
 * @returns false when there are not enough tables: what the child has, it checks
 * @context the CPU of the parent; nobody else knows the child yet
 */
export function copyStamps(m: Mm, parent: number, child: number): boolean {
  const { task, stamp, stampValue } = m.sched;
  task.stampSlot[child] = task.stampSlot[parent] as number;
  let from = task.stampHead[parent] as number;
  for (; from !== 0; from = stamp.next[from] as number) {
    const to = stampTable(m, child, stamp.region[from] as number);
    if (to < 0) return false;
    const first = from * PTRS_PER_TABLE;
    stampValue.copyWithin(to, first, first + PTRS_PER_TABLE);
  }
  return true;
}

/** Forgets what a task stored in a range of pages: they are not its own any more. */
export function forgetStamps(m: Mm, row: number, start: number, pages: number): void {
  for (let vpn = start; vpn < start + pages; ) {
    const end = Math.min(start + pages, vpn - (vpn % PTRS_PER_TABLE) + PTRS_PER_TABLE);
    const table = findStamps(m, row, Math.floor(vpn / PTRS_PER_TABLE));
    const at = table + (vpn % PTRS_PER_TABLE);
    if (table >= 0) m.sched.stampValue.fill(0, at, at + (end - vpn));
    vpn = end;
  }
}

/**
 * Moves what a task knows of a range, as its pages have moved; what has no table left is forgotten.
 * @param from first vpn @param to first vpn of the new range, which does not overlap
 */
export function moveStamps(m: Mm, row: number, from: number, to: number, pages: number): void {
  const { stampValue } = m.sched;
  for (let i = 0; i < pages; i++) {
    const old = findStamps(m, row, Math.floor((from + i) / PTRS_PER_TABLE));
    const at = old + ((from + i) % PTRS_PER_TABLE);
    const value = old < 0 ? 0 : (stampValue[at] as number);
    if (old >= 0) stampValue[at] = 0;
    const table = value === 0 ? -1 : stampTable(m, row, Math.floor((to + i) / PTRS_PER_TABLE));
    if (table >= 0) stampValue[table + ((to + i) % PTRS_PER_TABLE)] = value;
  }
}

/** Gives a task's tables back. @context the CPU of the task; takes stamp_pool */
export function freeStamps(m: Mm, row: number): void {
  const { words, task, stamp } = m.sched;
  let table = task.stampHead[row] as number;
  task.stampHead[row] = 0;
  if (table === 0) return;
  spinLock(words, SCHED_STAMP_LOCK, LC_STAMP_POOL);
  while (table !== 0) {
    const next = stamp.next[table] as number;
    stamp.next[table] = words[SCHED_STAMP_FREE] as number;
    words[SCHED_STAMP_FREE] = table;
    table = next;
  }
  spinUnlock(words, SCHED_STAMP_LOCK, LC_STAMP_POOL);
}

/**
 * A slot for a thread of an address space.
 * @returns 0 .. STAMP_SLOTS - 1, or -1 when all are taken
 * @context any
 */
export function takeStampSlot(m: Mm, mm: number): number {
  const { stampSlots } = m.sched;
  for (;;) {
    const taken = Atomics.load(stampSlots, mm);
    const slot = 31 - Math.clz32(~taken & -~taken);
    if (~taken === 0) return -1;
    const now = taken | (1 << slot);
    if (Atomics.compareExchange(stampSlots, mm, taken, now) === taken) return slot;
  }
}

/** The thread has ended. @context any */
export function putStampSlot(m: Mm, mm: number, slot: number): void {
  Atomics.and(m.sched.stampSlots, mm, ~(1 << slot));
}

/** Writes a stamp to both ends of a frame. @param words the frame's @param first of the frame */
export function writeStamp(words: Int32Array, first: number, slot: number, value: number): void {
  words[first + 2 * slot] = value;
  words[first + TAIL_WORDS + 2 * slot] = value;
}

/** @returns whether both ends of a frame hold a stamp */
export function stampHolds(words: Int32Array, first: number, slot: number, value: number): boolean {
  return words[first + 2 * slot] === value && words[first + TAIL_WORDS + 2 * slot] === value;
}

/** A number for a store: never 0, unlike those of other tasks. @param seq of the task's stores */
export function stampOf(pid: number, seq: number): number {
  const value = (Math.imul(pid, 0x9e3779b1) + seq) | 0;
  return value === 0 ? 1 : value;
}
