// SPDX-License-Identifier: GPL-2.0-only
/**
 * Files that processes map, made for one run: a temporary directory, one file a process, gone when
 * the run is over, also when the process ends in the middle of it.
 *
 * A page holds zeroes where CPUs store, and behind that a fill of its own (content.ts), so that the
 * end of the run sees that each page of the process is the file's page that it should be.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { UsageError } from '../errors.ts';
import type { ProcessFile } from '../mm/config.ts';
import { fillPage } from '../mm/content.ts';
import { PAGE_SIZE, PAGE_WORDS } from '../mm/limits.ts';
import type { ProcessSpec } from './workload.ts';

/** Fill of the first file: far from those of address spaces, which are small. */
const FILL_ID = 0x46000000;
/** Pages that are written at once. */
const CHUNK_PAGES = 256;

/** Processes with their files, and what takes the files away again. */
export interface TraceFiles {
  readonly processes: readonly ProcessSpec[];
  /** May be called more than once. */
  remove(): void;
}

function writeFill(fd: number, pages: number, fillId: number): void {
  const words = new Int32Array(CHUNK_PAGES * PAGE_WORDS);
  for (let first = 0; first < pages; first += CHUNK_PAGES) {
    const count = Math.min(CHUNK_PAGES, pages - first);
    for (let i = 0; i < count; i++) {
      fillPage(words.subarray(i * PAGE_WORDS, (i + 1) * PAGE_WORDS), fillId, first + i);
    }
    const bytes = count * PAGE_SIZE;
    for (let done = 0; done < bytes; ) {
      done += writeSync(fd, new Uint8Array(words.buffer, done, bytes - done));
    }
  }
}

function makeFile(dir: string, name: string, pages: number, fillId: number): ProcessFile {
  const fd = openSync(join(dir, name), 'wx', 0o600);
  try {
    writeFill(fd, pages, fillId);
  } finally {
    closeSync(fd);
  }
  return { dir, name, fillId };
}

/** Makes a file for each process that has `filePages`. */
function makeFiles(dir: string, processes: readonly ProcessSpec[]): ProcessSpec[] {
  return processes.map((spec, i) => {
    const { filePages = 0, ...rest } = spec;
    return filePages === 0
      ? spec
      : { ...rest, file: makeFile(dir, `${i}`, filePages, FILL_ID + i) };
  });
}

/**
 * Makes the files that processes ask for by `filePages`.
 * @returns the processes, with `file` in its place; `remove` when the machine is gone
 * @throws UsageError when the host has no room for them
 * @context main thread; blocks
 */
export function makeTraceFiles(processes: readonly ProcessSpec[]): TraceFiles {
  if (!processes.some((spec) => (spec.filePages ?? 0) > 0)) {
    return { processes, remove: () => undefined };
  }
  let dir = '';
  const remove = (): void => {
    process.off('exit', remove);
    if (dir !== '') rmSync(dir, { recursive: true, force: true });
  };
  // A second Ctrl-C ends the process where it is.
  process.on('exit', remove);
  try {
    dir = mkdtempSync(join(tmpdir(), 'kreclaim-vmas-'));
    return { processes: makeFiles(dir, processes), remove };
  } catch (error) {
    remove();
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`vmas: no file can be made in ${tmpdir()}: ${code ?? message}; free some`);
  }
}
