// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of open files of simulated processes (include/linux/fs.h, struct file; fdtable.h).
 *
 * A descriptor is a place of its process's table and names a row of `open_file`, which processes
 * that have it by fork share: position, flags, what was read ahead. Threads share the table.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { RWSEM_WORDS } from '../../shared/rwsem.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import type { MmConfig } from './config.ts';
import { schedEnabled } from './sched_types.ts';

/** Descriptors of a process (RLIMIT_NOFILE), and the first that is given: 0 to 2 are nobody's. */
export const FDS_MAX = 64;
export const FIRST_FD = 3;
/** A place that a call is filling: no file yet. */
export const FD_RESERVED = -1;

/** Open files for each process that there may be, and beyond. */
const FILES_PER_TASK = 4;
const FILES_MIN = 64;

/** Flags of open(2), as the kernel numbers them. */
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;

/** One row per open file. Row 0 is none. */
const OPEN_FILE_COLUMNS = {
  refs: 'i32', // @atomic places of tables that name it, and calls under way; 0: the row is free
  // @frozen from its opening to its last put  @racy fdPut: the count says whether it was read late
  inode: 'i32',
  flags: 'i32', // @frozen from its opening to its last put: O_*
  errors: 'i32', // @atomic failed writes of the file that it has reported (f_wb_err)
  position: 'f64', // @guardedBy f_pos_lock  byte of the file
  raStart: 'i32', // @atomic what was read ahead: a lost update costs one window
  raSize: 'i32', // @atomic as raStart
  raAsync: 'i32', // @atomic as raStart
  raMiss: 'i32', // @atomic as raStart
  raPrev: 'i32', // @atomic as raStart
} as const;

/** @returns rows of open files of such a machine, row 0 counted */
function openFiles(config: MmConfig): number {
  return schedEnabled(config) ? 1 + FILES_MIN + FILES_PER_TASK * config.tasksMax : 1;
}

/** Declares the tables. Pure, as the arena asks. @param nrMms rows of address spaces */
export function declareOpenFiles(builder: ArenaBuilder, config: MmConfig, nrMms: number) {
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  const tables = schedEnabled(config) ? nrMms : 0;
  return {
    openFile: builder.columns('open_file', OPEN_FILE_COLUMNS, openFiles(config)),
    // @atomic words of f_pos_lock
    filePosLock: words('open_file.pos_lock', openFiles(config), RWSEM_WORDS),
    // @atomic rows of the open files of each process, FDS_MAX places each; FD_RESERVED
    fds: words('fds', tables, FDS_MAX),
    // @atomic threads that use the table of each process
    fdUsers: words('fds.users', tables, 1),
    // @atomic word 0: row from which the search for a free one begins
    openFileHint: words('open_file.hint', 1, LINE_WORDS),
  };
}
