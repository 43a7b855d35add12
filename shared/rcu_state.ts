// SPDX-License-Identifier: MIT
/**
 * The reader side of RCU: what every thread knows about itself. It imports no lock, so that the
 * locks can put a parking thread offline without an import cycle. The theory is in rcu.ts.
 *
 * State of a thread (the row word `seen`, and the module state below):
 *
 *   state       seen            nest        may read   a grace period waits for it
 *   absent      0               NEST_OUT    no         no
 *   offline     0               NEST_OUT    no         no (extended quiescent state: it sleeps)
 *   online      gp last seen    0           -          until it sees the new number
 *   in reader   gp last seen    1 ..        yes        until it leaves, then sees the new number
 *
 * Progress: every function here is wait-free. Cost: a read section is two plain increments and two
 * plain stores, no atomic operation.
 */
import { assert, bug } from './assert.ts';
import type { I32 } from './types.ts';
import { LINE_WORDS } from './types.ts';

/** Words of the domain, each on a line of its own: `words[RCU_GP]`. */
export const RCU_GP = 0; // @atomic number of the newest grace period that was started, never 0
export const RCU_COMPLETED = LINE_WORDS; // @atomic newest grace period that ended
export const RCU_DRIVER = 2 * LINE_WORDS; // @atomic thread that drives a grace period, 0 none
export const RCU_DRIVER_SEQ = 2 * LINE_WORDS + 1; // @atomic bumped when a driver lets go
export const RCU_PARKED = 2 * LINE_WORDS + 2; // @atomic 1 while the driver is parked on a row
export const RCU_NR_ROWS = 2 * LINE_WORDS + 3; // @atomic highest id that ever registered, plus 1
export const RCU_STALL_MS = 2 * LINE_WORDS + 4; // @atomic a longer grace period is a stall, in ms
export const RCU_PASS_OWNER = 2 * LINE_WORDS + 5; // @atomic thread that runs callbacks, 0 none
export const RCU_WORDS = 3 * LINE_WORDS;

/** What a thread tells the others about itself. Rows are LINE_WORDS apart: each has one writer. */
export interface RcuReaderRows {
  readonly words: I32;
  readonly seen: I32;
  readonly nesting: I32;
}

/** Far below zero: one comparison in rcuReadLock catches a reader that is not online. */
const NEST_OUT = -0x40000000;

const scratch = new Int32Array(new SharedArrayBuffer(4)) as I32;

/**
 * What a section touches: fields of one object, which V8 keeps in registers better than it does
 * variables of a module (2.3 ns against 2.8 per section).
 */
const reader = { nest: NEST_OUT, nesting: scratch, row: 0 };

let offlineDepth = 0;
let rows: RcuReaderRows | null = null;
let gpSeen = 0;

function bugNotOnline(): never {
  reader.nest--;
  bug('rcuReadLock by a thread that is offline or not registered');
}

function bugUnbalanced(): never {
  reader.nest++;
  bug('rcuReadUnlock without rcuReadLock');
}

/**
 * Enters a read-side section. Sections nest.
 * @context a registered, online thread; the section must not sleep (a park asserts it)
 */
export function rcuReadLock(): void {
  const depth = ++reader.nest;
  if (depth <= 0) bugNotOnline();
  reader.nesting[reader.row] = depth; // @racy stall reports: a stale depth is a wrong word there
}

/** Leaves a read-side section. */
export function rcuReadUnlock(): void {
  const depth = --reader.nest;
  if (depth < 0) bugUnbalanced();
  reader.nesting[reader.row] = depth;
}

/** @returns true inside a read-side section of this thread */
export function rcuReadHeld(): boolean {
  return reader.nest > 0;
}

/**
 * First line of a function that sleeps for anything but a spinlock.
 * @throws BugError inside a read-side section: a sleeper there holds every grace period up
 */
