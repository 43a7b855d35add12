// SPDX-License-Identifier: MIT
/**
 * How a thread goes to sleep: RCU extended quiescent state around it, and the thread table says what
 * is waited for, so that a watchdog or a report can name it. Published only when a thread really
 * parks: a lock that is won by spinning leaves no trace.
 *
 *   parkBegin(kind, arg);  try { ... Atomics.wait ... }  finally { parkEnd(woken); }
 */
import { rcuOffline, rcuOnline } from './rcu_state.ts';
import { self, THREAD_BLOCKED, THREAD_SLEEPING, WAIT_EVENT, WAIT_NONE } from './thread.ts';

let stateBefore = 0;

/**
 * Announces that this thread is about to sleep.
 * @param kind WAIT_* @param arg what it waits on, by kind
 * @context not inside an RCU read section; must be followed by `parkEnd`; does not nest
 */
export function parkBegin(kind: number, arg: number): void {
  rcuOffline();
  const table = self.table;
  if (table === null) return;
  stateBefore = Atomics.load(table.state, self.id);
  Atomics.store(table.waitArg, self.id, arg);
  Atomics.store(table.waitKind, self.id, kind);
  Atomics.store(table.state, self.id, kind === WAIT_EVENT ? THREAD_SLEEPING : THREAD_BLOCKED);
}

/** Ends the sleep. The heartbeat moves here only: a waiter that merely re-checks is still stuck. */
export function parkEnd(): void {
  const table = self.table;
  if (table !== null) {
    Atomics.store(table.state, self.id, stateBefore);
    Atomics.store(table.waitKind, self.id, WAIT_NONE);
    Atomics.add(table.heartbeat, self.id, 1);
    Atomics.add(table.wakeups, self.id, 1);
  }
  rcuOnline();
}
