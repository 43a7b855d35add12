// SPDX-License-Identifier: GPL-2.0-only
/**
 * Pages of files as a program reads and writes them, by inode and index. A file of a mount must be
 * open; on a machine where nobody mounts anything, any row is a file, for every process.
 *
 * Every write has a number of its own on the machine, so that what a page holds tells which write
 * it was (src/mm/shmem_io.ts has the rule).
 */
import { faultStall } from '../shared/fault.ts';
import { condResched } from '../shared/sched.ts';
import { EIO, ENOMEM } from '../src/mm/errno.ts';
import { fatalSignalPending } from '../src/mm/fatal_signal.ts';
import { FAULT_STALL } from '../src/mm/faults.ts';
import { INODES_OF_PROGRAMS, TMPFS } from '../src/mm/fs_types.ts';
import { claimInodes } from '../src/mm/inode.ts';
import { CPUS_MAX } from '../src/mm/limits.ts';
import type { Mm } from '../src/mm/mm.ts';
import { shmemTruncate } from '../src/mm/shmem.ts';
import { badPage, SEQ_MAX, shmemRead, shmemWrite } from '../src/mm/shmem_io.ts';
import { RUN_DONE, RUN_KILLED, RUN_STOPPED } from '../src/mm/user.ts';
import type { ProcessFiles } from './process_files.ts';

/** Writes of one CPU before their numbers come round. */
const WRITES = Math.floor(SEQ_MAX / CPUS_MAX);

/** Accesses between two places where a CPU may be made to stall. */
const STALL_EVERY = 64;

/** Numbers for the writes of one CPU: no other's, and unlike each other for a long time. */
export class PageWrites {
  #writes = 0;

  /** @returns 1 .. SEQ_MAX @context the CPU whose number it is */
  next(cpu: number): number {
    this.#writes = (this.#writes % (WRITES - 1)) + 1;
    return this.#writes * CPUS_MAX + cpu;
  }
}

/** One CPU's reads and writes of pages of files. @context the CPU's own thread */
export class ProcessPages {
  /** Reads that found a page which does not hold what was written to it last. */
  mismatches = 0;
  /** Description of the first one, or null. */
  firstMismatch: string | null = null;
  /** Number of the write that the last `read` found. */
  lastSeq = 0;

  readonly #m: Mm;
  readonly #files: ProcessFiles;
  readonly #shouldStop: () => boolean;
  readonly #writes = new PageWrites();
  #accesses = 0;

  constructor(m: Mm, files: ProcessFiles, shouldStop: () => boolean) {
    this.#m = m;
    this.#files = files;
    this.#shouldStop = shouldStop;
  }

  /**
   * Writes one page.
   * @param inode row of the file's inode @param index page of the file
   * @returns RUN_DONE, RUN_KILLED, RUN_STOPPED, ENOSPC when files may hold no more, EIO when swap
   *   cannot be read
   * @throws Error when it is a mount's file that is not open here, or has no pages
   */
  write(inode: number, index: number): number {
    this.#check(inode);
    const seq = this.#writes.next(this.#m.task.cpu);
    return this.#retry(() => shmemWrite(this.#m, inode, index, seq));
  }

  /**
   * Reads one page; a wrong one is counted, and the run reports it at its end.
   * @returns RUN_DONE, RUN_KILLED, RUN_STOPPED, ENOENT for a hole, EIO when swap cannot be read
   * @throws Error as write
   */
  read(inode: number, index: number): number {
    this.#check(inode);
    return this.#retry(() => {
      const seq = shmemRead(this.#m, inode, index);
      if (seq >= 0) this.lastSeq = seq;
      if (seq !== EIO || badPage.note === '') return Math.min(seq, RUN_DONE);
      this.mismatches++;
      this.firstMismatch ??= `cpu${this.#m.task.cpu} ${badPage.note}`;
      return RUN_DONE;
    });
  }

  /**
   * Removes every page of a file; others may go on using it.
   * @param inode row of the file's inode
   * @returns RUN_DONE, RUN_KILLED or RUN_STOPPED
   * @throws Error as write
   */
  truncate(inode: number): number {
    this.#check(inode);
    return this.#retry(() => {
      shmemTruncate(this.#m, inode);
      return RUN_DONE;
    });
  }

  /** An open file keeps its row; otherwise no row may ever be a mount's. */
  #check(inode: number): void {
    const { inode: inodes, super: supers } = this.#m.fs;
    if (!this.#files.isOpen(inode)) {
      if (claimInodes(this.#m, INODES_OF_PROGRAMS)) return;
      throw new Error(`file ${inode} is not open`);
    }
    if (supers.type[inodes.sb[inode] as number] === TMPFS) return;
    throw new Error(`file ${inode} is a disk's: its pages are not modelled`);
  }

  /** Tries until there is memory, the process is the OOM killer's victim, or told to stop. */
  #retry(access: () => number): number {
    for (;;) {
      const result = access();
      condResched();
      if (++this.#accesses % STALL_EVERY === 0) faultStall(FAULT_STALL);
      if (fatalSignalPending(this.#m)) return RUN_KILLED;
      if (result !== ENOMEM)
        return result === RUN_DONE && this.#shouldStop() ? RUN_STOPPED : result;
      if (this.#shouldStop()) return RUN_STOPPED;
    }
  }
}
