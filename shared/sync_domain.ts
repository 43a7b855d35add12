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
import { declareHeld, enterHeld, type HeldTable } from './held_locks.ts';
import { LOCK_CLASSES_MAX, THREADS_MAX } from './limits.ts';
import { setLockClasses } from './lock_class.ts';
import { declareLockStat, enterLockStat, type LockStatTable } from './lock_stat.ts';
import { lockTrace } from './lock_trace.ts';
import { declareLockdep, enterLockdep, type LockdepTable } from './lockdep.ts';
import { declareMcsNodes } from './mcs_lock.ts';
import { declareThreads, enterThread, self, type ThreadTable } from './thread.ts';
import type { I32 } from './types.ts';

/** What a domain is made with; the same in every thread. */
export interface SyncOptions {
  /** Class id to name; index 0 is 'unclassed'. At most LOCK_CLASSES_MAX. */
  readonly lockClasses: readonly string[];
  /** Count acquisitions, contentions, wait and hold times. */
  readonly lockStat: boolean;
  /** Check the order of acquisition of every blocking lock. */
  readonly lockdep: boolean;
  /** The ids of the classes are their order, outer to inner: checked with lockdep. */
  readonly ordered?: boolean;
}

export interface SyncDomain {
  readonly threads: ThreadTable;
  readonly held: HeldTable;
  readonly lockStat: LockStatTable;
  readonly lockdep: LockdepTable;
  /** Node table for the domain's MCS locks. */
  readonly mcsNodes: I32;
  readonly options: SyncOptions;
}

/** Declares the domain's tables. Pure, as the arena asks. */
export function declareSync(builder: ArenaBuilder, options: SyncOptions): SyncDomain {
  assert(options.lockClasses.length <= LOCK_CLASSES_MAX, 'more lock classes than LOCK_CLASSES_MAX');
  assert(options.lockClasses[0] === 'unclassed', "lock class 0 must be named 'unclassed'");
  const threads = declareThreads(builder);
  const held = declareHeld(builder);
  const mcsNodes = declareMcsNodes(builder);
  const classes = options.lockClasses.length;
  const lockStat = declareLockStat(builder, options.lockStat ? classes : 0);
  const lockdep = declareLockdep(builder, options.lockdep ? classes : 0, options.ordered === true);
  return { threads, held, lockStat, lockdep, mcsNodes, options };
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
  enterLockStat(domain.options.lockStat ? domain.lockStat : null, id);
  enterLockdep(domain.options.lockdep ? domain.lockdep : null);
  setLockClasses(domain.options.lockClasses);
  lockTrace.order = domain.options.lockdep;
  const listened = lockTrace.listener !== null;
  lockTrace.on = domain.options.lockStat || domain.options.lockdep || listened;
}

/** Leaves the domain: for tests and benchmarks, while this thread holds no lock. */
export function resetSync(id = self.id): void {
  self.id = id;
  self.table = null;
  enterHeld(null);
  enterLockStat(null, 0);
  enterLockdep(null);
  setLockClasses(null);
  lockTrace.order = false;
  lockTrace.on = false;
}
