// SPDX-License-Identifier: MIT
/**
 * Who am I: thread identity for lock words, and the thread table of a sync domain.
 *
 * A thread id is 1 .. THREADS_MAX-1; 0 means nobody. A worker of a machine gets its id at boot; a
 * thread outside any machine (a test, a user of `kreclaim/sync`) uses its worker threadId + 1.
 * A worker belongs to one machine for its life, so identity is module state, not a parameter.
 */
import { threadId } from 'node:worker_threads';
import type { ArenaBuilder, Columns } from './arena.ts';
import { THREADS_MAX } from './limits.ts';
import type { U8 } from './types.ts';

/** Thread states, as `/proc/PID/status` would name them. */
export const THREAD_UNUSED = 0;
/** Row reserved, worker starting. */
export const THREAD_NEW = 1;
export const THREAD_RUNNING = 2;
/** Asleep in a wait that a stop or a wake-up ends. */
export const THREAD_SLEEPING = 3;
/** Asleep on a lock, a folio or a completion: the watchdog times these. */
export const THREAD_BLOCKED = 4;
/** Parked by request: holds no lock, does no work. */
export const THREAD_PARKED = 5;
/** Returned from its function. */
export const THREAD_EXITED = 6;
/** Threw, or its worker was terminated: locks that it owns will never be released. */
export const THREAD_DEAD = 7;

export const COMM_BYTES = 16;

/** One row per thread id. */
export const THREAD_COLUMNS = {
  state: 'i32', // @atomic THREAD_*; written by the thread, or by the main thread once it is gone
  heartbeat: 'i32', // @atomic bumped by the thread at every condResched and wake-up
  waitKind: 'i32', // @atomic WAIT_* while SLEEPING or BLOCKED; 0 otherwise
  waitArg: 'i32', // @atomic lock class, pfn or queue that it waits on; meaning by waitKind
  request: 'i32', // @atomic REQUEST_* bits set by others: stop, park, freeze
  wake: 'i32', // @atomic sequence word that this thread sleeps on when it waits for its own events
  osTid: 'i32', // @atomic thread id of the operating system, 0 where unknown
  wakeups: 'i32', // @atomic returns from sleep; written by the thread itself
} as const;

export interface ThreadTable extends Columns<typeof THREAD_COLUMNS> {
  readonly comm: U8; // @frozen COMM_BYTES per thread: its name, set before it starts
}

/** What a sleeping thread waits for (`waitKind`). */
export const WAIT_NONE = 0;
export const WAIT_EVENT = 1;
export const WAIT_LOCK = 2;
export const WAIT_FOLIO = 3;
export const WAIT_COMPLETION = 4;
export const WAIT_RCU = 5;
export const WAIT_SHOOTDOWN = 6;

/** Declares the thread table. Pure, as the arena asks. */
export function declareThreads(builder: ArenaBuilder): ThreadTable {
  const rows = builder.columns('thread', THREAD_COLUMNS, THREADS_MAX);
  const { comm } = builder.columns('thread.comm', { comm: 'u8' }, THREADS_MAX * COMM_BYTES);
  return { ...rows, comm };
}

/** This thread. `table` is null outside a machine. Set once, by `enterThread`. */
export const self: { id: number; table: ThreadTable | null } = { id: threadId + 1, table: null };

/** @context once per worker, before it takes its first lock */
export function enterThread(table: ThreadTable, id: number): void {
  self.id = id;
  self.table = table;
}

/** @returns false when the thread of that id is known to be gone for ever. */
export function threadAlive(id: number): boolean {
  if (self.table === null) return true;
  const state = Atomics.load(self.table.state, id);
  return state !== THREAD_DEAD && state !== THREAD_EXITED && state !== THREAD_UNUSED;
}

/** @param comm up to 15 ASCII characters, as in the kernel; longer names are cut */
export function setComm(table: ThreadTable, id: number, comm: string): void {
  const base = id * COMM_BYTES;
  for (let i = 0; i < COMM_BYTES; i++) {
    table.comm[base + i] = i < COMM_BYTES - 1 && i < comm.length ? comm.charCodeAt(i) & 127 : 0;
  }
}

/** @returns the name of thread `id`, empty when it has none */
export function getComm(table: ThreadTable, id: number): string {
  let comm = '';
  for (let i = id * COMM_BYTES; table.comm[i] !== 0 && comm.length < COMM_BYTES; i++) {
    comm += String.fromCharCode(table.comm[i] as number);
  }
  return comm;
}
