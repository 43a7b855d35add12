// SPDX-License-Identifier: GPL-2.0-only
/**
 * Files of a generator program: `proc.files`. Calls and failures are Linux's (src/mm/errno.ts).
 *
 *   const { files } = proc;
 *   const sb = files.mount('/tmp/dir');            // or 1, where the machine mounts at boot
 *   const fd = files.open(sb, 'log', O_RDWR | O_CREAT);
 *   files.write(fd, bytes);
 *   files.fsync(fd);
 *
 * Descriptors belong to the process. A child that is forked has them all, with their positions; one
 * that is spawned has none, as if all were close-on-exec; the end of the last thread closes them.
 *
 * No call yields: who reads or writes the host waits with its CPU, as in a fault, and so does who
 * is throttled for having dirtied too much. So a call is over when another process of the CPU runs,
 * and a process that is killed meanwhile ends in its next call, or in the one that its end makes
 * fail: what a call fails with because its process is killed is no result that a program sees.
 */

import { RWSEM_WORDS, rwsemDownWrite, rwsemUpWrite } from '../shared/rwsem.ts';
import { EBADF, EINVAL, ENOMEM } from '../src/mm/errno.ts';
import {
  fdCancel,
  fdClose,
  fdGet,
  fdInstall,
  fdPut,
  fdReserve,
  hostInode,
  loadFileRa,
  storeFileRa,
} from '../src/mm/fdtable.ts';
import * as F from '../src/mm/fdtable_types.ts';
import { newFileRa } from '../src/mm/file_ra.ts';
import { fileGot } from '../src/mm/filemap.ts';
import {
  AT_END,
  fileFsync,
  fileRead,
  fileSize,
  fileSynced,
  fileTruncate,
  fileWrite,
  fileWrote,
} from '../src/mm/filemap_io.ts';
import { TMPFS } from '../src/mm/fs_types.ts';
import { hostMount, hostOpenFile, hostReadDir, hostUnlinkFile } from '../src/mm/hostfs.ts';
import { LC_F_POS } from '../src/mm/lock_order.ts';
import type { Mm } from '../src/mm/mm.ts';
import { closeFile, openFile, unlink } from '../src/mm/namei.ts';
import { mount, umount } from '../src/mm/super.ts';

/** Where `seek` counts from, as the kernel numbers them. */
export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;

/** The task that calls. */
export interface Caller {
  /** The top of a system call. @throws TaskEnd when the task is to end */
  enter(): void;
  /** The end of one. @returns its result @throws TaskEnd when it failed, and the task is to end */
  leave<T>(result: T): T;
  /** No page could be had: others of this CPU go first. @throws TaskEnd as `enter` */
  giveWay(): void;
}

/** This thread's copy of what an open file has read ahead. */
const ra = newFileRa();

/** Files of one task. @context the CPU of the task, while it runs; every call may block */
export class ProcFiles {
  readonly #m: Mm;
  readonly #mm: number;
  readonly #caller: Caller;
  /** Pages that the last read or write did not find in the cache. */
  misses = 0;

  constructor(m: Mm, mm: number, caller: Caller) {
    this.#m = m;
    this.#mm = mm;
    this.#caller = caller;
  }

  /**
   * Mounts a directory of the host: only the machine may change it from now on. Those of
   * `hostFiles` are mounts 1, 2, ... already.
   * @returns the mount; ENODEV when the machine was booted without `hostFiles`, EBUSY when the
   *   directory, or one above or below it, is mounted, ENOENT, ENOSPC, ENOMEM, EINVAL
   */
  mount(dir: string, name = 'host'): number {
    this.#caller.enter();
    return this.#caller.leave(hostMount(this.#m, dir, name));
  }

  /** Mounts a tmpfs, whose names are numbers. @returns the mount, ENOSPC, ENOMEM, EBUSY */
  mountTmpfs(name: string): number {
    this.#caller.enter();
    return this.#caller.leave(mount(this.#m, TMPFS, name));
  }

  /** Takes a mount away; what is dirty is written first. @returns 0, EBUSY, ENODEV */
  umount(sb: number): number {
    this.#caller.enter();
    return this.#caller.leave(umount(this.#m, sb));
  }

