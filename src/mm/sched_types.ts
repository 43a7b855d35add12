// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of simulated processes that outnumber CPUs: their rows, the run queue of each CPU, and
 * what reports say about those that have ended (include/linux/sched.h, kernel/sched/sched.h).
 *
 *   FREE -> NEW -> RUNNABLE <-> RUNNING -> ZOMBIE -> FREE
 *                     ^            |
 *                     +- SLEEPING <+
 *
 * A row is a thread of a process (what the kernel calls a task). The program that it runs is a
 * generator, an object of the worker that made it: so a task stays on the CPU that was chosen when
 * it was made, and everything that others may know of it is here.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import type { MmConfig } from './config.ts';
import { MEMCG_NAME_BYTES } from './limits.ts';

/** States of a row. */
export const TASK_FREE = 0;
/** Being made: known to its maker alone. */
export const TASK_NEW = 1;
/** On the run queue of its CPU. */
export const TASK_RUNNABLE = 2;
export const TASK_RUNNING = 3;
/** Waits for `wakeTask`; still on its CPU while it looks at what it waits for. */
export const TASK_SLEEPING = 4;
/** Has ended, and its parent has not asked yet. */
export const TASK_ZOMBIE = 5;

/** Longest arguments of a program, encoded, in bytes. */
export const TASK_ARGS_BYTES = 1024;
/** Processes that a report lists one by one. */
export const TASK_RECORDS = 1000;
/** Value of `argsBytes` of a process of the configuration: its CPU has the arguments. */
export const ARGS_OF_CPU = -1;

/** How a task has ended. */
export const HOW_RUNNING = 0;
export const HOW_EXITED = 1;
/** By `kill`, or by the OOM killer. */
export const HOW_KILLED = 2;
export const HOW_SIGSEGV = 3;
/** The machine was told to stop. */
export const HOW_STOPPED = 4;
/** A page of its could not be read back. */
export const HOW_SIGBUS = 5;

/** Words of `sched.words`. */
export const SCHED_LOCK = 0; // @atomic tasklist_lock
export const SCHED_FREE = 1; // @guardedBy tasklist_lock  first free row
export const SCHED_USED = 2; // @atomic rows that were ever in use
export const SCHED_PID = 3; // @guardedBy tasklist_lock  last pid given
export const SCHED_LIVE = 4; // @atomic tasks that have not ended
export const SCHED_RECORDS = 5; // @atomic records taken, also beyond TASK_RECORDS
export const SCHED_FORKS = 6; // @atomic tasks made at run time
export const SCHED_EXITS = 7; // @atomic tasks that have ended, however
export const SCHED_KILLS = 8; // @atomic of those, killed
export const SCHED_PEAK = 9; // @atomic most tasks alive at once
export const SCHED_STAMP_LOCK = LINE_WORDS; // @atomic stamp_pool
export const SCHED_STAMP_FREE = LINE_WORDS + 1; // @guardedBy stamp_pool  first free table
export const SCHED_STAMP_USED = LINE_WORDS + 2; // @guardedBy stamp_pool  tables ever in use

/** Words of a CPU's run queue. */
export const RQ_LOCK = 0; // @atomic rq->lock
export const RQ_HEAD = 1; // @guardedBy rq->lock  next to run
export const RQ_TAIL = 2; // @guardedBy rq->lock
export const RQ_QUEUED = 3; // @atomic tasks on the queue; written under rq->lock
export const RQ_CURR = 4; // @guardedBy rq->lock  the task that runs
export const RQ_LOAD = 5; // @atomic tasks that live on this CPU, asleep or not

