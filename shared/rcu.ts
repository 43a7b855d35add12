// SPDX-License-Identifier: MIT
/**
 * RCU, quiescent-state based (QSBR): readers run without atomic operations and without waiting;
 * whoever takes something away waits until no reader can still see it.
 *
 * Vocabulary
 *   read-side section  between rcuReadLock and rcuReadUnlock; pointers come from rcuDereference
 *   quiescent state    a moment at which a thread holds no such pointer: it calls rcuQuiescent (as
 *                      condResched does), or it is offline (asleep: every park says so)
 *   grace period       a time in which every online thread passed a quiescent state
 *
 * Words: GP is the number of the newest grace period, COMPLETED the newest that ended; both run
 * over i32 and skip 0. A thread's row holds the GP that it saw at its last quiescent state, 0
 * offline. A caller that reads GP = s needs a grace period that starts later: any number after s.
 * At most one thread, the driver, runs one; callers that wait meanwhile share the next.
 *
 *   updater                              reader
 *   rcuAssignPointer(p, new)             rcuReadLock()
 *   driver: GP = g                       x = rcuDereference(p)       old or new
 *           wait until row >= g or 0     rcuReadUnlock()
 *           COMPLETED = g                rcuQuiescent(): row = g     x is not used after it
 *   reuse old
 *
 * Guarantees. (A) After synchronizeRcu returns, no section that began before it was called still
 * runs. (B) A section that begins after an rcuAssignPointer whose grace period has ended sees the
 * new value. (C) Callbacks of one thread run in order, each after a grace period that began after
 * it was queued (overflow: see callRcu). (D) A thread that dies online does not hang a grace
 * period; it is recorded. (E) A thread that holds one up longer than stallMs is named, and waited
 * for. Not promised: a bound on the length of a grace period; a thread that neither sleeps nor
 * calls rcuQuiescent holds it up for ever.
 * Progress: readers are wait-free; synchronizeRcu blocks on every online thread, never on a
 * sleeper.
 */
import { assert } from './assert.ts';
import { cpuRelax } from './cpu_relax.ts';
import { ktimeNs } from './ktime.ts';
import { PARK_CHECK_MS, SPIN_LIMIT, THREADS_MAX } from './limits.ts';
import { parkBegin, parkEnd } from './lock_park.ts';
import { RCU_DEAD, rcuRowHolds, recordRcuHolders, recordRcuStall } from './rcu_stall.ts';
import {
  RCU_COMPLETED,
  RCU_DRIVER,
  RCU_DRIVER_SEQ,
  RCU_GP,
  RCU_NR_ROWS,
  RCU_PARKED,
  RCU_STALL_MS,
  rcuMightSleep,
  rcuOffline,
  rcuOnline,
  rcuRegisterThread,
  rcuUnregisterThread,
  resetRcuThread,
} from './rcu_state.ts';
import { initRcu, type RcuTable } from './rcu_table.ts';
import { self, threadAlive, WAIT_RCU } from './thread.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

export {
  rcuIsOnline,
  rcuMightSleep,
  rcuOffline,
  rcuOnline,
  rcuQuiescent,
  rcuReadHeld,
  rcuReadLock,
  rcuReadUnlock,
} from './rcu_state.ts';
export { declareRcu, type RcuOptions, type RcuTable, setRcuStallMs } from './rcu_table.ts';

let current: RcuTable | null = null;

/** @returns the domain of this thread @throws BugError when it is not registered */
export function rcuDomain(): RcuTable {
  assert(current !== null, 'thread is not registered with RCU');
  return current;
}

/**
 * Registers this thread as an online reader of the domain.
 * @param id this thread's id, 1 .. THREADS_MAX-1
 * @context once per worker, after enterSync
 */
export function enterRcu(table: RcuTable, id: number): void {
  initRcu(table);
  rcuRegisterThread(table, id);
  current = table;
}

/**
 * Ends the registration.
 * @context not inside a reader; the thread reads nothing under RCU after it
 */
export function leaveRcu(): void {
  rcuUnregisterThread();
  current = null;
}

/** Back to a thread that is registered nowhere, in tests only: as `resetSync`. */
export function resetRcu(): void {
  resetRcuThread();
  current = null;
}

/** Reads a word that updaters publish. @context a read-side section, or the updaters' lock */
export function rcuDereference(words: I32, index: number): number {
  return Atomics.load(words, index);
}

/** Publishes: all that was written to the new object before is seen by readers that get `value`. */
export function rcuAssignPointer(words: I32, index: number, value: number): void {
  Atomics.store(words, index, value);
}

/**
 * Waits until every read-side section that has begun by now has ended.
 * @throws BugError inside a reader: it would wait for itself
 * @context a registered thread; may park; not under a spinlock; counts as a quiescent state
 */
export function synchronizeRcu(): void {
  const table = rcuDomain();
  rcuMightSleep();
  const since = Atomics.load(table.words, RCU_GP);
  rcuOffline();
  try {
    awaitGracePeriod(table, since);
  } finally {
    rcuOnline();
  }
}

