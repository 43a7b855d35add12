// SPDX-License-Identifier: GPL-2.0-only
/**
 * The one door to the host's files: every byte that is read from them or written to them passes
 * here, so that faults can be injected and a deterministic run takes each call as one step.
 *
 * Calls are synchronous. A worker that waits for the disk sleeps in the kernel below; descriptors
 * belong to the process, so any thread uses what another opened. Failures are errnos, never thrown.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readvSync,
  realpathSync,
  statSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { shouldFail } from '../../shared/fault.ts';
import { EACCES, EEXIST, EINVAL, EIO, EISDIR, EMFILE, ENOENT, ENOSPC } from './errno.ts';
import { FAULT_READ, FAULT_WRITE } from './faults.ts';

/** Errors of the host that a caller can tell apart; all others are EIO. */
const ERRNOS: Readonly<Record<string, number>> = {
  ENOENT,
  ENOTDIR: ENOENT,
  EACCES,
  EPERM: EACCES,
  EROFS: EACCES,
  EEXIST,
  EISDIR,
  EINVAL,
  EMFILE,
  ENFILE: EMFILE,
  ENOSPC,
  EDQUOT: ENOSPC,
};

/** @returns 0, or why the host refused @context may block */
function attempt(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    return ERRNOS[(error as NodeJS.ErrnoException).code ?? ''] ?? EIO;
  }
}

/** @returns a directory's path without links; null for what is none @context may block */
export function hostDirectory(path: string): string | null {
  let found: string | null = null;
  attempt(() => {
    if (statSync(path).isDirectory()) found = realpathSync(path);
  });
  return found;
}

/**
 * Opens a regular file of the host for reading and writing.
 * @param create make an empty one if there is none
 * @returns the descriptor; ENOENT, EACCES, EISDIR for what is no regular file, EMFILE, EIO
 * @context may block
 */
export function hostOpen(path: string, create: boolean): number {
  let fd = -1;
  const error = attempt(() => {
    fd = openSync(path, constants.O_RDWR | (create ? constants.O_CREAT : 0), 0o666);
  });
  if (error < 0) return error;
  let regular = false;
  attempt(() => {
    regular = fstatSync(fd).isFile();
  });
  if (regular) return fd;
  hostClose(fd);
  return EISDIR;
}

/**
 * Names in a directory of the host, in order; a directory's has a '/' behind.
 * @returns them, or ENOENT, EACCES, EIO @context may block
 */
export function hostNames(path: string): string[] | number {
  let names: string[] = [];
  const error = attempt(() => {
    const entries = readdirSync(path, { withFileTypes: true });
    names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  });
  return error < 0 ? error : names;
}

/** Closes a descriptor. @context whoever has it last */
export function hostClose(fd: number): void {
  attempt(() => closeSync(fd));
}

/** @returns bytes of an open file, or EIO @context may block */
export function hostSize(fd: number): number {
  let size = EIO;
  attempt(() => {
    size = fstatSync(fd).size;
  });
  return size;
}

/**
 * Fills buffers from a file, one after the other; what lies beyond its end becomes zeroes.
 * @param position byte of the file, at least 0
 * @returns 0, or EIO: the buffers may hold anything
 * @context may block; outside every spinlock
 */
export function hostRead(fd: number, buffers: readonly Uint8Array[], position: number): number {
  if (shouldFail(FAULT_READ)) return EIO;
  return attempt(() => {
    let left: readonly Uint8Array[] = buffers;
    for (let at = position; left.length > 0; ) {
      const got = readvSync(fd, left as Uint8Array[], at);
      if (got === 0) break;
      at += got;
      left = after(left, got);
    }
    for (const rest of left) rest.fill(0);
  });
}

/**
 * Writes buffers to a file, one after the other.
 * @param position byte of the file, at least 0
 * @returns 0, ENOSPC, EIO; then some of it may be there
 * @context may block; outside every spinlock; nobody changes the buffers meanwhile
 */
export function hostWrite(fd: number, buffers: readonly Uint8Array[], position: number): number {
  if (shouldFail(FAULT_WRITE)) return EIO;
  return attempt(() => {
    let left: readonly Uint8Array[] = buffers;
    for (let at = position; left.length > 0; ) {
      const put = writevSync(fd, left as Uint8Array[], at);
      if (put === 0) throw new Error('the host takes nothing');
      at += put;
      left = after(left, put);
    }
  });
}

/** What is left of buffers when the first `bytes` are done. */
function after(buffers: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skip = bytes;
  for (let i = 0; i < buffers.length; i++) {
    const buffer = buffers[i] as Uint8Array;
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(i + 1)];
    skip -= buffer.length;
  }
  return [];
}

/** Waits until what was written is on the disk. @returns 0 or EIO @context may block */
export function hostFsync(fd: number): number {
  if (shouldFail(FAULT_WRITE)) return EIO;
  return attempt(() => fsyncSync(fd));
}

/** Sets the size of a file. @returns 0, ENOSPC, EIO @context may block */
export function hostTruncate(fd: number, bytes: number): number {
  if (shouldFail(FAULT_WRITE)) return EIO;
  return attempt(() => ftruncateSync(fd, bytes));
}

/** Removes a name. @returns 0, ENOENT, EACCES, EISDIR, EIO @context may block */
export function hostUnlink(path: string): number {
  return attempt(() => unlinkSync(path));
}