  /**
   * Opens a file.
   * @param path below the mounted directory; on a tmpfs a number, 1 .. 2^31-1
   * @param flags O_RDONLY, O_WRONLY or O_RDWR, and O_CREAT, O_EXCL, O_TRUNC, O_APPEND
   * @returns the lowest free descriptor, from 3 on; EMFILE, ENFILE, ENOENT, EEXIST, EACCES, EISDIR,
   *   EINVAL, ENODEV, ENOMEM, ENOSPC, EIO
   */
  open(sb: number, path: string | number, flags = F.O_RDONLY): number {
    this.#caller.enter();
    if ((flags & F.O_ACCMODE) === F.O_ACCMODE) return EINVAL;
    return this.#caller.leave(this.#open(sb, path, flags));
  }

  #open(sb: number, path: string | number, flags: number): number {
    const fd = fdReserve(this.#m, this.#mm);
    if (fd < 0) return fd;
    const inode = this.#openInode(sb, path, flags);
    if (inode < 0) {
      fdCancel(this.#m, this.#mm, fd);
      return inode;
    }
    const result = fdInstall(this.#m, this.#mm, fd, inode, flags);
    if (result < 0) closeFile(this.#m, inode);
    return result;
  }

  /** @returns a file with a reference, cut if asked for; or an errno */
  #openInode(sb: number, path: string | number, flags: number): number {
    const m = this.#m;
    const create = (flags & F.O_CREAT) !== 0;
    if (typeof path === 'number') return openFile(m, sb, path, create);
    const inode = hostOpenFile(m, sb, path, create, (flags & F.O_EXCL) !== 0);
    const cut = (flags & F.O_TRUNC) !== 0 && (flags & F.O_ACCMODE) !== F.O_RDONLY;
    if (inode < 0 || !cut) return inode;
    const error = fileTruncate(m, inode, 0);
    if (error < 0) closeFile(m, inode);
    return error < 0 ? error : inode;
  }

  /** Closes a file. @returns 0, EBADF */
  close(fd: number): number {
    this.#caller.enter();
    return fdClose(this.#m, this.#mm, fd);
  }

  /** Removes a name. @returns 0, ENOENT, EACCES, EINVAL, ENODEV, ENOMEM, EIO */
  unlink(sb: number, path: string | number): number {
    this.#caller.enter();
    const tmpfs = typeof path === 'number';
    const result = tmpfs ? unlink(this.#m, sb, path) : hostUnlinkFile(this.#m, sb, path);
    return this.#caller.leave(result);
  }

  /**
   * Lists a directory of the host.
   * @param path '' for the mounted one
   * @returns names in order, those of directories with a '/' behind; ENOENT, EINVAL, ENODEV, EIO
   */
  readdir(sb: number, path = ''): string[] | number {
    this.#caller.enter();
    return this.#caller.leave(hostReadDir(this.#m, sb, path));
  }

  /**
   * Reads bytes from the file's position on, which moves behind them.
   * @returns bytes read, fewer at the end of the file; EBADF, EINVAL for a file of tmpfs, EIO,
   *   ENOSPC
   */
  read(fd: number, buffer: Uint8Array): number {
    return this.#transfer(fd, buffer, null, false);
  }

  /** Reads bytes. @param position byte of the file @returns as `read` */
  pread(fd: number, buffer: Uint8Array, position: number): number {
    return this.#transfer(fd, buffer, position, false);
  }

  /**
   * Writes bytes at the file's position, or at its end with O_APPEND; the file grows if need be.
   * @returns bytes written; EBADF, EINVAL, EIO, ENOSPC
   */
  write(fd: number, buffer: Uint8Array): number {
    return this.#transfer(fd, buffer, null, true);
  }

  /** Writes bytes. @param position byte of the file; with O_APPEND its end @returns as `write` */
  pwrite(fd: number, buffer: Uint8Array, position: number): number {
    return this.#transfer(fd, buffer, position, true);
  }

  /** Moves the position. @returns it, from the start; EBADF, EINVAL */
  seek(fd: number, offset: number, whence = SEEK_SET): number {
    return this.#withHost(fd, (row, inode) => {
      if (!Number.isInteger(offset)) return EINVAL;
      this.#lockPosition(row);
      const { position } = this.#m.openFile;
      let to = offset;
      if (whence === SEEK_CUR) to += position[row] as number;
      else if (whence === SEEK_END) to += fileSize(this.#m, inode);
      const good = to >= 0 && whence >= SEEK_SET && whence <= SEEK_END;
      if (good) position[row] = to;
      this.#unlockPosition(row);
      return good ? to : EINVAL;
    });
  }

  /** @returns bytes of the file; EBADF, EINVAL */
  size(fd: number): number {
    return this.#withHost(fd, (_row, inode) => fileSize(this.#m, inode));
  }

  /** Sets the size of a file. @returns 0; EBADF, EINVAL, also when not open for writing, EIO */
  ftruncate(fd: number, size: number): number {
    return this.#withHost(fd, (row, inode) => {
      return this.#may(row, F.O_WRONLY) ? fileTruncate(this.#m, inode, size) : EINVAL;
    });
  }

  /**
   * Waits until the host's disk has what was written.
   * @returns 0; EIO when a write has failed since this open file last said so: it is tried again
   */
  fsync(fd: number): number {
    return this.#withHost(fd, (row, inode) => {
      const { errors } = this.#m.openFile;
      const result = fileFsync(this.#m, inode, Atomics.load(errors, row));
      Atomics.store(errors, row, fileSynced.errors);
      return result;
    });
  }

