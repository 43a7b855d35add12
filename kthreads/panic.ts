// SPDX-License-Identifier: GPL-2.0-only
/**
 * The panic path: how one broken thread ends its machine, with a name and a place.
 *
 *   panic word   meaning
 *   NONE         the machine is well
 *   WRITING      one thread has won the right to write the record; the others' troubles follow from
 *                it, or come too late, and are dropped
 *   PUBLISHED    the record is complete; every thread has REQUEST_PANIC and was kicked
 *
 * After PUBLISHED each thread unwinds at its next condResched or sleep. Those parked on a lock find
 * its holder gone within PARK_CHECK_MS. Whoever is left after a grace period is terminated by the
 * main thread. A writer that dies in WRITING leaves a record without a text; the main thread says
 * so.
 */
import { BugError } from '../shared/assert.ts';
import { ktimeSharedMs } from '../shared/ktime.ts';
import { THREADS_MAX } from '../shared/limits.ts';
import {
  kick,
  PANIC_NONE,
  PANIC_PUBLISHED,
  PANIC_WRITING,
  REQUEST_PANIC,
  type TaskTable,
} from '../shared/task.ts';
import { getComm, type ThreadTable } from '../shared/thread.ts';
import type { U8 } from '../shared/types.ts';

/** Why a machine panicked; the index is the code in the record. */
export const PANIC_REASONS = [
  'unknown',
  /** A thread function threw. */
  'threw',
  /** A worker ended without its function having returned. */
  'terminated',
  /** No sign of life for hungTaskMs. */
  'hung',
  /** A thread could not load its modules or bind to the engine. */
  'boot',
] as const;
export type PanicReason = (typeof PANIC_REASONS)[number];

export interface PanicRecord {
  /** Thread id, 0 where unknown. */
  readonly who: number;
  readonly comm: string;
  readonly reason: PanicReason;
  readonly message: string;
  /** Where: a stack, or an empty string when the thread could not tell. */
  readonly stack: string;
  /** The locks that the thread held, one a line. */
  readonly heldLocks: readonly string[];
  /** ktimeSharedMs of the panic. */
  readonly atMs: number;
}

export interface PanicInput {
  readonly who: number;
  readonly reason: PanicReason;
  readonly message: string;
  readonly stack: string;
  readonly heldLocks: readonly string[];
}

/**
 * Panics the machine, unless it has panicked already.
 * @returns true when this call's record is the one that stands
 * @context any thread, the main thread included; does not block
 */
export function raisePanic(threads: ThreadTable, tasks: TaskTable, input: PanicInput): boolean {
  const { machine, panic } = tasks;
  if (Atomics.compareExchange(machine.panic, 0, PANIC_NONE, PANIC_WRITING) !== PANIC_NONE) {
    return false;
  }
  panic.who[0] = input.who;
  panic.reason[0] = PANIC_REASONS.indexOf(input.reason);
  panic.atMs[0] = ktimeSharedMs();
  putText(panic.message, input.message);
  putText(panic.stack, input.stack);
  putText(panic.locks, input.heldLocks.join('\n'));
  Atomics.store(machine.panic, 0, PANIC_PUBLISHED); // PAIRS(panic-record): after all of the record
  for (let id = 1; id < THREADS_MAX; id++) {
    Atomics.or(threads.request, id, REQUEST_PANIC);
    kick(tasks, id);
  }
  return true;
}

/** Panics the machine on behalf of a thread that threw `error`. */
export function panicFromError(
  threads: ThreadTable,
  tasks: TaskTable,
  who: number,
  reason: PanicReason,
  error: unknown,
  heldLocks: readonly string[],
): boolean {
  const isError = error instanceof Error;
  const name = error instanceof BugError || !isError ? 'BUG' : error.name;
  const message = `${name}: ${isError ? error.message : String(error)}`;
  const stack = isError ? (error.stack ?? '') : '';
  return raisePanic(threads, tasks, { who, reason, message, stack, heldLocks });
}

/** @returns PANIC_NONE, PANIC_WRITING or PANIC_PUBLISHED @context any thread; one load */
export function panicState(tasks: TaskTable): number {
  return Atomics.load(tasks.machine.panic, 0); // PAIRS(panic-record): before any of the record
}

/** @returns the record, or null while there is none that is complete */
export function readPanic(threads: ThreadTable, tasks: TaskTable): PanicRecord | null {
  if (panicState(tasks) !== PANIC_PUBLISHED) return null;
  const { panic } = tasks;
  const who = panic.who[0] as number;
  const locks = getText(panic.locks);
  return {
    who,
    comm: who === 0 ? '' : getComm(threads, who),
    reason: PANIC_REASONS[panic.reason[0] as number] ?? 'unknown',
    message: getText(panic.message),
    stack: getText(panic.stack),
    heldLocks: locks === '' ? [] : locks.split('\n'),
    atMs: panic.atMs[0] as number,
  };
}

/** Stores as much of a text as fits, cut at a character; a zero byte ends it. */
function putText(target: U8, text: string): void {
  // TextEncoder writes to private memory only.
  const bytes = new Uint8Array(target.length - 1);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  target.set(bytes.subarray(0, written));
  target[written] = 0;
}

function getText(source: U8): string {
  const end = source.indexOf(0);
  return new TextDecoder().decode(source.slice(0, end === -1 ? source.length : end));
}
