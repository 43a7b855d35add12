// SPDX-License-Identifier: GPL-2.0-only
/** What a machine's caller may catch. */
import type { PanicRecord } from '../kthreads/panic.ts';

/** The machine panicked or hung: every worker is gone. Exit code 3 of the command line. */
export class MachinePanicError extends Error {
  override readonly name = 'MachinePanicError';
  readonly record: PanicRecord;

  constructor(record: PanicRecord) {
    super(panicText(record));
    this.record = record;
  }
}

/** A machine did not come up: every worker is gone. */
export class MachineBootError extends Error {
  override readonly name = 'MachineBootError';
  /** Where it broke, when a worker could still tell. */
  readonly record: PanicRecord | null;

  constructor(message: string, record: PanicRecord | null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.record = record;
  }
}

/**
 * A panic as text: who, what, which locks, where.
 * @returns several lines
 */
export function panicText(record: PanicRecord): string {
  const who = record.who === 0 ? 'the machine' : `${record.comm}/${record.who}`;
  const lines = [`kernel panic: ${who} ${record.reason}: ${record.message}`];
  const locks = record.heldLocks.length === 0 ? 'none' : record.heldLocks.join(', ');
  lines.push(`held locks: ${locks}`);
  if (record.stack !== '') lines.push(record.stack);
  return lines.join('\n');
}
