// SPDX-License-Identifier: GPL-2.0-only
/**
 * Descriptors of simulated processes (fs/file.c, fs/file_table.c).
 *
 *   fork     the child has the same open files, at the same numbers
 *   thread   shares the table
 *   end      the last thread of a process closes what is open
 *
 * There is no lock: a place is taken and emptied by one compare-and-swap or exchange. A call holds
 * the open file while it uses it, taken unless the count is 0, and looks at the place again (fget):
 * so that a close by another thread meanwhile leaves it the file, and none that is somebody else's.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay } from '../../shared/fault.ts';
import { EBADF, EMFILE, ENFILE } from './errno.ts';
import { FAULT_DELAY } from './faults.ts';
import { FD_RESERVED, FDS_MAX, FIRST_FD } from './fdtable_types.ts';
import type { FileRa } from './file_ra.ts';
import { fileErrors } from './filemap_io.ts';
import { HOSTFS } from './fs_types.ts';
import type { Mm } from './mm.ts';
import { closeFile } from './namei.ts';

/** @returns whether the inode is a file of the host @context the caller has it */
export function hostInode(m: Mm, inode: number): boolean {
  return m.fs.super.type[m.fs.inode.sb[inode] as number] === HOSTFS;
}

/**
 * The lowest free descriptor of a process, reserved: `fdInstall` or `fdCancel` follows.
 * @returns it, or EMFILE @context a thread of the process
 */
export function fdReserve(m: Mm, mm: number): number {
  for (let fd = FIRST_FD; fd < FDS_MAX; fd++) {
    if (Atomics.compareExchange(m.fds, mm * FDS_MAX + fd, 0, FD_RESERVED) === 0) return fd;
  }
  return EMFILE;
}

/** The descriptor is not to be. @context who has reserved it */
export function fdCancel(m: Mm, mm: number, fd: number): void {
  Atomics.store(m.fds, mm * FDS_MAX + fd, 0);
}

/** A free row, with one reference. @returns 0 when there is none */
function claimRow(m: Mm): number {
  const { refs } = m.openFile;
  const rows = refs.length - 1;
  const start = Atomics.add(m.openFileHint, 0, 1) >>> 0;
  for (let i = 0; i < rows; i++) {
    const row = 1 + ((start + i) % rows);
    if (Atomics.load(refs, row) !== 0) continue;
    if (Atomics.compareExchange(refs, row, 0, 1) === 0) return row;
  }
  return 0;
}

/**
 * Gives a reserved descriptor its open file.
 * @param inode a file that the caller has; the descriptor has it from here on @param flags O_*
 * @returns the descriptor; ENFILE when the machine has too many open files: it is free again then,
 *   and the caller still has the file
 * @context who has reserved it
 */
export function fdInstall(m: Mm, mm: number, fd: number, inode: number, flags: number): number {
  const row = claimRow(m);
  if (row === 0) {
    fdCancel(m, mm, fd);
    return ENFILE;
  }
  const f = m.openFile;
  f.inode[row] = inode;
  f.flags[row] = flags;
  f.position[row] = 0;
  Atomics.store(f.errors, row, hostInode(m, inode) ? fileErrors(m, inode) : 0);
  Atomics.store(f.raStart, row, 0);
  Atomics.store(f.raSize, row, 0);
  Atomics.store(f.raAsync, row, 0);
  Atomics.store(f.raMiss, row, 0);
  Atomics.store(f.raPrev, row, -1);
  // Other threads of the process find it from here on.
  Atomics.store(m.fds, mm * FDS_MAX + fd, row);
  return fd;
}

/** One more reference, unless there is none left. */
function tryGet(m: Mm, row: number): boolean {
  const { refs } = m.openFile;
  for (let seen = Atomics.load(refs, row); seen > 0; ) {
    const was = Atomics.compareExchange(refs, row, seen, seen + 1);
    if (was === seen) return true;
    seen = was;
  }
  return false;
}