const TASK_COLUMNS = {
  state: 'i32', // @atomic TASK_*; changed under rq->lock while it can run
  pid: 'i32', // @atomic 0 while the row is free
  group: 'i32', // @atomic pid of the process that it is a thread of
  mm: 'i32', // @atomic address space, 0 once it has left it
  signal: 'i32', // @atomic 1: killed, and to end where it is
  pending: 'i32', // @atomic 1: a signal that wakes it from `pause`
  cpu: 'i32', // @atomic the CPU whose worker has its generator
  affinity: 'i32', // @frozen from its making: CPUs that its children may be put on
  program: 'i32', // @frozen from its making: position in `taskPrograms`
  argsBytes: 'i32', // @frozen from its making: length of its arguments
  parent: 'i32', // @guardedBy tasklist_lock  0: nobody waits for it
  firstChild: 'i32', // @guardedBy tasklist_lock  living children
  firstZombie: 'i32', // @guardedBy tasklist_lock  ended ones, the youngest first
  nextSibling: 'i32', // @guardedBy tasklist_lock  also next free row
  prevSibling: 'i32', // @guardedBy tasklist_lock
  exitCode: 'i32', // @guardedBy tasklist_lock
  rqNext: 'i32', // @guardedBy rq->lock  next of the run queue
  record: 'i32', // @frozen from its making: row of `record`, -1 for none
  stampSlot: 'i32', // @frozen from its making: its place among the stamps of a page
  stampHead: 'i32', // @owner task  first of its stamp tables
} as const;

/** One row for each of the first TASK_RECORDS tasks. @owner the task; main reads them at rest */
const RECORD_COLUMNS = {
  pid: 'i32', // @atomic
  group: 'i32', // @atomic
  parent: 'i32', // @atomic pid
  program: 'i32', // @atomic
  cpu: 'i32', // @atomic
  how: 'i32', // @atomic HOW_*
  exitCode: 'i32', // @atomic
  oomKilled: 'i32', // @atomic 1: by the OOM killer
  faults: 'i32', // @atomic of the address space when it left it
  majorFaults: 'i32', // @atomic
  accesses: 'f64', // @owner task  @racy main reads it at rest
} as const;

/** What a task stored last in each page of 512 neighbouring ones. */
const STAMP_COLUMNS = {
  region: 'f64', // @owner task  first vpn / 512
  next: 'i32', // @owner task  next table of the task; next free one
} as const;

/** Can the machine have simulated processes that outnumber its CPUs? */
export function schedEnabled(config: MmConfig): boolean {
  return config.tasksMax > 0;
}

/** Stamp tables: as many as there can be leaf tables. */
export function stampTables(config: MmConfig): number {
  return config.contents && schedEnabled(config) ? config.pageTables : 0;
}

/**
 * Declares the tables of simulated processes; next to nothing where a machine has none.
 * @param nrMms rows of address spaces
 */
export function declareSched(builder: ArenaBuilder, config: MmConfig, nrMms: number) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  const rows = config.tasksMax + 1;
  const cpus = schedEnabled(config) ? config.cpus : 0;
  const records = schedEnabled(config) ? TASK_RECORDS : 0;
  const stamps = stampTables(config) + 1;
  return {
    task: builder.columns('sched.task', TASK_COLUMNS, rows),
    // @owner task  written by its maker before anybody else knows it
    args: builder.columns('sched.args', { bytes: 'u8' }, (rows - 1) * TASK_ARGS_BYTES).bytes,
    // @atomic SCHED_* words, each with its own tag
    words: words('sched.words', 2, LINE_WORDS),
    // @atomic RQ_* words of each CPU, each with its own tag
    rq: words('sched.rq', cpus, LINE_WORDS),
    // @atomic wait queue of each CPU that has nothing to run
    rqWait: words('sched.rq_wait', cpus, LINE_WORDS),
    record: builder.columns('sched.record', RECORD_COLUMNS, records),
    // @owner task  name of the group that it was in at its end, zero-terminated
    recordMemcg: builder.columns('sched.record_memcg', { bytes: 'u8' }, records * MEMCG_NAME_BYTES)
      .bytes,
    stamp: builder.columns('sched.stamp', STAMP_COLUMNS, stamps),
    // @owner task  stamps of table k at 512 k, 0 for a page that it has not stored to
    stampValue: words('sched.stamp_value', stamps, stampTables(config) === 0 ? 0 : 512),
    // @atomic places among the stamps that threads of each address space have taken
    stampSlots: words('sched.stamp_slots', schedEnabled(config) ? nrMms : 0, 1),
  };
}

export type SchedTables = ReturnType<typeof declareSched>;
