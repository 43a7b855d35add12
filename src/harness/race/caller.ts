// SPDX-License-Identifier: MIT
/**
 * Where a patched method was called from, when the caller is not instrumented: the first line of
 * the stack that is not the harness's own. It costs microseconds.
 */

/** The folder of this file, as stacks name it. */
const OWN = new URL('.', import.meta.url).href;
const FRAME = /\(?((?:file|node|data):[^\s)]*|\/[^\s)]*):(\d+):(\d+)\)?$/;

/** @returns `file:line:column`, or `an unknown place` */
export function callerPlace(): string {
  const was = Error.stackTraceLimit;
  Error.stackTraceLimit = 10;
  const { stack } = new Error();
  Error.stackTraceLimit = was;
  for (const line of (stack ?? '').split('\n').slice(1)) {
    const match = FRAME.exec(line);
    if (match !== null && !(match[1] as string).startsWith(OWN)) return match.slice(1, 4).join(':');
  }
  return 'an unknown place';
}