/** The open file of a place, held. @returns its row, 0 for none */
function getAt(m: Mm, at: number): number {
  for (;;) {
    const row = Atomics.load(m.fds, at);
    if (row <= 0) return 0;
    faultDelay(FAULT_DELAY);
    if (!tryGet(m, row)) continue;
    if (Atomics.load(m.fds, at) === row) return row;
    // Closed meanwhile, and the row perhaps another's.
    fdPut(m, row);
  }
}

/** The open file of a descriptor. @returns its row, held until `fdPut`; EBADF @context any */
export function fdGet(m: Mm, mm: number, fd: number): number {
  if (!Number.isInteger(fd) || fd < 0 || fd >= FDS_MAX) return EBADF;
  const row = getAt(m, mm * FDS_MAX + fd);
  return row === 0 ? EBADF : row;
}

/**
 * Drops an open file; the last one closes it.
 *
 * Who got it by a stale number may hold a row that is just being given out, and whose inode is not
 * written yet. So the inode is read between two looks at the count: where both say that this
 * reference is the last, its installer has been, and nobody else writes it.
 * @context no lock held; may free pages
 */
export function fdPut(m: Mm, row: number): void {
  const { refs, inode } = m.openFile;
  for (let seen = Atomics.load(refs, row); ; ) {
    assert(seen > 0, 'an open file is put no more often than it was taken');
    const mine = inode[row] as number;
    const was = Atomics.compareExchange(refs, row, seen, seen - 1);
    // Not ours any more: whoever claims the row writes it anew.
    if (was === seen) {
      if (seen === 1) closeFile(m, mine);
      return;
    }
    seen = was;
  }
}

/** Closes a descriptor. @returns 0 or EBADF @context as fdPut */
export function fdClose(m: Mm, mm: number, fd: number): number {
  if (!Number.isInteger(fd) || fd < 0 || fd >= FDS_MAX) return EBADF;
  const at = mm * FDS_MAX + fd;
  for (let row = Atomics.load(m.fds, at); row > 0; ) {
    faultDelay(FAULT_DELAY);
    const was = Atomics.compareExchange(m.fds, at, row, 0);
    if (was === row) {
      fdPut(m, row);
      return 0;
    }
    row = was;
  }
  return EBADF;
}

/** A new process uses its own table, which is empty. @context its maker */
export function fdsInit(m: Mm, mm: number): void {
  Atomics.store(m.fdUsers, mm, 1);
}

/** One more thread uses the table. @context a thread that does */
export function fdsShare(m: Mm, mm: number): void {
  Atomics.add(m.fdUsers, mm, 1);
}

/** A child has what its parent has open (dup_fd). @context the parent; nobody knows the child */
export function fdsCopy(m: Mm, parent: number, child: number): void {
  fdsInit(m, child);
  for (let fd = FIRST_FD; fd < FDS_MAX; fd++) {
    const row = getAt(m, parent * FDS_MAX + fd);
    if (row > 0) Atomics.store(m.fds, child * FDS_MAX + fd, row);
  }
}

/**
 * A thread uses the table no more; the last one closes what is open (exit_files).
 * @context the thread, or its maker when it is not to be; as fdPut
 */
export function fdsExit(m: Mm, mm: number): void {
  if (Atomics.sub(m.fdUsers, mm, 1) !== 1) return;
  for (let fd = FIRST_FD; fd < FDS_MAX; fd++) fdClose(m, mm, fd);
}

/** What was read ahead through an open file, copied to the thread's. @context the file is held */
export function loadFileRa(m: Mm, row: number, ra: FileRa): void {
  const f = m.openFile;
  ra.start = Atomics.load(f.raStart, row);
  ra.size = Atomics.load(f.raSize, row);
  ra.asyncSize = Atomics.load(f.raAsync, row);
  ra.mmapMiss = Atomics.load(f.raMiss, row);
  ra.prev = Atomics.load(f.raPrev, row);
}

/** And back. @context the file is held */
export function storeFileRa(m: Mm, row: number, ra: FileRa): void {
  const f = m.openFile;
  Atomics.store(f.raStart, row, ra.start);
  Atomics.store(f.raSize, row, ra.size);
  Atomics.store(f.raAsync, row, ra.asyncSize);
  Atomics.store(f.raMiss, row, ra.mmapMiss);
  Atomics.store(f.raPrev, row, ra.prev);
}
