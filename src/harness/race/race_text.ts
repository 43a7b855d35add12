// SPDX-License-Identifier: MIT
/** A race as data for a reader: what the main thread gets and prints. */

import { shownPath } from '../stack_frames.ts';

/** One access, for a reader. */
export interface AccessReport {
  /** Path or URL, empty when nothing is known. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly thread: number;
  /** Of the execution. */
  readonly step: number;
  /** `read`, `write`, or the name of an operation of Atomics. */
  readonly kind: string;
}

/** Two accesses that nothing orders. */
export interface RaceReport {
  /** One line. */
  readonly message: string;
  readonly first: AccessReport;
  readonly second: AccessReport;
  readonly address: number;
  readonly bytes: number;
  readonly times: number;
  /** Why it is meant, null when it is not. */
  readonly reason: string | null;
}

/** `file:line:column`, or what is known of it. */
export function accessPlace({ file, line, column }: AccessReport): string {
  if (file === '') return 'a place that is not instrumented';
  return line === 0 ? shownPath(file) : `${shownPath(file)}:${line}:${column}`;
}
