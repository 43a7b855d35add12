// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory as a generator program sees it: its mappings, and loads and stores. Ranges are in pages,
 * addresses of loads and stores in bytes. Failures are negative and named as Linux's
 * (src/mm/errno.ts).
 */
import { condResched } from '../shared/sched.ts';
import { EINVAL } from '../src/mm/errno.ts';
import { MADV_DONTNEED, MADV_FREE, madvise } from '../src/mm/madvise.ts';
import { mlock, munlock } from '../src/mm/mlock.ts';
import type { Mm } from '../src/mm/mm.ts';
import { rangeOk } from '../src/mm/mmap.ts';
import { mprotect } from '../src/mm/mprotect.ts';
import { mremap } from '../src/mm/mremap.ts';
import { MS_SYNC, msync } from '../src/mm/msync.ts';
import { munmap } from '../src/mm/munmap.ts';
import { forgetStamps, moveStamps } from '../src/mm/stamp.ts';
import { RUN_DONE } from '../src/mm/user.ts';
import { UserAccess } from '../src/mm/user_access.ts';
import { type Caller, ProcFiles } from './proc_files.ts';
import { type MmapOptions, mapAnon, mapFd } from './proc_mmap.ts';
import { ProcPages } from './proc_pages.ts';
import type { PageWrites } from './process_pages.ts';
import { endOf } from './task_end.ts';

/** The memory of a task. @context the CPU of the task, while it runs; every call may block */
export class ProcMemory {
  readonly access: UserAccess;
  protected readonly m: Mm;
  /** The task's row. */
  protected readonly row: number;
  /** Its address space. */
  protected readonly mm: number;
  /** Calls of this turn. */
  protected calls = 0;