/**
 * @returns a cookie for a grace period that starts now, valid for 2^31 grace periods
 * @context any
 */
export function getStateSynchronizeRcu(): number {
  return Atomics.load(rcuDomain().words, RCU_GP);
}

/**
 * @param cookie from getStateSynchronizeRcu
 * @returns true when a grace period has passed since the cookie. Starts none
 */
export function pollStateSynchronizeRcu(cookie: number): boolean {
  return passed(Atomics.load(rcuDomain().words, RCU_COMPLETED), cookie);
}

/** Waits for a grace period unless one has passed since the cookie. @context as synchronizeRcu */
export function condSynchronizeRcu(cookie: number): void {
  if (!pollStateSynchronizeRcu(cookie)) synchronizeRcu();
}

/** Numbers run over the whole of i32: the comparison is of their distance. */
function passed(completed: number, since: number): boolean {
  return ((completed - since) | 0) > 0;
}

/** 0 in a row means offline, so no grace period has that number. */
function gpAfter(gp: number): number {
  const next = (gp + 1) | 0;
  return next === 0 ? 1 : next;
}

/** Drives grace periods, or waits for the thread that does, until one after `since` has ended. */
function awaitGracePeriod(table: RcuTable, since: number): void {
  const { words } = table;
  for (let spins = 0; ; ) {
    const seq = Atomics.load(words, RCU_DRIVER_SEQ); // PAIRS(rcu-driver): before the tests below
    if (passed(Atomics.load(words, RCU_COMPLETED), since)) return;
    const driver = Atomics.load(words, RCU_DRIVER);
    if (driver === 0) {
      if (Atomics.compareExchange(words, RCU_DRIVER, 0, self.id) === 0) drive(table, since);
    } else if (spins < SPIN_LIMIT) {
      spins++;
      cpuRelax();
    } else {
      parkBegin(WAIT_RCU, driver);
      const woken = Atomics.wait(words, RCU_DRIVER_SEQ, seq, PARK_CHECK_MS);
      parkEnd();
      if (woken === 'timed-out' && !threadAlive(driver)) letGo(table, driver);
    }
  }
}

/** Runs one grace period as the driver. */
function drive(table: RcuTable, since: number): void {
  const { words } = table;
  try {
    if (passed(Atomics.load(words, RCU_COMPLETED), since)) return;
    const gp = gpAfter(Atomics.load(words, RCU_GP));
    Atomics.store(words, RCU_GP, gp); // PAIRS(rcu-online): before the loads of the rows
    const nr = Math.min(Atomics.load(words, RCU_NR_ROWS), THREADS_MAX);
    let startNs = 0;
    for (let id = 1; id < nr; id++) {
      if (!rowPasses(table.seen, id, gp)) {
        if (startNs === 0) startNs = ktimeNs();
        awaitRow(table, id, gp, startNs);
      }
    }
    Atomics.store(words, RCU_COMPLETED, gp);
  } finally {
    Atomics.store(words, RCU_PARKED, 0);
    letGo(table, self.id);
  }
}

/** Ends the driver's reign, or that of a dead one; wakes those who wait to share or to drive. */
function letGo(table: RcuTable, driver: number): void {
  const { words } = table;
  if (Atomics.compareExchange(words, RCU_DRIVER, driver, 0) !== driver) return;
  Atomics.add(words, RCU_DRIVER_SEQ, 1); // PAIRS(rcu-driver): after COMPLETED and DRIVER
  Atomics.notify(words, RCU_DRIVER_SEQ);
}

/** @returns true when the row does not hold the grace period up, after a short spin */
function rowPasses(seen: I32, id: number, gp: number): boolean {
  const row = id * LINE_WORDS;
  if (!rcuRowHolds(Atomics.load(seen, row), gp)) return true;
  for (let spins = 0; spins < SPIN_LIMIT; spins++) {
    cpuRelax();
    if (!rcuRowHolds(Atomics.load(seen, row), gp)) return true;
  }
  return false;
}

/** Parks until the thread reports, is offline, or is found dead; records stalls on the way. */
function awaitRow(table: RcuTable, id: number, gp: number, startNs: number): void {
  const { words, seen } = table;
  const row = id * LINE_WORDS;
  let reportMs = Atomics.load(words, RCU_STALL_MS);
  for (;;) {
    Atomics.store(words, RCU_PARKED, 1); // PAIRS(rcu-report): before the load of the row
    const value = Atomics.load(seen, row);
    if (!rcuRowHolds(value, gp)) return;
    const ageMs = (ktimeNs() - startNs) / 1e6;
    if (!threadAlive(id)) {
      if (Atomics.compareExchange(seen, row, value, 0) !== value) continue;
      recordRcuStall(table, RCU_DEAD, gp, id, ageMs);
      return;
    }
    if (ageMs >= reportMs) {
      recordRcuHolders(table, gp, ageMs);
      reportMs = ageMs * 2;
    }
    parkBegin(WAIT_RCU, id);
    Atomics.wait(seen, row, value, Math.max(1, Math.min(PARK_CHECK_MS, reportMs - ageMs)));
    parkEnd();
  }
}
