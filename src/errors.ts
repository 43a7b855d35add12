// SPDX-License-Identifier: GPL-2.0-only
/**
 * Errors that the user caused and can mend: bad usage and bad input. They are shown as one line,
 * without a stack trace, and the process ends with exit code 2. A broken invariant of the product
 * is a `BugError` instead (shared/assert.ts).
 */

/** Bad usage or bad input. `message` is one line that says what, where and what to do. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
  readonly exitCode = 2;
}

/** What is wrong with an input, where, and what the user can do about it. */
export interface InputFault {
  /** Path as the user gave it. */
  readonly file: string;
  /** Where in the file: `offset 16`, `line 3`, `header`. Absent: the file as a whole. */
  readonly position?: string;
  /** What is wrong, without a full stop. */
  readonly reason: string;
  /** What to do, without a full stop. */
  readonly hint: string;
}

/** Text from outside, made safe for one line of a terminal: control characters as `\xNN`, cut. */
export function oneLine(text: string, charsMax = 200): string {
  let clean = '';
  for (const char of text.slice(0, charsMax)) {
    const code = char.codePointAt(0)!;
    const control = code < 32 || (code >= 127 && code < 160) || code === 0x2028 || code === 0x2029;
    clean += control ? `\\x${code.toString(16).padStart(2, '0')}` : char;
  }
  return text.length > charsMax ? `${clean}...` : clean;
}

/**
 * Builds, without throwing it, the error for a faulty input.
 * @returns an error whose message is `FILE: POSITION: REASON; HINT`, always one line
 * @context any thread; does not block
 */
export function inputError(fault: InputFault): UsageError {
  const where = fault.position === undefined ? '' : ` ${fault.position}:`;
  const file = oneLine(fault.file, 4096);
  return new UsageError(`${file}:${where} ${oneLine(fault.reason, 500)}; ${fault.hint}`);
}
