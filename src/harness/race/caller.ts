// SPDX-License-Identifier: MIT
/**
 * Where a function of the harness was called from: the lines of the stack that are neither the
 * harness's own nor of the primitives above it. It costs microseconds.
 */
import { shownPath } from '../stack_frames.ts';

/** Folders whose lines are left out, as stacks name them. */
const OWN = ['../', '../../../shared/'].map((path) => new URL(path, import.meta.url).href);
const FRAME = /\(?((?:file|node|data):[^\s)]*|\/[^\s)]*):(\d+):(\d+)\)?$/;
const FRAMES_MAX = 12;

/** @returns [file, `:line:column`] of at most `count` callers, innermost first */
function callers(count: number): [string, string][] {
  const was = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const { stack } = new Error();
  Error.stackTraceLimit = was;
  const found: [string, string][] = [];
  for (const line of (stack ?? '').split('\n').slice(1)) {
    const [, file = '', at, column] = FRAME.exec(line) ?? [];
    if (file === '' || /^(?:node|data):/.test(file)) continue;
    if (OWN.some((folder) => file.startsWith(folder))) continue;
    found.push([file.replace(/^file:\/\//, '').replace(/\?.*$/, ''), `:${at}:${column}`]);
    if (found.length === count) break;
  }
  return found;
}

/** @returns `file:line:column`, or `an unknown place` */
export function callerPlace(): string {
  return callers(1)[0]?.join('') ?? 'an unknown place';
}

/** @returns up to three callers with short paths, innermost first: for texts */
export function shownCallers(): string {
  const shown = callers(3).map(([file, at]) => shownPath(file) + at);
  return shown.length === 0 ? 'an unknown place' : shown.join(' < ');
}
