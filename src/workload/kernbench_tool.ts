// SPDX-License-Identifier: GPL-2.0-only
/** What a process of workload kernbench does: maps the compiler, reads, computes, writes. */
import type { Proc, ProcCall } from '../../kthreads/proc.ts';
import type { Prng } from '../../shared/prng.ts';
import { EIO, ENOMEM } from '../mm/errno.ts';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../mm/fdtable_types.ts';
import { PAGE_SIZE } from '../mm/limits.ts';
import { VM_EXEC, VM_READ } from '../mm/mm_types.ts';
import { addFigure, type Figures } from './figures.ts';
import { blockSeq, fillBlock, PATTERN_HEADER, patternWord } from './file_pattern.ts';
import { type BuildFile, type BuildShape, compilerFile } from './kernbench_files.ts';

/** What all processes know. */
export interface KernbenchShape extends BuildShape {
  readonly prefix: string;
  readonly figures: Figures;
  /** Processes at once. */
  readonly jobs: number;
  /** Pages of memory of one compiler. */
  readonly heapPages: number;
  /** Computing of a unit, in us for each page of its source. */
  readonly busyUs: number;
  /** Builds; 0 for as many as the seconds allow. */
  readonly builds: number;
  readonly seconds: number;
  /** Build that has begun, and that is done, of each unit's object, and of the program. Shared. */
  readonly begun: Int32Array;
  readonly done: Int32Array;
}

/** Where a process maps what: each in tables of its own. */
export const TEXT_VPN = 1 << 16;
export const DATA_VPN = 2 << 16;
export const HEAP_VPN = 3 << 16;
export const OUT_VPN = 4 << 16;

/** Part of the compiler's text that a process uses: one page in so many. */
const TEXT_ONE_IN = 4;
/** Pages of one read or write. */
const IO_PAGES = 4;
/** Tries to open a file, a millisecond apart: one that is cut to nothing writes. */
const OPEN_TRIES = 100;
/** Pages stored to at a stretch. */
const STRETCH = 16;
/** Pages of an object that are written through a mapping. */
const MAPPED_PAGES = 2;

const buffer = new Uint8Array(IO_PAGES * PAGE_SIZE);

/** One page of the buffer. */
function wordsAt(page: number): Int32Array {
  return new Int32Array(buffer.buffer, page * PAGE_SIZE, PAGE_SIZE / 4);
}

/** A process of the build. */
export class Tool {
  readonly proc: Proc;
  readonly shape: KernbenchShape;
  readonly #sb: number;

  constructor(proc: Proc, sb: number) {
    this.proc = proc;
    this.shape = proc.shared as KernbenchShape;
    this.#sb = sb;
  }

  count(name: string, amount: number): void {
    addFigure(this.shape.figures, this.proc.cpu, name, amount);
  }

