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

/** Sections per operation asked for: a section is so short that the chunk's clock would show. */
const PER_OP = 16;

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

// The loops are functions of the module, not closures of a job: one copy each, compiled for itself.

function bareLoop(words: I32, count: number): void {
  let sum = 0;
  for (let i = 0; i < count; i++) sum ^= words[POINTER + (i & 15)] as number;
  sink ^= sum;
}

function readLoop(words: I32, count: number): void {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    rcuReadLock();
    sum ^= words[POINTER + (i & 15)] as number;
    rcuReadUnlock();
  }
  sink ^= sum;
}

function derefLoop(words: I32, count: number): void {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    rcuReadLock();
    sum ^= rcuDereference(words, POINTER);
    rcuReadUnlock();
  }
  sink ^= sum;
}

function quiescentLoop(words: I32, count: number): void {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    rcuReadLock();
    sum ^= rcuDereference(words, POINTER);
    rcuReadUnlock();
    rcuQuiescent();
  }
  sink ^= sum;
}

function refLoop(words: I32, count: number): void {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    rcuReadLock();
    sum ^= rcuDereference(words, POINTER);
    Atomics.add(words, COUNT, 1);
    rcuReadUnlock();
    Atomics.sub(words, COUNT, 1);
  }
  sink ^= sum;
}

function tryreadLoop(words: I32, count: number): number {
  let sum = 0;
  let taken = 0;
  for (let i = 0; i < count; i++) {
    if (!rwsemTryRead(words, RWSEM, 0)) continue;
    sum ^= words[POINTER] as number;
    rwsemUpRead(words, RWSEM, 0);
    taken++;
  }
  sink ^= sum;
  return taken;
}

function srcuLoop(words: I32, count: number, domain: SrcuDomain): void {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const side = domain.readLock();
    sum ^= words[POINTER] as number;
    domain.readUnlock(side);
  }
  sink ^= sum;
}

/** A job that is online while it loops. */
function online(loop: (words: I32, count: number) => void): BenchPrepare {
  return (data) => {
    const words = wordsOf(data);
    return (ops) => {
      rcuOnline();
      loop(words, ops * PER_OP);
      rcuOffline();
      return ops * PER_OP;
    };
  };
}

const bare: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    bareLoop(words, ops * PER_OP);
    return ops * PER_OP;
  };
};

const tryread: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => tryreadLoop(words, ops);
};

const srcuRead: BenchPrepare = (data) => {
  const words = wordsOf(data);
  return (ops) => {
    srcuLoop(words, ops, srcu as SrcuDomain);
    return ops;
  };
};

/** Thread 0: one call at a time, so that the job's clock is looked at often enough. */
const synchronize: BenchPrepare = (data, index) => {
  const words = wordsOf(data);
  if (index > 0) {
    return (ops) => {
      rcuOnline();
      quiescentLoop(words, ops);
      rcuOffline();
      return 0;
    };
  }
  return () => {
    rcuOnline();
    synchronizeRcu();
    rcuOffline();
    return 1;
  };
};

export const jobs: BenchJobs = {
  bare,
  read: online(readLoop),
  deref: online(derefLoop),
  quiescent: online(quiescentLoop),
  ref: online(refLoop),
  tryread,
  srcu: srcuRead,
  synchronize,
};
