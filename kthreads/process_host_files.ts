// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a program may do with files of the host: `process.files.host`. Failures are negative numbers
 * with Linux's names (src/mm/errno.ts). What is left open is closed when the program has ended;
 * what is not written yet is written by then, or when its mount goes.
 */

import { EBADF, ENOMEM } from '../src/mm/errno.ts';
import { fatalSignalPending } from '../src/mm/fatal_signal.ts';
import { type FileRa, newFileRa } from '../src/mm/file_ra.ts';
import {
  fileErrors,
  fileFsync,
  fileRead,
  fileSize,
  fileSynced,
  fileTruncate,
  fileWrite,
} from '../src/mm/filemap_io.ts';
import { hostMount, hostOpenFile, hostUnlinkFile } from '../src/mm/hostfs.ts';
import type { Mm } from '../src/mm/mm.ts';
import {
  VM_EXEC,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_WRITE,
} from '../src/mm/mm_types.ts';
import { mmapFile } from '../src/mm/mmap_file.ts';
import { closeFile } from '../src/mm/namei.ts';
import { umount } from '../src/mm/super.ts';

/** How a file is mapped. Default: shared, read and written, from its first page. */
export interface HostMapOptions {
  /** Page of the file at the start. Default 0. */
  readonly pgoff?: number;
  /** MAP_PRIVATE: stores stay in the process. Default false. */
  readonly private?: boolean;
  /** PROT_WRITE. Default true. */
  readonly write?: boolean;
  /** PROT_EXEC: pages that are used are kept longer. Default false. */
  readonly exec?: boolean;
  /** MADV_SEQUENTIAL, MADV_RANDOM. Default neither. */
  readonly advice?: 'sequential' | 'random';
}

/** A file that is open. */
interface OpenFile {
  readonly inode: number;
  readonly ra: FileRa;
  /** Failed writes of the file that this open file has reported. */
  errors: number;
}

/** Files of the host of one CPU's program. @context the CPU's own thread */
export class ProcessHostFiles {
  readonly #m: Mm;
  readonly #mm: number;
  readonly #open = new Map<number, OpenFile>();
  #lastFd = 0;

  constructor(m: Mm, mm: number) {
    this.#m = m;
    this.#mm = mm;
  }

  /**
   * Mounts a directory of the host: only the machine may change it from now on.
   * @param dir its path @param name for the name of its shrinker
   * @returns the mount; ENODEV when the machine was booted without `hostFiles`, ENOENT, ENOSPC,
   *   ENOMEM, EINVAL
   */
  mount(dir: string, name = 'host'): number {
    return hostMount(this.#m, dir, name);
  }

  /**
   * Takes a mount away; what is dirty is written first.
   * @returns 0, EBUSY while files are open or mapped, ENODEV when it is not mounted
   */
  umount(sb: number): number {
    return umount(this.#m, sb);
  }

  /**
   * Opens a file.
   * @param path below the mounted directory @param create make an empty one if there is none
   * @returns a descriptor of this program; ENOENT, EACCES, EISDIR, EMFILE, EINVAL, ENODEV, ENOMEM,
   *   ENOSPC, EIO
   */
  open(sb: number, path: string, create = false): number {
    const inode = hostOpenFile(this.#m, sb, path, create);
    if (inode < 0) return inode;
    const fd = ++this.#lastFd;
    this.#open.set(fd, { inode, ra: newFileRa(), errors: fileErrors(this.#m, inode) });
    return fd;
  }

  /** Closes a file. @returns 0, EBADF for what is not open here */
  close(fd: number): number {
    const file = this.#open.get(fd);
    if (file === undefined) return EBADF;
    this.#open.delete(fd);
    closeFile(this.#m, file.inode);
    return 0;
  }

  /**
   * Removes a name. @returns 0, ENOENT, EACCES, EINVAL, ENODEV, ENOMEM, EIO
   */
  unlink(sb: number, path: string): number {
    return hostUnlinkFile(this.#m, sb, path);
  }

  /**
   * Reads bytes.
   * @param position byte of the file
   * @returns bytes read, fewer at the end of the file; EBADF, EINVAL, EIO, ENOSPC, or ENOMEM when
   *   the process is being killed
   */
  read(fd: number, buffer: Uint8Array, position: number): number {
    const file = this.#open.get(fd);
    if (file === undefined) return EBADF;
    return this.#retry(() => fileRead(this.#m, file.inode, buffer, position, file.ra));
  }

  /**
   * Writes bytes; the file grows if need be.
   * @returns bytes written; EBADF, EINVAL, EIO, ENOSPC, EINTR, ENOMEM
   */
  write(fd: number, buffer: Uint8Array, position: number): number {
    const file = this.#open.get(fd);
    if (file === undefined) return EBADF;
    return this.#retry(() => fileWrite(this.#m, file.inode, buffer, position));
  }

  /** @returns bytes of the file, or EBADF */
  size(fd: number): number {
    const file = this.#open.get(fd);
    return file === undefined ? EBADF : fileSize(this.#m, file.inode);
  }

  /** Sets the size of the file. @returns 0, EBADF, EINVAL, ENOSPC, EIO */
  truncate(fd: number, size: number): number {
    const file = this.#open.get(fd);
    return file === undefined ? EBADF : fileTruncate(this.#m, file.inode, size);
  }

  /**
   * Waits until the host's disk has what was written.
   * @returns 0; EIO when a write has failed since this file last said so: it will be tried again
   */
  fsync(fd: number): number {
    const file = this.#open.get(fd);
    if (file === undefined) return EBADF;
    const result = fileFsync(this.#m, file.inode, file.errors);
    file.errors = fileSynced.errors;
    return result;
  }

  /**
   * Maps pages of a file; `load`, `store` and `replay` of the process touch them. The mapping keeps
   * the file when it is closed.
   * @param start first virtual page number @param pages length, at least 1
   * @returns false when it overlaps a mapping, or the file is not open
   */
  mmap(fd: number, start: number, pages: number, options: HostMapOptions = {}): boolean {
    const file = this.#open.get(fd);
    if (file === undefined) return false;
    const flags =
      VM_READ |
      (options.write === false ? 0 : VM_WRITE) |
      (options.exec === true ? VM_EXEC : 0) |
      (options.private === true ? 0 : VM_SHARED) |
      (options.advice === 'sequential' ? VM_SEQ_READ : 0) |
      (options.advice === 'random' ? VM_RAND_READ : 0);
    const { pgoff = 0 } = options;
    return mmapFile(this.#m, this.#mm, start, start + pages, file.inode, pgoff, flags) !== 0;
  }

  /** Closes all that is open. @context the program has ended */
  closeAll(): void {
    for (const { inode } of this.#open.values()) closeFile(this.#m, inode);
    this.#open.clear();
  }

  /** Tries until there is memory, or the process is the OOM killer's victim. */
  #retry(access: () => number): number {
    for (;;) {
      const result = access();
      if (result !== ENOMEM || fatalSignalPending(this.#m)) return result;
    }
  }
}