  /**
   * Opens a file. One write that fails is not the end, nor is one allocation: a victim gives its
   * memory back when it gets a CPU.
   * @throws Error when the host goes on to refuse it, or there goes on to be no memory
   */
  *open(file: BuildFile, flags: number): ProcCall<number> {
    let fd = this.proc.files.open(this.#sb, file.name, flags);
    for (let tries = 1; (fd === EIO || fd === ENOMEM) && tries < OPEN_TRIES; tries++) {
      yield* this.proc.sleep(1);
      fd = this.proc.files.open(this.#sb, file.name, flags);
    }
    if (fd < 0) throw new Error(`kernbench: open of ${file.name}: ${fd}`);
    return fd;
  }

  /** Reads a file from its start to its end. @param seq that each page is to hold */
  *read(file: BuildFile, seq: number): ProcCall<void> {
    const { files } = this.proc;
    const fd = yield* this.open(file, O_RDONLY);
    for (let page = 0; page < file.blocks; ) {
      const pages = Math.min(IO_PAGES, file.blocks - page);
      const got = files.read(fd, buffer.subarray(0, pages * PAGE_SIZE));
      if (got !== pages * PAGE_SIZE) throw new Error(`kernbench: read of ${file.name}: ${got}`);
      for (let i = 0; i < pages; i++) {
        const found = blockSeq(wordsAt(i), file.file, page + i);
        if (found === seq) continue;
        throw new Error(`kernbench: ${file.name} page ${page + i} holds ${found}, not ${seq}`);
      }
      page += pages;
      this.count('sources', pages);
      if (this.proc.preempted) yield;
    }
    files.close(fd);
  }

  /**
   * Writes a file anew.
   * @param seq that each page is to hold @param before the first `old` pages hold this instead
   */
  *write(file: BuildFile, seq: number, old = 0, before = seq): ProcCall<void> {
    const { files } = this.proc;
    const fd = yield* this.open(file, O_WRONLY | O_CREAT | O_TRUNC);
    for (let page = 0; page < file.blocks; ) {
      const pages = Math.min(IO_PAGES, file.blocks - page);
      for (let i = 0; i < pages; i++) {
        fillBlock(wordsAt(i), file.file, page + i, page + i < old ? before : seq);
      }
      const put = files.write(fd, buffer.subarray(0, pages * PAGE_SIZE));
      if (put !== pages * PAGE_SIZE) throw new Error(`kernbench: write of ${file.name}: ${put}`);
      page += pages;
      this.count('objects', pages);
      if (this.proc.preempted) yield;
    }
    files.close(fd);
  }

  /** Writes a file anew, its first pages through a mapping. */
  *writeMapped(file: BuildFile, seq: number): ProcCall<void> {
    const { proc } = this;
    const pages = Math.min(MAPPED_PAGES, file.blocks);
    yield* this.write(file, seq, pages, seq - 1);
    const fd = yield* this.open(file, O_RDWR);
    const error = proc.mmap(OUT_VPN, pages, { fd, shared: true });
    proc.files.close(fd);
    if (error < 0) throw new Error(`kernbench: mmap of ${file.name}: ${error}`);
    for (let page = 0; page < pages; page++) {
      const va = (OUT_VPN + page) * PAGE_SIZE;
      proc.store(va + 8, 4, seq);
      for (let at = PATTERN_HEADER; at < PAGE_SIZE / 4; at++) {
        proc.store(va + 4 * at, 4, patternWord(file.file, page, seq, at));
        if (proc.preempted) yield;
      }
    }
    proc.munmap(OUT_VPN, pages);
  }

  /** Maps the compiler, as exec does: text to be run, data to be stored to, copied then. */
  *exec(prng: Prng): ProcCall<void> {
    const { proc, shape } = this;
    const file = compilerFile(shape);
    const { compilerPages, dataPages } = shape;
    const fd = yield* this.open(file, O_RDONLY);
    const prot = VM_READ | VM_EXEC;
    const text = proc.mmap(TEXT_VPN, compilerPages, { fd, prot });
    const data = proc.mmap(DATA_VPN, dataPages, { fd, pgoff: compilerPages });
    proc.files.close(fd);
    if (text < 0 || data < 0) throw new Error(`kernbench: mmap of the compiler: ${text} ${data}`);
    for (let page = prng.below(TEXT_ONE_IN); page < compilerPages; page += TEXT_ONE_IN) {
      this.#run(file, page, prng);
      if (proc.preempted) yield;
    }
    proc.touch(DATA_VPN, dataPages, true);
    yield;
  }

  /** Runs a page of the compiler's text: a word of it is what it should be. */
  #run(file: BuildFile, page: number, prng: Prng): void {
    const at = PATTERN_HEADER + prng.below(PAGE_SIZE / 4 - PATTERN_HEADER);
    const found = this.proc.load((TEXT_VPN + page) * PAGE_SIZE + 4 * at, 4) | 0;
    this.count('text', 1);
    if (found === patternWord(file.file, page, 0, at)) return;
    throw new Error(`kernbench: the compiler's page ${page} is wrong at word ${at}`);
  }

  /** Computes: stores to its memory, and for as long as it was told. */
  *compute(prng: Prng, pages: number): ProcCall<void> {
    const { proc, shape } = this;
    if (proc.mmap(HEAP_VPN, shape.heapPages) < 0) throw new Error('kernbench: no heap');
    for (let at = 0; at < shape.heapPages; at += STRETCH) {
      const stretch = Math.min(STRETCH, shape.heapPages - at);
      proc.touch(HEAP_VPN + at, stretch, true);
      this.count('heap', stretch);
      if (proc.preempted) yield;
    }
    const untilNs = proc.now() + pages * shape.busyUs * 1000;
    do {
      proc.touch(HEAP_VPN + prng.below(shape.heapPages), 1, prng.below(2) === 0);
      if (proc.preempted) yield;
    } while (proc.now() < untilNs);
  }
}