  /** Calls with an open file of the host, held. */
  #withHost(fd: number, call: (row: number, inode: number) => number): number {
    this.#caller.enter();
    const row = fdGet(this.#m, this.#mm, fd);
    if (row < 0) return row;
    try {
      const inode = this.#m.openFile.inode[row] as number;
      return hostInode(this.#m, inode) ? this.#caller.leave(call(row, inode)) : EINVAL;
    } finally {
      fdPut(this.#m, row);
    }
  }

  /** @param access O_RDONLY or O_WRONLY @returns whether the file is open for it */
  #may(row: number, access: number): boolean {
    const mode = (this.#m.openFile.flags[row] as number) & F.O_ACCMODE;
    return mode === access || mode === F.O_RDWR;
  }

  /** @param position null for the file's own */
  #transfer(fd: number, buffer: Uint8Array, position: number | null, write: boolean): number {
    return this.#withHost(fd, (row, inode) => {
      if (!this.#may(row, write ? F.O_WRONLY : F.O_RDONLY)) return EBADF;
      this.misses = 0;
      const append = write && ((this.#m.openFile.flags[row] as number) & F.O_APPEND) !== 0;
      for (let done = 0; ; ) {
        const rest = done === 0 ? buffer : buffer.subarray(done);
        let got: number;
        if (position === null) got = this.#atPosition(row, inode, rest, append, write);
        else got = this.#once(row, inode, rest, append ? AT_END : position + done, write);
        if (got === ENOMEM) {
          this.#caller.giveWay();
          continue;
        }
        if (this.#caller.leave(got) < 0) return done > 0 ? done : got;
        done += got;
        // Short for want of memory: on it goes; at the end of the file the next one says 0.
        if (got === 0 || done === buffer.length) return done;
      }
    });
  }

  #once(row: number, inode: number, bytes: Uint8Array, at: number, write: boolean): number {
    const m = this.#m;
    const before = fileGot.misses;
    let got: number;
    if (write) got = fileWrite(m, inode, bytes, at);
    else {
      loadFileRa(m, row, ra);
      got = fileRead(m, inode, bytes, at, ra);
      storeFileRa(m, row, ra);
    }
    this.misses += fileGot.misses - before;
    return got;
  }

  #atPosition(row: number, inode: number, bytes: Uint8Array, append: boolean, write: boolean) {
    const { position } = this.#m.openFile;
    this.#lockPosition(row);
    const at = append ? AT_END : (position[row] as number);
    const got = this.#once(row, inode, bytes, at, write);
    if (got > 0) position[row] = append ? fileWrote.end : at + got;
    this.#unlockPosition(row);
    return got;
  }

  #lockPosition(row: number): void {
    rwsemDownWrite(this.#m.filePosLock, row * RWSEM_WORDS, LC_F_POS);
  }

  #unlockPosition(row: number): void {
    rwsemUpWrite(this.#m.filePosLock, row * RWSEM_WORDS, LC_F_POS);
  }
}
