// SPDX-License-Identifier: GPL-2.0-only
/**
 * The library files of workload monkey: made by the zygote, mapped by it and so by all apps. A page
 * begins with a number of its own, by which whoever reads it knows that it is the right one.
 */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import { O_CREAT, O_RDONLY, O_RDWR } from '../mm/fdtable_types.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import { VM_EXEC, VM_READ } from '../mm/mm_types.ts';
import { addFigure } from './figures.ts';
import { libraryWord, type MonkeyShape } from './monkey_shape.ts';

/** Pages that are written at once. */
const PAGES = 16;
/** Tries of what the host's disk may refuse for a moment. */
const TRIES = 100;

const name = (file: number): string => `lib${file}.so`;

/** Calls until it does not fail. @throws Error after many tries */
function* insist(proc: Proc, what: string, call: () => number): ProcCall<number> {
  let result = 0;
  for (let tries = 0; tries < TRIES; tries++) {
    result = call();
    if (result >= 0) return result;
    yield* proc.sleep(1);
  }
  throw new Error(`monkey: ${what}: ${result}`);
}

/** Makes the files, and has them on the disk. @returns the mount that they are on */
export function* makeLibraries(proc: Proc, shape: MonkeyShape): ProcCall<number> {
  const { files } = proc;
  const { libraries, folder, figures } = shape;
  const sb = yield* insist(proc, 'mount', () => files.mount(folder, 'libraries'));
  const words = new Int32Array((PAGES * PAGE_SIZE) / 4);
  for (let file = 0; file < libraries.files; file++) {
    const fd = yield* insist(proc, 'open', () => files.open(sb, name(file), O_RDWR | O_CREAT));
    for (let at = 0; at < libraries.pages; at += PAGES) {
      const pages = Math.min(PAGES, libraries.pages - at);
      for (let i = 0; i < pages; i++) words[(i * PAGE_SIZE) / 4] = libraryWord(file, at + i);
      const bytes = new Uint8Array(words.buffer, 0, pages * PAGE_SIZE);
      yield* insist(proc, 'write', () => files.pwrite(fd, bytes, at * PAGE_SIZE));
      addFigure(figures, proc.cpu, 'filePages', pages);
      if (proc.preempted) yield;
    }
    yield* insist(proc, 'fsync', () => files.fsync(fd));
    files.close(fd);
  }
  return sb;
}

/** Maps all libraries, every other one shared. @returns their descriptors, which apps inherit */
export function* mapLibraries(proc: Proc, shape: MonkeyShape, sb: number): ProcCall<number[]> {
  const { first, files, pages } = shape.libraries;
  const prot = VM_READ | VM_EXEC;
  const fds: number[] = [];
  for (let file = 0; file < files; file++) {
    const fd = yield* insist(proc, 'open', () => proc.files.open(sb, name(file), O_RDONLY));
    const options = { fd, shared: file % 2 === 0, prot };
    yield* insist(proc, 'mmap', () => proc.mmap(first + file * pages, pages, options));
    fds.push(fd);
  }
  return fds;
}

/** Checks a page of a library. @throws Error when it is another's */
export function readLibrary(proc: Proc, shape: MonkeyShape, file: number, page: number): void {
  const { first, pages } = shape.libraries;
  const vpn = first + file * pages + page;
  const word = proc.load(vpn * PAGE_SIZE, 4);
  if (word === libraryWord(file, page)) return;
  throw new Error(`monkey: page ${page} of library ${file} begins with ${word}`);
}
