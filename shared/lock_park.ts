// SPDX-License-Identifier: MIT
/**
 * How a thread goes to sleep: RCU extended quiescent state around it, and the thread table says
 * what is waited for, so that a watchdog or a report can name it. Published only when a thread
 * really parks: a lock that is won by spinning leaves no trace.
 *
 *   parkBegin(kind, arg);  try { ... Atomics.wait ... }  finally { parkEnd(); }
 *
 * A waiter for a spinlock kind may be inside an RCU reader, as in the kernel: rcuOffline leaves it
 * online, and a grace period waits for it. Any other sleep inside a reader is a bug, thrown here.
 */
import { bug } from './assert.ts';
import { threadLabel } from './lock_class.ts';
import { rcuOffline, rcuOnline, rcuReadHeld } from './rcu_state.ts';
import { self, THREAD_BLOCKED, THREAD_SLEEPING, WAIT_EVENT, WAIT_NONE } from './thread.ts';

let stateBefore = 0;

/**
 * Announces that this thread is about to sleep.
 * @param kind WAIT_* @param arg what it waits on, by kind
 * @param spinning true for spinlock kinds, whose waiters may be RCU readers
 * @throws BugError inside an RCU reader, unless `spinning`
 * @context must be followed by `parkEnd`; does not nest
 */
export function parkBegin(kind: number, arg: number, spinning = false): void {
  if (!spinning && rcuReadHeld()) bug(`${threadLabel(self.id)} sleeps inside an RCU reader`);
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
