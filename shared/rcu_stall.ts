// SPDX-License-Identifier: MIT
/**
 * Stall reports: who holds a grace period up.
 *
 *   kind       what happened                                   what the grace period does
 *   RCU_STALL  an online thread has passed no quiescent state   keeps waiting
 *              for stallMs (in a reader, or in a loop without
 *              condResched)
 *   RCU_DEAD   a thread died while it was online                stops waiting for that thread
 *
 * Records live in the arena, so that a watchdog or a panic report of another thread can read them.
 */
import { THREADS_MAX } from './limits.ts';
import { threadLabel } from './lock_class.ts';
import { RCU_NR_ROWS } from './rcu_state.ts';
import { RCU_STALL_RECORDS, type RcuTable } from './rcu_table.ts';
import { LINE_WORDS } from './types.ts';

export const RCU_STALL = 1;
export const RCU_DEAD = 2;

export interface RcuStall {
  readonly kind: number;
  /** Number of the grace period that is held up. */
  readonly gp: number;
  readonly thread: number;
  /** Depth of read sections that the thread was in; 0: it only passed no quiescent state. */
  readonly nesting: number;
  /** Age of the grace period, in ms. */
  readonly ms: number;
}

let handler: ((stall: RcuStall) => void) | null = null;

/**
 * Sets what this worker does about a stall that it finds while it drives a grace period.
 * @param fn called with each record; must not throw and must not use RCU. null: records only
 * @context once per worker
 */
export function setRcuStallHandler(fn: ((stall: RcuStall) => void) | null): void {
  handler = fn;
}

/** @returns whether a row at `seen` still holds grace period `gp` up */
export function rcuRowHolds(seen: number, gp: number): boolean {
  return seen !== 0 && ((seen - gp) | 0) < 0;
}

/** Writes one record. @context the thread that drives the grace period */
export function recordRcuStall(
  table: RcuTable,
  kind: number,
  gp: number,
  thread: number,
  ms: number,
): void {
  const { stalls } = table;
  const count = Atomics.load(stalls.count, 0);
  const at = count % RCU_STALL_RECORDS;
  // kreclaim-racy: a stale depth is a wrong word in a report
  const nesting = table.nesting[thread * LINE_WORDS] as number;
  stalls.kind[at] = kind;
  stalls.gp[at] = gp;
  stalls.thread[at] = thread;
  stalls.nesting[at] = nesting;
  stalls.ms[at] = ms;
  Atomics.store(stalls.count, 0, count + 1); // PAIRS(rcu-stall): after the record's words
  if (handler !== null) handler({ kind, gp, thread, nesting, ms: ms | 0 });
}

/** Records every thread that holds `gp` up. @context the thread that drives the grace period */
export function recordRcuHolders(table: RcuTable, gp: number, ms: number): void {
  const nr = Math.min(Atomics.load(table.words, RCU_NR_ROWS), THREADS_MAX);
  for (let id = 1; id < nr; id++) {
    if (rcuRowHolds(Atomics.load(table.seen, id * LINE_WORDS), gp)) {
      recordRcuStall(table, RCU_STALL, gp, id, ms);
    }
  }
}

/** @returns the records kept, oldest first @context any thread; racy while a stall is recorded */
export function rcuStalls(table: RcuTable): RcuStall[] {
  const { stalls } = table;
  const count = Atomics.load(stalls.count, 0); // PAIRS(rcu-stall)
  const list: RcuStall[] = [];
  for (let i = Math.max(0, count - RCU_STALL_RECORDS); i < count; i++) {
    const at = i % RCU_STALL_RECORDS;
    list.push({
      kind: stalls.kind[at] as number,
      gp: stalls.gp[at] as number,
      thread: stalls.thread[at] as number,
      nesting: stalls.nesting[at] as number,
      ms: stalls.ms[at] as number,
    });
  }
  return list;
}

/**
 * One line for a log: `rcu: grace period 7 waits 2000 ms for kswapd0/3, in a reader (nesting 1)`.
 */
export function formatRcuStall(stall: RcuStall): string {
  const who = threadLabel(stall.thread);
  if (stall.kind === RCU_DEAD) {
    return `rcu: ${who} died online; grace period ${stall.gp} no longer waits for it`;
  }
  const where =
    stall.nesting > 0
      ? `in a reader (nesting ${stall.nesting})`
      : 'not in a reader, no condResched';
  return `rcu: grace period ${stall.gp} waits ${stall.ms} ms for ${who}, ${where}`;
}
