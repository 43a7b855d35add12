// SPDX-License-Identifier: GPL-2.0-only
/**
 * Tables of the files of the host (struct file, struct file_ra_state, backing_dev_info): what an
 * inode of a HOSTFS mount has beyond its pages. Without `hostFiles` they have one unused row.
 */
import type { ArenaBuilder } from '../../shared/arena.ts';
import { RWSEM_WORDS } from '../../shared/rwsem.ts';
import { type I32, LINE_WORDS } from '../../shared/types.ts';
import { WAIT_QUEUE_WORDS } from '../../shared/wait_queue.ts';
import type { MmConfig } from './config.ts';
import type { FsSizes } from './fs_types.ts';

/** Bytes of a path below a mount, its end included. */
export const HOST_NAME_BYTES = 128;
/** Bytes of the path of a mounted directory, its end included. */
export const HOST_DIR_BYTES = 1024;

/** One row per inode. */
const HOST_FILE_COLUMNS = {
  fd: 'i32', // @guardedBy i_lock  descriptor + 1; 0 is closed  @racy constant while referenced
  size: 'f64', // @guardedBy i_rwsem  bytes (i_size)  @racy faults look again, the folio locked
  uncut: 'u8', // @guardedBy i_rwsem  1: the host's file is longer, as it could not be cut
  dirty: 'i32', // @atomic dirty pages: the flusher looks for them; those being written are clean
  wbErr: 'i32', // @atomic writes that failed so far: each open file has its own mark (errseq_t)
} as const;

/** One row per VMA: what its faults read ahead (struct file_ra_state). */
const FILE_RA_COLUMNS = {
  start: 'i32', // @atomic page where the last window begins: a lost update costs one window
  size: 'i32', // @atomic pages of the last window
  asyncSize: 'i32', // @atomic pages of it that are still to come when the next one is started
  mmapMiss: 'i32', // @atomic misses, less hits
} as const;

/** Words of `hostInfo`. */
export const HOST_NAMES_USED = 0;
export const HOST_NAMES_LOCK = LINE_WORDS;
export const HOST_FLUSH_ASKED = 2 * LINE_WORDS;
export const HOST_FLUSH_BEGUN = 2 * LINE_WORDS + 1;

/** Declares the tables. Pure, as the arena asks. */
export function declareHostFiles(builder: ArenaBuilder, config: MmConfig, fs: FsSizes) {
  const mounts = fs.nrSupers;
  const on = config.hostFiles;
  const inodes = on ? fs.nrInodes : 1;
  const names = on ? config.dentriesMax : 1;
  const words = (name: string, rows: number, wordsPerRow: number): I32 =>
    builder.columns(name, { words: 'i32' }, rows * wordsPerRow).words;
  return {
    hostFile: builder.columns('host_file', HOST_FILE_COLUMNS, inodes),
    fileRa: builder.columns('file_ra', FILE_RA_COLUMNS, on ? config.vmasMax + 1 : 1),
    // @atomic words of i_rwsem: files, then the directory of each mount
    iRwsem: words('host_file.i_rwsem', inodes + mounts, RWSEM_WORDS),
    // @atomic words of invalidate_lock
    invalidateLock: words('host_file.invalidate_lock', inodes, RWSEM_WORDS),
    // @guardedBy host_names  path of each mount, zero-terminated  @racy constant while mounted
    hostDir: builder.columns('host.dir', { bytes: 'u8' }, mounts * HOST_DIR_BYTES).bytes,
    // @guardedBy host_names  path of each name, zero-terminated  @racy constant once published
    hostName: builder.columns('host.name', { bytes: 'u8' }, names * HOST_NAME_BYTES).bytes,
    // @atomic HOST_* words: names in use, their lock, rounds of the flusher asked for and begun
    hostInfo: words('host.info', 3, LINE_WORDS),
    // @atomic wait queue of the flusher
    flusherWait: words('host.flusher_wait', 1, WAIT_QUEUE_WORDS),
    // @atomic wait queue: who waits for pages to become clean
    dirtyWait: words('host.dirty_wait', 1, WAIT_QUEUE_WORDS),
  };
}