  #files: ProcFiles | null = null;
  #pages: ProcPages | null = null;
  readonly #writes: PageWrites;
  readonly #caller: Caller = {
    enter: () => this.enter(),
    leave: (result) => this.leave(result),
    giveWay: () => this.#giveWay(),
  };

  /** @param row the task, which has an address space @param writes of this CPU */
  constructor(m: Mm, row: number, writes: PageWrites) {
    this.m = m;
    this.#writes = writes;
    this.row = row;
    this.mm = Atomics.load(m.sched.task.mm, row);
    this.access = new UserAccess(m, row);
  }

  /**
   * Maps anonymous memory, readable and writable; or pages of a file, which stays until it is
   * unmapped, whatever happens to the descriptor.
   * @param start first page number @param pages at least 1
   * @returns 0; EINVAL when it overlaps a mapping (unless `fixed`), or all rows are in use; EBADF;
   *   EACCES for a file that is not open for it; ENODEV for one of tmpfs
   */
  mmap(start: number, pages: number, options: MmapOptions = {}): number {
    this.enter();
    const { fd = null, fixed = false } = options;
    const { m, mm } = this;
    if (!rangeOk(start, start + pages)) return EINVAL;
    const error =
      fd === null
        ? mapAnon(m, mm, start, pages, options)
        : mapFd(m, mm, start, pages, { ...options, fd });
    // Also when it failed: what is not known is not compared.
    if (fixed) forgetStamps(m, this.row, start, pages);
    return this.leave(error);
  }

  /**
   * Writes back what was stored through shared mappings of files.
   * @param flags MS_SYNC (4), the default, MS_ASYNC (1), MS_INVALIDATE (2)
   * @returns 0, ENOMEM when some of it is not mapped, EINVAL, EBUSY, EIO, ENOSPC
   */
  msync(start: number, pages: number, flags = MS_SYNC): number {
    this.enter();
    return this.leave(msync(this.m, this.mm, start, start + pages, flags));
  }

  /** Files: of the host, and of tmpfs. */
  get files(): ProcFiles {
    this.#files ??= new ProcFiles(this.m, this.mm, this.#caller);
    return this.#files;
  }

  /** Pages of files of tmpfs. */
  get pages(): ProcPages {
    this.#pages ??= new ProcPages(this.m, this.mm, this.#caller, this.#writes);
    return this.#pages;
  }

  /** Unmaps a range; what of it is not mapped does not matter. @returns 0, EINVAL, ENOMEM */
  munmap(start: number, pages: number): number {
    this.enter();
    const error = munmap(this.m, this.mm, start, start + pages);
    if (error === 0) forgetStamps(this.m, this.row, start, pages);
    return this.leave(error);
  }

  /** Allows or forbids stores. @param prot VM_READ (1), or both with VM_WRITE (2) */
  mprotect(start: number, pages: number, prot: number): number {
    this.enter();
    return this.leave(mprotect(this.m, this.mm, start, start + pages, prot));
  }

  /** @param advice MADV_* of src/mm/madvise.ts @returns 0, EINVAL, ENOMEM */
  madvise(start: number, pages: number, advice: number): number {
    this.enter();
    const drops = advice === MADV_DONTNEED || advice === MADV_FREE;
    // Also when it fails half way: what is not known is not compared.
    if (drops && rangeOk(start, start + pages)) forgetStamps(this.m, this.row, start, pages);
    return this.leave(madvise(this.m, this.mm, start, start + pages, advice));
  }

  /**
   * Changes the size or the place of a mapping.
   * @param newStart null to stay @returns 0, EFAULT, EINVAL, ENOMEM
   */
  mremap(start: number, pages: number, newPages: number, newStart: number | null = null): number {
    this.enter();
    const error = mremap(this.m, this.mm, start, pages, newPages, newStart);
    if (error < 0) return this.leave(error);
    if (newPages < pages) forgetStamps(this.m, this.row, start + newPages, pages - newPages);
    const to = newStart ?? start;
    if (to !== start) moveStamps(this.m, this.row, start, to, Math.min(pages, newPages));
    return 0;
  }

  /** Keeps a range in memory. @returns 0, EINVAL, ENOMEM */
  mlock(start: number, pages: number): number {
    this.enter();
    return this.leave(mlock(this.m, this.mm, start, start + pages));
  }

  /** Lets a range go again. @returns 0, EINVAL, ENOMEM */
  munlock(start: number, pages: number): number {
    this.enter();
    return this.leave(munlock(this.m, this.mm, start, start + pages));
  }

  /**
   * Loads `size` bytes, little endian.
   * @param va address in bytes; the value may lie in two pages @param size 1 .. 8
   * @returns a number up to 6 bytes, a bigint from 7
   * @throws TaskEnd when the process is to end
   */
  load(va: number, size: 1 | 2 | 3 | 4 | 5 | 6): number;
  load(va: number, size: 7 | 8): bigint;
  load(va: number, size: number): number | bigint;
  load(va: number, size: number): number | bigint {
    this.calls++;
    const { access } = this;
    this.check(access.load(va, size));
    if (size <= 6) return access.low + access.high * 2 ** 32;
    return BigInt(access.low) | (BigInt(access.high) << 32n);
  }

  /**
   * Stores the low `size` bytes of a value, little endian.
   * @param value an integer of at most 53 bits, or a bigint @param va @param size as `load`
   * @throws TaskEnd as `load`; RangeError for a number that is no such integer
   */
  store(va: number, size: number, value: number | bigint): void {
    this.calls++;
    if (typeof value === 'bigint') {
      const low = Number(BigInt.asUintN(32, value));
      const high = Number(BigInt.asUintN(32, value >> 32n));
      this.check(this.access.store(va, size, low, high));
      return;
    }
    if (!Number.isSafeInteger(value)) throw new RangeError(`store: ${value} is no safe integer`);
    this.check(this.access.store(va, size, value >>> 0, Math.floor(value / 2 ** 32) >>> 0));
  }

  /**
   * Reads or writes each of so many pages once, and checks that they hold what was stored (stamps:
   * bytes 0 .. 255 and 3840 .. 4095 of such a page are theirs).
   * @param start first page number @param pages at least 1
   * @throws TaskEnd as `load`
   */
  touch(start: number, pages: number, write: boolean): void {
    this.calls++;
    this.check(this.access.touch(start, pages, write));
  }

  /** Pages of tmpfs that did not hold what was written, and the first; of the whole task. */
  wrongPages(): { mismatches: number; first: string | null } {
    const pages = this.#pages;
    return { mismatches: pages?.mismatches ?? 0, first: pages?.firstMismatch ?? null };
  }

  /** No page could be had: others go first. @throws TaskEnd when the task is to end */
  #giveWay(): void {
    condResched();
    this.access.giveWay();
    this.check(this.access.fatal());
  }

  /** The top of a system call. @throws TaskEnd when the task is to end */
  protected enter(): void {
    this.calls++;
    this.check(this.access.fatal());
  }

  /** The end of a system call. @returns its result @throws TaskEnd if it failed and is to end */
  protected leave<T>(result: T): T {
    if (typeof result === 'number' && result < 0) this.check(this.access.fatal());
    return result;
  }

  /** @param result RUN_* @throws TaskEnd unless it is RUN_DONE */
  protected check(result: number): void {
    if (result !== RUN_DONE) throw endOf(result);
  }
}
