// SPDX-License-Identifier: MIT
/**
 * The task table: what the thread runtime knows of each thread beyond the thread table, the words
 * that belong to the machine as a whole, and the record of its one panic.
 *
 * Requests are bits in `threads.request`, set by others and read by the thread itself:
 *
 *   STOP    leave the main loop, drain, return          set once, never cleared
 *   PARK    sleep at the next safe point, hold no lock  cleared by unpark
 *   FREEZE  the same, for the whole machine at once     cleared by thaw
 *   PANIC   the machine is lost: unwind now             set once, never cleared
 *
 * A kick makes a sleeping thread look at its requests. A sleeper publishes the sequence word that
 * it is about to sleep on; whoever sets a request then bumps that word and notifies it:
 *
 *   sleeper                        | kicker
 *   store waitWord = W             | or request |= STOP
 *   seq = load W                   |
 *   load request: none             | load waitWord = W
 *   wait(W, seq)                   | add W, 1; notify W
 *
 * All of these are Atomics, so one of the two sees the other: either the sleeper reads the request,
 * or the kicker reads `waitWord`, and then its bump either precedes `seq` (and the request is seen)
 * or makes the wait return at once. No wake-up is lost, and no sleeper has to poll. It follows that
 * a thread may only sleep on sequence words, whose value means nothing, inside the arena.
 */
import type { ArenaBuilder, Columns } from './arena.ts';
import { THREADS_MAX } from './limits.ts';
import type { ThreadTable } from './thread.ts';
import type { I32, U8 } from './types.ts';
import { WAIT_QUEUE_WORDS } from './wait_queue.ts';

export const REQUEST_STOP = 1;
export const REQUEST_PARK = 2;
export const REQUEST_FREEZE = 4;
export const REQUEST_PANIC = 8;

/** Task flag: the freezer leaves this thread alone (the kernel's PF_NOFREEZE). */
export const TASK_NOFREEZE = 1;

/** Start levels: what has been let go so far. */
export const START_NONE = 0;
/** kthreads run. */
export const START_KTHREADS = 1;
/** CPUs and their programs run as well. */
export const START_PROGRAMS = 2;

/** Panic states. */
export const PANIC_NONE = 0;
/** One thread won and is writing the record. */
export const PANIC_WRITING = 1;
export const PANIC_PUBLISHED = 2;

export const PANIC_MESSAGE_BYTES = 2048;
export const PANIC_STACK_BYTES = 4096;
export const PANIC_LOCKS_BYTES = 2048;

/** One row per thread id. */
export const TASK_COLUMNS = {
  waitWord: 'i32', // @atomic index of the arena word it sleeps on, 0 awake; written by itself
  frozen: 'i32', // @atomic 1 while in the refrigerator; written by the thread itself
  flags: 'i32', // @frozen TASK_*, set by the main thread before the worker starts
} as const;

/** Written once by a thread on its way out, before its final state is stored. */
export const TASK_EXIT_COLUMNS = {
  // CPU time since its function began, in us, -1 unknown; before its end: minus that of its boot.
  cpuUs: 'f64', // @owner the thread itself; exact once EXITED or DEAD
} as const;

/** One row: the machine. */
export const MACHINE_COLUMNS = {
  startLevel: 'i32', // @atomic START_*; written by the main thread
  ready: 'i32', // @atomic threads that have loaded their modules and wait at the barrier
  freezer: 'i32', // @atomic id + 1 of the thread that freezes the machine, 0 nobody
  taskSeq: 'i32', // @atomic sequence word, bumped when a thread parks, freezes or ends
  panic: 'i32', // @atomic PANIC_*; 0 -> WRITING by compare-exchange, once in a machine's life
} as const;

/** One row: the panic record. */
export const PANIC_COLUMNS = {
  who: 'i32', // @owner the thread that moved `panic` to WRITING; others read after PUBLISHED
  reason: 'i32', // @owner as above
  atMs: 'f64', // @owner as above; ktimeSharedMs
} as const;

export interface TaskTable extends Columns<typeof TASK_COLUMNS> {
  readonly cpuUs: Float64Array<SharedArrayBuffer>;
  readonly machine: Columns<typeof MACHINE_COLUMNS>;
  /** Wait queue of the start barrier. */
  readonly startWait: I32;
  readonly panic: Columns<typeof PANIC_COLUMNS> & {
    readonly message: U8; // @owner as `who`
    readonly stack: U8; // @owner as `who`
    readonly locks: U8; // @owner as `who`
  };
  /** The whole arena as words: `waitWord` indexes it. */
  readonly words: I32;
}

/** Declares the task table and the machine's own words. Pure, as the arena asks. */
export function declareTasks(builder: ArenaBuilder): TaskTable {
  const rows = builder.columns('task', TASK_COLUMNS, THREADS_MAX);
  const exit = builder.columns('task.exit', TASK_EXIT_COLUMNS, THREADS_MAX);
  const machine = builder.columns('machine', MACHINE_COLUMNS, 1);
  const { startWait } = builder.columns(
    'machine.start',
    { startWait: 'i32' /* @atomic wait queue */ },
    WAIT_QUEUE_WORDS,
  );
  const panic = builder.columns('panic', PANIC_COLUMNS, 1);
  const { message } = builder.columns('panic.message', { message: 'u8' }, PANIC_MESSAGE_BYTES);
  const { stack } = builder.columns('panic.stack', { stack: 'u8' }, PANIC_STACK_BYTES);
  const { locks } = builder.columns('panic.locks', { locks: 'u8' }, PANIC_LOCKS_BYTES);
  const words = new Int32Array(rows.waitWord.buffer);
  return {
    ...rows,
    ...exit,
    machine,
    startWait,
    panic: { ...panic, message, stack, locks },
    words,
  };
}

/**
 * Makes a sleeping thread look at its requests again. Harmless when it is awake.
 * @context any thread, the main thread included; does not block
 */
export function kick(tasks: TaskTable, id: number): void {
  const word = Atomics.load(tasks.waitWord, id); // PAIRS(task-kick): after the request was set
  if (word === 0) return;
  Atomics.add(tasks.words, word, 1);
  Atomics.notify(tasks.words, word);
}

/**
 * Tells those who wait for a thread to park, freeze or end that one did.
 * @context any thread, after the thread's state was stored
 */
export function signalTaskChange(tasks: TaskTable): void {
  Atomics.add(tasks.machine.taskSeq, 0, 1);
  Atomics.notify(tasks.machine.taskSeq, 0);
}

/**
 * Sets request bits of a thread and makes it look.
 * @context any thread, the main thread included; does not block
 */
export function postRequest(
  threads: ThreadTable,
  tasks: TaskTable,
  id: number,
  bits: number,
): void {
  Atomics.or(threads.request, id, bits);
  kick(tasks, id);
}

/** Clears request bits and makes the thread look: ends a park or a freeze. */
export function clearRequest(
  threads: ThreadTable,
  tasks: TaskTable,
  id: number,
  bits: number,
): void {
  Atomics.and(threads.request, id, ~bits);
  kick(tasks, id);
}
