// SPDX-License-Identifier: MIT
/**
 * kreclaim/sync: synchronisation primitives over shared memory, for any program with worker
 * threads.
 *
 * Every primitive is a word or a few in an Int32Array over a SharedArrayBuffer, used through
 * functions, or through a thin class that remembers where the word is. Without a sync domain they
 * work as they are; with one (`declareSync`, `enterSync`) they name threads and classes, keep
 * statistics and check the order of locks.
 */

export {
  type Arena,
  ArenaBuilder,
  attachArena,
  type Columns,
  createArena,
  type Declare,
  measureArena,
  type Schema,
} from './arena.ts';
export { assert, BugError, bug } from './assert.ts';
export * from './atomics_mutex.ts';
export * from './bit_lock.ts';
export * from './bitmap.ts';
export * from './completion.ts';
export { cpuRelax, spinUntil, spinWhileEqual } from './cpu_relax.ts';
export type { HeldLock } from './held_locks.ts';
export { lockAddress } from './held_locks.ts';
export * from './histogram.ts';
export * from './kfifo.ts';
export { ktimeNs, ktimeSharedMs } from './ktime.ts';
export * from './limits.ts';
export * from './list.ts';
export * from './lock_report.ts';
export { HOLD_SAMPLE_EVERY, type LockStatRow } from './lock_stat.ts';
export { assertHeld, assertNoLocksHeld, assertNotHeld, lockdepEdges } from './lockdep.ts';
export * from './mcs_lock.ts';
export * from './percpu.ts';
export { Prng } from './prng.ts';
export * from './rcu.ts';
export * from './rcu_callback.ts';
export * from './rcu_cells.ts';
export {
  formatRcuStall,
  RCU_DEAD,
  RCU_STALL,
  type RcuStall,
  rcuStalls,
  setRcuStallHandler,
} from './rcu_stall.ts';
export * from './refcount.ts';
export * from './rwsem.ts';
export * from './semaphore.ts';
export * from './seqlock.ts';
export * from './sharedarraybuffer_ringbuffer.ts';
export * from './spinlock.ts';
export * from './srcu.ts';
export * from './sync_domain.ts';
export {
  enterThread,
  getComm,
  self,
  setComm,
  type ThreadTable,
  threadAlive,
} from './thread.ts';
export * from './ticket_lock.ts';
export * from './trace_ring.ts';
export type { F64, I32, U8, U16, U32 } from './types.ts';
export { LINE_BYTES, LINE_WORDS } from './types.ts';
export * from './wait_queue.ts';
export * from './xarray.ts';
