// SPDX-License-Identifier: GPL-2.0-only
/**
 * Jobs of the RCU benches.
 *
 *   bare          the loop and one plain load: what the other read jobs are compared with
 *   read          rcuReadLock, plain load, rcuReadUnlock
 *   deref         the same with rcuDereference
 *   quiescent     deref, and rcuQuiescent after each section
 *   ref           deref, and a reference taken and dropped on one shared count (what a lockless
 *                 shrinker walk does per object)
 *   tryread       rwsem reader trylock, plain load, unlock
 *   srcu          an SRCU section
 *   synchronize   thread 0 calls synchronizeRcu, the others read
 *
 * Threads are online only within a chunk, so that a finished job holds no grace period up.
 */
import { ArenaBuilder } from '../shared/arena.ts';
import {
  declareRcu,
  enterRcu,
  rcuDereference,
  rcuOffline,
  rcuOnline,
  rcuQuiescent,
  rcuReadLock,
  rcuReadUnlock,
  synchronizeRcu,
} from '../shared/rcu.ts';
import { rwsemTryRead, rwsemUpRead } from '../shared/rwsem.ts';
import { declareSrcu, SrcuDomain } from '../shared/srcu.ts';
import { declareSync, enterSync } from '../shared/sync_domain.ts';
import type { I32 } from '../shared/types.ts';
import { LINE_WORDS } from '../shared/types.ts';
import type { BenchJobs, BenchPrepare } from './bench_pool.ts';

/** What a job works on: POINTER, COUNT and the rwsem, each on a line of its own. */
export interface RcuJobData {
  readonly words: I32;
}

/** What the pool is set up with. */
export interface RcuBenchSetup {
  readonly memory: SharedArrayBuffer;
  /** Hands out thread ids: one word, starting at 0. */
  readonly ids: I32;
}

const POINTER = 0;
const COUNT = LINE_WORDS;
const RWSEM = 2 * LINE_WORDS;
export const RCU_JOB_WORDS = 8 * LINE_WORDS;

const SYNC = { lockClasses: ['unclassed'], lockStat: false, lockdep: false };

const declare = (builder: ArenaBuilder) => ({
  sync: declareSync(builder, SYNC),
  rcu: declareRcu(builder),
  srcu: declareSrcu(builder, 'bench.srcu'),
});

/** Bytes of the tables that the pool's workers share. */
export function rcuBenchBytes(): number {
  const builder = new ArenaBuilder(null);
  declare(builder);
  return builder.sizeBytes;
}

let srcu: SrcuDomain | null = null;
/** Keeps what was read, so that the reads are. */
export let sink = 0;

/** @context each worker, once */
export function setupBench(setup: unknown): void {
  const { memory, ids } = setup as RcuBenchSetup;
  const id = Atomics.add(ids, 0, 1) + 1;
  const tables = declare(new ArenaBuilder(memory));
  Atomics.store(tables.sync.threads.state, id, 2);
  enterSync(tables.sync, id);
  enterRcu(tables.rcu, id);
  srcu = new SrcuDomain(tables.srcu, 0, id);
  rcuOffline();
}

const wordsOf = (data: unknown): I32 => (data as RcuJobData).words;

const bare: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    let sum = 0;
    for (let i = 0; i < ops; i++) sum ^= words[POINTER + (i & 15)] as number;
    sink ^= sum;
    return ops;
  };
};

const read: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    rcuOnline();
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      rcuReadLock();
      sum ^= words[POINTER + (i & 15)] as number;
      rcuReadUnlock();
    }
    sink ^= sum;
    rcuOffline();
    return ops;
  };
};

const deref: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    rcuOnline();
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      rcuReadLock();
      sum ^= rcuDereference(words, POINTER);
      rcuReadUnlock();
    }
    sink ^= sum;
    rcuOffline();
    return ops;
  };
};

const quiescent: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    rcuOnline();
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      rcuReadLock();
      sum ^= rcuDereference(words, POINTER);
      rcuReadUnlock();
      rcuQuiescent();
    }
    sink ^= sum;
    rcuOffline();
    return ops;
  };
};

const ref: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    rcuOnline();
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      rcuReadLock();
      sum ^= rcuDereference(words, POINTER);
      Atomics.add(words, COUNT, 1);
      rcuReadUnlock();
      Atomics.sub(words, COUNT, 1);
    }
    sink ^= sum;
    rcuOffline();
    return ops;
  };
};

const tryread: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    let sum = 0;
    let taken = 0;
    for (let i = 0; i < ops; i++) {
      if (!rwsemTryRead(words, RWSEM, 0)) continue;
      sum ^= words[POINTER] as number;
      rwsemUpRead(words, RWSEM, 0);
      taken++;
    }
    sink ^= sum;
    return taken;
  };
};

const srcuRead: BenchPrepare = (data) => {
  const words = wordsOf(data);
  const domain = srcu as SrcuDomain;
  return (ops) => {
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      const side = domain.readLock();
      sum ^= words[POINTER] as number;
      domain.readUnlock(side);
    }
    sink ^= sum;
    return ops;
  };
};

/**
 * Sections per grace period asked for: one call, so that the job's clock is looked at often enough.
 */
const synchronize: BenchPrepare = (data, index) => {
  const readers = quiescent(data, index, 0);
  if (index > 0) return (ops, stopped) => 0 * readers(ops, stopped);
  return () => {
    rcuOnline();
    synchronizeRcu();
    rcuOffline();
    return 1;
  };
};

export const jobs: BenchJobs = {
  bare,
  read,
  deref,
  quiescent,
  ref,
  tryread,
  srcu: srcuRead,
  synchronize,
};
