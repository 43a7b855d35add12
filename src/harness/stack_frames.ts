// SPDX-License-Identifier: MIT
/** Stack traces as frames, without those of the harness and of Node itself, and source lines. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export interface Frame {
  /** Function, empty where it has no name. */
  readonly fn: string;
  /** Absolute path. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

const OWN = fileURLToPath(new URL('.', import.meta.url));
const FRAME = /^\s*at (?:(.*?) \()?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+):(\d+)\)?$/;

function pathOf(place: string): string {
  if (!place.startsWith('file://')) return place;
  try {
    return fileURLToPath(place.replace(/[?#].*$/, ''));
  } catch {
    return place;
  }
}

/** @param stack as `Error` has it @returns the frames of the code under test, innermost first */
export function readFrames(stack: string): Frame[] {
  const frames: Frame[] = [];
  for (const text of stack.split('\n')) {
    const match = FRAME.exec(text);
    if (match === null) continue;
    const [, fn = '', place = '', line = '', column = ''] = match;
    const file = pathOf(place);
    if (file.startsWith(OWN)) continue;
    frames.push({ fn, file, line: Number(line), column: Number(column) });
  }
  return frames;
}

/** A path for people: relative to the working directory where that is shorter. */
export function shownPath(file: string): string {
  const path = relative(process.cwd(), file);
  return path !== '' && path.length < file.length ? path : file;
}

/** `file:line` of a frame. */
export function shownPlace(frame: Frame): string {
  return `${shownPath(frame.file)}:${frame.line}`;
}

/** `at fn (file:line:column)` for each frame. */
export function shownStack(frames: readonly Frame[]): string[] {
  return frames.map((frame) => {
    const place = `${shownPlace(frame)}:${frame.column}`;
    return frame.fn === '' ? `at ${place}` : `at ${frame.fn} (${place})`;
  });
}

/** Lines of more characters are cut to a statement. */
const LONG_LINE = 60;

/** Lines of source files, each file read once. */
export class SourceLines {
  readonly #files = new Map<string, readonly string[]>();

  /**
   * @param whole the column says nothing
   * @returns the line, trimmed; of a long one, from its statement on; empty where there is none
   */
  at(frame: Frame, whole: boolean): string {
    let lines = this.#files.get(frame.file);
    if (lines === undefined) {
      lines = readLines(frame.file);
      this.#files.set(frame.file, lines);
    }
    const line = lines[frame.line - 1] ?? '';
    if (whole || line.trim().length <= LONG_LINE) return line.trim();
    const before = line.slice(0, frame.column - 1);
    return line.slice(before.search(/[^;{}]*$/)).trim();
  }
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}
