// SPDX-License-Identifier: MIT
/**
 * A sync domain: the tables that the locks of one machine share, declared and entered together.
 *
 *   declareSync   once per thread, inside the arena's declare function: binds the tables
 *   enterSync     once per worker, before its first lock: who am I, which instrumentation is on
 *   resetSync     in tests only: back to a thread outside any domain
 */
import type { ArenaBuilder } from './arena.ts';
import { assert } from './assert.ts';
import { declareHeld, enterHeld, type HeldLock, type HeldTable, heldOf } from './held_locks.ts';
import { LOCK_CLASSES_MAX, THREADS_MAX } from './limits.ts';
import { setLockClasses } from './lock_class.ts';
import { lockTrace } from './lock_trace.ts';
import { declareThreads, enterThread, self, type ThreadTable } from './thread.ts';

/** What a domain is made with; the same in every thread. */
export interface SyncOptions {
  /** Class id to name; index 0 is 'unclassed'. At most LOCK_CLASSES_MAX. */
  readonly lockClasses: readonly string[];
  /** Count acquisitions, contentions, wait and hold times. */
  readonly lockStat: boolean;
  /** Check the order of acquisition of every blocking lock. */
  readonly lockdep: boolean;
}

export interface SyncDomain {
  readonly threads: ThreadTable;
  readonly held: HeldTable;
  readonly options: SyncOptions;
}

/** Declares the domain's tables. Pure, as the arena asks. */
export function declareSync(builder: ArenaBuilder, options: SyncOptions): SyncDomain {
  assert(options.lockClasses.length <= LOCK_CLASSES_MAX, 'more lock classes than LOCK_CLASSES_MAX');
  assert(options.lockClasses[0] === 'unclassed', "lock class 0 must be named 'unclassed'");
  const threads = declareThreads(builder);
  const held = declareHeld(builder);
  return { threads, held, options };
}

/**
 * Makes the calling worker thread `id` of the domain and turns its instrumentation on.
 * @param id 1 .. THREADS_MAX-1, unique in the domain
 * @context once per worker, before it takes its first lock
 */
export function enterSync(domain: SyncDomain, id: number): void {
  assert(id > 0 && id < THREADS_MAX, 'thread id out of range');
  enterThread(domain.threads, id);
  enterHeld(domain.held);
  setLockClasses(domain.options.lockClasses);
  lockTrace.stat = domain.options.lockStat;
  lockTrace.order = domain.options.lockdep;
  lockTrace.on = lockTrace.stat || lockTrace.order;
}

/** Leaves the domain: for tests and benchmarks, while this thread holds no lock. */
export function resetSync(id = self.id): void {
  self.id = id;
  self.table = null;
  enterHeld(null);
  setLockClasses(null);
  lockTrace.stat = false;
  lockTrace.order = false;
  lockTrace.on = false;
}

/** Locks that a thread of the domain holds, oldest first: for panic and hung-task reports. */
export function heldLocks(domain: SyncDomain, id: number): HeldLock[] {
  return heldOf(domain.held, id);
}
