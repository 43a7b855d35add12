// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the lock benches: one loop per kind, written out, so that each is compiled for its lock
 * alone and a call through a table of locks is not what is measured.
 *
 * Every section adds to a plain word under the lock. `work` is 0 for an empty section, else the
 * number of dependent multiply-adds in it: WORK_100NS of them take about 100 ns.
 */
import { ArenaBuilder } from '../shared/arena.ts';
import { mutexLock, mutexTryLock, mutexUnlock } from '../shared/atomics_mutex.ts';
import { type BitWaitTable, bitLock, bitUnlock } from '../shared/bit_lock.ts';
import { mcsLock, mcsUnlock } from '../shared/mcs_lock.ts';
import { rwsemDownRead, rwsemDownWrite, rwsemUpRead, rwsemUpWrite } from '../shared/rwsem.ts';
import { semaphoreDown, semaphoreUp } from '../shared/semaphore.ts';
import { seqReadBegin, seqReadRetry, seqWriteLock, seqWriteUnlock } from '../shared/seqlock.ts';
import { spinLock, spinTryLock, spinUnlock } from '../shared/spinlock.ts';
import { declareSync, enterSync, type SyncDomain } from '../shared/sync_domain.ts';
import { self } from '../shared/thread.ts';
import { ticketLock, ticketUnlock } from '../shared/ticket_lock.ts';
import { type I32, LINE_WORDS } from '../shared/types.ts';
import type { BenchJobs } from './bench_pool.ts';

/** What a job works on; shared by the threads of a case. */
export interface LockJobData {
  readonly words: I32;
  readonly work: number;
}

/** What each pool is set up with. */
export interface LockBenchSetup {
  readonly memory: SharedArrayBuffer;
  readonly lockStat: boolean;
  readonly lockdep: boolean;
  /** Hands out thread ids: one word, starting at 0. */
  readonly ids: I32;
}

/** Where the lock and what it guards are, in words. */
export const LOCK_AT = 0;
export const COUNT_AT = 4 * LINE_WORDS;
export const WAIT_TABLE_AT = 8 * LINE_WORDS;
export const JOB_WORDS = 64 * LINE_WORDS;

const CLASSES = ['unclassed', 'bench'];
const CLASS = 1;
const BIT_LOCKED = 1;
const BIT_WAITERS = 2;

let domain: SyncDomain | null = null;

/** Bytes of the domain that a pool's workers share. */
export function lockBenchBytes(lockStat: boolean, lockdep: boolean): number {
  const builder = new ArenaBuilder(null);
  declareSync(builder, { lockClasses: CLASSES, lockStat, lockdep });
  return builder.sizeBytes;
}

/** @context each worker, once */
export function setupBench(setup: unknown): void {
  const { memory, lockStat, lockdep, ids } = setup as LockBenchSetup;
  const id = Atomics.add(ids, 0, 1) + 1;
  domain = declareSync(new ArenaBuilder(memory), { lockClasses: CLASSES, lockStat, lockdep });
  Atomics.store(domain.threads.state, id, 2);
  enterSync(domain, id);
}

function section(words: I32, work: number): void {
  let x = words[COUNT_AT] as number;
  for (let i = 0; i < work; i++) x = (Math.imul(x, 1103515245) + 12345) | 0;
  words[COUNT_AT] = x + 1;
}

/** Reads only, for read sides. The result is kept, so that the loop is. */
let sink = 0;
function readSection(words: I32, work: number): void {
  let x = words[COUNT_AT] as number;
  for (let i = 0; i < work; i++) x = (Math.imul(x, 1103515245) + 12345) | 0;
  sink ^= x;
}

export function benchSink(): number {
  return sink;
}

