// SPDX-License-Identifier: GPL-2.0-only
/**
 * Pages of files of tmpfs as a generator program reads and writes them: `proc.pages`, by descriptor
 * and index. A page that does not hold what was written to it last is counted, and the run reports
 * it (src/mm/shmem_io.ts has the rule).
 */
import { EINVAL, EIO, ENOMEM } from '../src/mm/errno.ts';
import { fdGet, fdPut } from '../src/mm/fdtable.ts';
import { TMPFS } from '../src/mm/fs_types.ts';
import type { Mm } from '../src/mm/mm.ts';
import { shmemTruncate } from '../src/mm/shmem.ts';
import { badPage, shmemRead, shmemWrite } from '../src/mm/shmem_io.ts';
import type { Caller } from './proc_files.ts';
import type { PageWrites } from './process_pages.ts';

/** @context the CPU of the task, while it runs; every call may block */
export class ProcPages {
  /** Reads that found a wrong page, and a description of the first. */
  mismatches = 0;
  firstMismatch: string | null = null;
  /** Number of the write that the last `read` found. */
  lastSeq = 0;

  readonly #m: Mm;
  readonly #mm: number;
  readonly #caller: Caller;
  readonly #writes: PageWrites;

  constructor(m: Mm, mm: number, caller: Caller, writes: PageWrites) {
    this.#m = m;
    this.#mm = mm;
    this.#caller = caller;
    this.#writes = writes;
  }

  /** Writes one page. @returns 0; EBADF, EINVAL for no file of tmpfs, ENOSPC, EIO */
  write(fd: number, index: number): number {
    const seq = this.#writes.next(this.#m.task.cpu);
    return this.#call(fd, (inode) => shmemWrite(this.#m, inode, index, seq));
  }

  /** Reads one page, and checks it. @returns 0; ENOENT for a hole, EBADF, EINVAL, EIO */
  read(fd: number, index: number): number {
    return this.#call(fd, (inode) => {
      const seq = shmemRead(this.#m, inode, index);
      if (seq >= 0) this.lastSeq = seq;
      if (seq !== EIO || badPage.note === '') return Math.min(seq, 0);
      this.mismatches++;
      this.firstMismatch ??= `cpu${this.#m.task.cpu} ${badPage.note}`;
      return 0;
    });
  }

  /** Removes every page of a file. @returns 0, EBADF, EINVAL */
  truncate(fd: number): number {
    return this.#call(fd, (inode) => {
      shmemTruncate(this.#m, inode);
      return 0;
    });
  }

  #call(fd: number, access: (inode: number) => number): number {
    const m = this.#m;
    this.#caller.enter();
    const row = fdGet(m, this.#mm, fd);
    if (row < 0) return row;
    try {
      const inode = m.openFile.inode[row] as number;
      if (m.fs.super.type[m.fs.inode.sb[inode] as number] !== TMPFS) return EINVAL;
      for (;;) {
        const result = access(inode);
        if (result !== ENOMEM) return this.#caller.leave(result);
        this.#caller.giveWay();
      }
    } finally {
      fdPut(m, row);
    }
  }
}
