// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a program may do with its address space beside mapping and accessing it; and a child that
 * runs a function on this CPU, in a copy-on-write copy, to its end.
 *
 * What a CPU stored last is private to it, so a call that changes what pages hold is to be made
 * when no other CPU of the process counts on them.
 */
import { ENOMEM } from '../src/mm/errno.ts';
import { exitMm } from '../src/mm/exit_mm.ts';
import { oomVictim } from '../src/mm/fatal_signal.ts';
import { dupMm } from '../src/mm/fork.ts';
import { MADV_DONTNEED, MADV_FREE, madvise } from '../src/mm/madvise.ts';
import { mlock, munlock } from '../src/mm/mlock.ts';
import type { Mm } from '../src/mm/mm.ts';
import { allocMm } from '../src/mm/mm_rows.ts';
import { VM_READ, VM_WRITE } from '../src/mm/mm_types.ts';
import { mprotect } from '../src/mm/mprotect.ts';
import { mremap } from '../src/mm/mremap.ts';
import { munmap } from '../src/mm/munmap.ts';
import { switchMm } from '../src/mm/tlb.ts';
import { KIND_READ, KIND_WRITE, RUN_SIGSEGV, UserContext } from '../src/mm/user.ts';
import { verifyPages } from '../src/mm/verify.ts';

/** A child's accesses: to regions that its parent had touched. */
export class ChildMemory {
  readonly #contexts: readonly UserContext[];
  readonly #one = new Uint32Array(1);

  constructor(contexts: readonly UserContext[]) {
    this.#contexts = contexts;
  }

  /** Reads one page, and checks it. @returns RUN_* */
  load(vpn: number): number {
    return this.#access(vpn, KIND_READ);
  }

  /** Stores to one page. @returns RUN_* */
  store(vpn: number): number {
    return this.#access(vpn, KIND_WRITE);
  }

  #access(vpn: number, kind: number): number {
    for (const user of this.#contexts) {
      const slot = user.slotOf(vpn);
      if (slot < 0) continue;
      this.#one[0] = (slot << 2) | kind;
      return user.run(this.#one, 0, 1, 1, () => undefined);
    }
    return RUN_SIGSEGV;
  }
}

/** One per CPU that runs a process. @context the CPU's own thread */
export class ProcessMemory {
  /** Pages of children that did not hold what they should. */
  mismatches = 0;
  firstMismatch: string | null = null;

  readonly #m: Mm;
  readonly #mm: number;
  readonly #contexts: readonly UserContext[];
  readonly #contextOf: (vpn: number) => UserContext;
  readonly #shouldStop: () => boolean;

  /**
   * @param contexts those of this CPU, of which there will be more
   * @param contextOf the one that has a page, made if need be
   */
  constructor(
    m: Mm,
    mm: number,
    contexts: readonly UserContext[],
    contextOf: (vpn: number) => UserContext,
    shouldStop: () => boolean,
  ) {
    this.#m = m;
    this.#mm = mm;
    this.#contexts = contexts;
    this.#contextOf = contextOf;
    this.#shouldStop = shouldStop;
  }

  /** Unmaps a range. @returns 0, -EINVAL, -ENOMEM */
  munmap(start: number, pages: number): number {
    const error = munmap(this.#m, this.#mm, start, start + pages);
    if (error === 0) this.#forget(start, pages, false);
    return error;
  }

  /** Allows or forbids stores. @returns 0, -EINVAL, -ENOMEM */
  mprotect(start: number, pages: number, writable: boolean): number {
    const prot = writable ? VM_READ | VM_WRITE : VM_READ;
    return mprotect(this.#m, this.#mm, start, start + pages, prot);
  }

  /** @param advice MADV_*, numbered as Linux's @returns 0, -EINVAL, -ENOMEM */
  madvise(start: number, pages: number, advice: number): number {
    const error = madvise(this.#m, this.#mm, start, start + pages, advice);
    const frees = advice === MADV_DONTNEED || advice === MADV_FREE;
    if (frees && error !== 0) this.#forget(start, pages, true);
    else if (frees) this.#forget(start, pages, advice === MADV_FREE);
    return error;
  }

  /** Brings a range in and keeps it. @returns 0, -EINVAL, -ENOMEM */
  mlock(start: number, pages: number): number {
    return mlock(this.#m, this.#mm, start, start + pages);
  }

  /** Lets it go. @returns 0, -EINVAL, -ENOMEM */
  munlock(start: number, pages: number): number {
    return munlock(this.#m, this.#mm, start, start + pages);
  }

  /** Grows, shrinks or moves a mapping. @returns 0, -EINVAL, -EFAULT, -ENOMEM */
  mremap(start: number, pages: number, newPages: number, newStart: number | null = null): number {
    const error = mremap(this.#m, this.#mm, start, pages, newPages, newStart);
    if (error !== 0) return error;
    const kept = Math.min(pages, newPages);
    if (kept < pages) this.#forget(start + kept, pages - kept, false);
    if (newStart !== null) this.#moved(start, newStart, kept);
    return 0;
  }

  /** What was expected of the pages is expected of them where they are now. */
  #moved(start: number, newStart: number, pages: number): void {
    const expected: number[] = [];
    for (let i = 0; i < pages; i++) {
      const known = this.#contexts.find((user) => user.slotOf(start + i) >= 0);
      // Nobody has touched it: nothing was stored.
      expected.push(known?.expected(start + i) ?? 0);
    }
    this.#forget(start, pages, false);
    expected.forEach((seq, i) => {
      this.#contextOf(newStart + i).expect(newStart + i, seq);
    });
  }

  /**
   * Runs `body` in a copy of the address space, on this CPU, and ends the copy: its pages are read
   * back first. The process goes on afterwards.
   * @param body gets the child's memory, returns RUN_*
   * @returns what `body` did, or -ENOMEM when no child could be made
   */
  fork(body: (child: ChildMemory) => number): number {
    const m = this.#m;
    const child = allocMm(m);
    if (child === 0) return ENOMEM;
    let result = dupMm(m, this.#mm, child);
    if (result === 0) {
      switchMm(m, child);
      const contexts = this.#contexts.map((parent) => this.#inherit(child, parent));
      result = body(new ChildMemory(contexts));
      for (const user of contexts) this.#verify(user);
    }
    exitMm(m, child);
    switchMm(m, this.#mm);
    return result;
  }

  #inherit(child: number, parent: UserContext): UserContext {
    const user = new UserContext(this.#m, child, parent.regions);
    user.inherit(parent);
    user.shouldStop = this.#shouldStop;
    return user;
  }

  #verify(user: UserContext): void {
    const read = verifyPages(this.#m, user, true);
    this.mismatches += user.mismatches;
    this.firstMismatch ??= user.firstMismatch;
    // The OOM reaper may have taken what is missing.
    if (oomVictim(this.#m, user.mm)) return;
    this.mismatches += read.mismatches;
    this.firstMismatch ??= read.first;
  }

  #forget(start: number, pages: number, lazy: boolean): void {
    for (const user of this.#contexts) user.forget(start, start + pages, lazy);
  }
}