export const jobs: BenchJobs = {
  bare: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      const me = self.id;
      for (let i = 0; i < ops; i++) {
        Atomics.compareExchange(words, LOCK_AT, 0, me);
        section(words, work);
        Atomics.store(words, LOCK_AT, 0);
      }
      return ops;
    };
  },
  spin: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        spinLock(words, LOCK_AT, CLASS);
        section(words, work);
        spinUnlock(words, LOCK_AT, CLASS);
      }
      return ops;
    };
  },
  spinTry: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      let done = 0;
      for (let i = 0; i < ops; i++) {
        if (!spinTryLock(words, LOCK_AT, CLASS)) continue;
        section(words, work);
        spinUnlock(words, LOCK_AT, CLASS);
        done++;
      }
      return done;
    };
  },
  ticket: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        ticketLock(words, LOCK_AT, CLASS);
        section(words, work);
        ticketUnlock(words, LOCK_AT, CLASS);
      }
      return ops;
    };
  },
  mcs: (data) => {
    const { words, work } = data as LockJobData;
    const nodes = (domain as SyncDomain).mcsNodes;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        mcsLock(words, LOCK_AT, nodes, CLASS);
        section(words, work);
        mcsUnlock(words, LOCK_AT, nodes, CLASS);
      }
      return ops;
    };
  },
  mutex: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        mutexLock(words, LOCK_AT, CLASS);
        section(words, work);
        mutexUnlock(words, LOCK_AT, CLASS);
      }
      return ops;
    };
  },
  mutexTry: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      let done = 0;
      for (let i = 0; i < ops; i++) {
        if (!mutexTryLock(words, LOCK_AT, CLASS)) continue;
        section(words, work);
        mutexUnlock(words, LOCK_AT, CLASS);
        done++;
      }
      return done;
    };
  },
  rwsemRead: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        rwsemDownRead(words, LOCK_AT, CLASS);
        readSection(words, work);
        rwsemUpRead(words, LOCK_AT, CLASS);
      }
      return ops;
    };
  },
  rwsemWrite: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        rwsemDownWrite(words, LOCK_AT, CLASS);
        section(words, work);
        rwsemUpWrite(words, LOCK_AT, CLASS);
      }
      return ops;
    };
  },
  /** One write in sixteen. */
  rwsemMixed: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        if ((i & 15) === 0) {
          rwsemDownWrite(words, LOCK_AT, CLASS);
          section(words, work);
          rwsemUpWrite(words, LOCK_AT, CLASS);
        } else {
          rwsemDownRead(words, LOCK_AT, CLASS);
          readSection(words, work);
          rwsemUpRead(words, LOCK_AT, CLASS);
        }
      }
      return ops;
    };
  },
  semaphore: (data, index) => {
    const { words, work } = data as LockJobData;
    if (index === 0) semaphoreUp(words, LOCK_AT);
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        semaphoreDown(words, LOCK_AT, CLASS);
        section(words, work);
        semaphoreUp(words, LOCK_AT);
      }
      return ops;
    };
  },
  bit: (data) => {
    const { words, work } = data as LockJobData;
    const seq = words.subarray(WAIT_TABLE_AT, WAIT_TABLE_AT + 16 * LINE_WORDS);
    const table: BitWaitTable = { seq, buckets: 16, waitersMask: BIT_WAITERS };
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        bitLock(words, LOCK_AT, BIT_LOCKED, table, CLASS);
        section(words, work);
        bitUnlock(words, LOCK_AT, BIT_LOCKED, table, CLASS);
      }
      return ops;
    };
  },
  seqRead: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        let seq = 0;
        do {
          seq = seqReadBegin(words, LOCK_AT, CLASS);
          readSection(words, work);
        } while (seqReadRetry(words, LOCK_AT, seq));
      }
      return ops;
    };
  },
  seqWrite: (data) => {
    const { words, work } = data as LockJobData;
    return (ops) => {
      for (let i = 0; i < ops; i++) {
        seqWriteLock(words, LOCK_AT, CLASS);
        section(words, work);
        seqWriteUnlock(words, LOCK_AT, CLASS);
      }
      return ops;
    };
  },
};
