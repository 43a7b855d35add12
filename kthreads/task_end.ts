// SPDX-License-Identifier: GPL-2.0-only
/**
 * How a generator program ends other than by returning: what its calls throw. It unwinds the
 * program, whose `finally` blocks run; a program that catches it meets it again at its next call.
 */
import {
  HOW_EXITED,
  HOW_KILLED,
  HOW_SIGBUS,
  HOW_SIGSEGV,
  HOW_STOPPED,
} from '../src/mm/sched_types.ts';
import { EXIT_SIGBUS, EXIT_SIGINT, EXIT_SIGKILL, EXIT_SIGSEGV } from '../src/mm/task_exit.ts';
import { RUN_KILLED, RUN_SIGBUS, RUN_SIGSEGV } from '../src/mm/user.ts';

/** The task is to end. Not a failure of the machine. */
export class TaskEnd extends Error {
  override readonly name = 'TaskEnd';
  /** HOW_* of sched_types.ts. */
  readonly how: number;
  /** 0 .. 255. */
  readonly code: number;

  constructor(how: number, code: number) {
    super(`the task ends with code ${code}`);
    this.how = how;
    this.code = code;
  }
}

// One object each, whose stack says nothing: an end is no rare event.
const KILLED = new TaskEnd(HOW_KILLED, EXIT_SIGKILL);
const SEGV = new TaskEnd(HOW_SIGSEGV, EXIT_SIGSEGV);
const BUS = new TaskEnd(HOW_SIGBUS, EXIT_SIGBUS);
const STOPPED = new TaskEnd(HOW_STOPPED, EXIT_SIGINT);

/**
 * @param result RUN_KILLED, RUN_SIGSEGV, RUN_SIGBUS or RUN_STOPPED
 * @returns what to throw, or to end the task with
 */
export function endOf(result: number): TaskEnd {
  if (result === RUN_KILLED) return KILLED;
  if (result === RUN_SIGBUS) return BUS;
  return result === RUN_SIGSEGV ? SEGV : STOPPED;
}

/** @param value what the program returned, or gave to `exit` @returns its end */
export function exitOf(value: unknown): TaskEnd {
  const code = typeof value === 'number' && Number.isInteger(value) ? value & 255 : 0;
  return new TaskEnd(HOW_EXITED, code);
}