export function rcuMightSleep(): void {
  if (reader.nest > 0) bug('a thread is about to sleep inside an RCU reader');
}

/** @returns true when this thread is registered and not in an extended quiescent state */
export function rcuIsOnline(): boolean {
  return reader.nest >= 0;
}

/**
 * Says that this thread holds no pointer that it read under RCU. Called by condResched, and by any
 * loop that runs for more than a few milliseconds.
 * @context not inside a reader. One atomic load unless a grace period waits
 */
export function rcuQuiescent(): void {
  if (reader.nest !== 0) {
    if (reader.nest > 0) bug('rcuQuiescent inside a reader');
    return;
  }
  const gp = Atomics.load(rows!.words, RCU_GP);
  if (gp === gpSeen) return;
  gpSeen = gp;
  publish(gp);
}

/**
 * Begins an extended quiescent state: the thread is about to sleep. Nests. No-op for a thread that
 * is not registered. Inside a reader the thread stays online, so that a spinlock may park there:
 * the grace period then waits for it, as it must.
 * @context any; followed by `rcuOnline`
 */
export function rcuOffline(): void {
  if (rows === null) return;
  if (offlineDepth++ > 0 || reader.nest > 0) return;
  reader.nest = NEST_OUT;
  publish(0);
}

/** Ends an extended quiescent state. No-op for a thread that is not registered. */
export function rcuOnline(): void {
  if (rows === null) return;
  if (offlineDepth <= 0) bug('rcuOnline without rcuOffline');
  if (--offlineDepth > 0 || reader.nest >= 0) return;
  gpSeen = Atomics.load(rows.words, RCU_GP);
  // PAIRS(rcu-online): this store comes before any pointer that the thread then reads. A driver
  // that still saw 0 published its update before, so those reads see the update.
  Atomics.store(rows.seen, reader.row, gpSeen);
  reader.nest = 0;
}

/** Stores the row, and wakes the driver when it sleeps on one. */
function publish(value: number): void {
  const { seen, words } = rows!;
  Atomics.store(seen, reader.row, value); // PAIRS(rcu-report): before the load of RCU_PARKED
  if (Atomics.load(words, RCU_PARKED) !== 0) Atomics.notify(seen, reader.row);
}

/**
 * Makes this thread a registered, online reader.
 * @param table rows of the domain @param id this thread, 1 .. THREADS_MAX-1
 * @context once per worker; see enterRcu in rcu.ts
 */
export function rcuRegisterThread(table: RcuReaderRows, id: number): void {
  assert(rows === null, 'thread is registered with RCU already');
  const row = id * LINE_WORDS;
  assert(id > 0 && row < table.seen.length, 'RCU thread id out of range');
  for (;;) {
    const nr = Atomics.load(table.words, RCU_NR_ROWS);
    if (nr > id || Atomics.compareExchange(table.words, RCU_NR_ROWS, nr, id + 1) === nr) break;
  }
  rows = table;
  reader.nesting = table.nesting;
  reader.row = row;
  table.nesting[row] = 0;
  offlineDepth = 1;
  rcuOnline();
}

/** Ends the registration. @context not inside a reader */
export function rcuUnregisterThread(): void {
  assert(rows !== null, 'thread is not registered with RCU');
  assert(offlineDepth === 0, 'an offline thread cannot leave RCU');
  rcuOffline();
  rows = null;
  offlineDepth = 0;
  reader.nesting = scratch;
  reader.row = 0;
}

/**
 * Forgets the registration, whatever state this thread is in, and tells nobody: for tests that run
 * one thread again and again over memory that is put back.
 */
export function resetRcuThread(): void {
  rows = null;
  offlineDepth = 0;
  gpSeen = 0;
  reader.nest = NEST_OUT;
  reader.nesting = scratch;
  reader.row = 0;
}

/** @returns the domain's rows, null when this thread is not registered */
export function rcuRows(): RcuReaderRows | null {
  return rows;
}
