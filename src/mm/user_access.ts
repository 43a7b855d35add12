// SPDX-License-Identifier: GPL-2.0-only
/**
 * Accesses of a simulated process: loads and stores of 1 to 8 bytes anywhere, and touches of whole
 * ranges of pages, each checked against what the task stored last (stamp.ts).
 *
 * One access is one section of the CPU (tlb.ts): translate, mark young and dirty, touch the bytes,
 * leave. An access that crosses into the next page translates both before it touches either, so
 * that a store is made whole or, when the second page faults, not yet. Memory that was never
 * stored to reads as zero; `touch` fills it instead, so that it compresses as memory does.
 *
 * Leaf tables live as long as their address space: the few that were used last are remembered.
 */
import { assert } from '../../shared/assert.ts';
import { faultDelay, faultStall } from '../../shared/fault.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { condResched, kthreadShouldStop } from '../../shared/sched.ts';
import { markEntry, NEED_READ, NEED_WRITE } from './access_kernel.ts';
import { FAULT_DELAY, FAULT_STALL } from './faults.ts';
import { recordLatency } from './latency.ts';
import { PAGE_SIZE, PAGE_WORDS, PTRS_PER_TABLE, VPN_MAX } from './limits.ts';
import {
  FAULT_DONE,
  FAULT_FLAG_FILL,
  FAULT_FLAG_FILL_ONE,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_SIGBUS,
  FAULT_SIGSEGV,
  handleMmFault,
} from './memory.ts';
import { FRAME_BUFFER_PAGES, HIST_FAULT, HIST_MAJOR_FAULT, type Mm } from './mm.ts';
import { MMF_SIGBUS, PTE_SHIFT, PTE_SPECIAL } from './mm_types.ts';
import { PTE_NONE, pteOffset } from './pgtable.ts';
import { stampHolds, stampOf, stampTable, writeStamp } from './stamp.ts';
import { taskKilled } from './task_rows.ts';
import { sectionEnter, sectionLeave } from './tlb.ts';
import { RUN_DONE, RUN_KILLED, RUN_SIGBUS, RUN_SIGSEGV, RUN_STOPPED } from './user.ts';

/** Remembered leaf tables: a power of two. */
const CACHED_TABLES = 16;
/** Remembered stamp tables, which a task of a large heap has many of. */
const CACHED_STAMPS = 64;
/** Accesses between two looks at what others want of this thread. */
const RESCHED_ACCESSES = 64;
/** Most bytes of an access. */
const ACCESS_BYTES_MAX = 8;

/**
 * The accesses of one task. Methods return RUN_*: done, or why the task is to end.
 * @context the CPU of the task while it runs, outside a section; may block in faults
 */
export class UserAccess {
  /** What the last `load` read, 8 bytes at most: the low and the high 32 bits. */
  low = 0;
  high = 0;
  /**
   * Called where no page can be had, outside all locks: others of this CPU that are to end may be
   * in the way, since they cannot until this task has yielded.
   */
  giveWay: () => void = () => {};
  /** Accesses made. */
  accesses = 0;
  /** Pages that did not hold what was stored, and a description of the first. */
  mismatches = 0;
  firstMismatch: string | null = null;

  readonly #m: Mm;
  readonly #row: number;
  readonly #mm: number;
  readonly #regions = new Float64Array(CACHED_TABLES).fill(-1);
  readonly #tables = new Int32Array(CACHED_TABLES);
  readonly #stampRegions = new Float64Array(CACHED_STAMPS).fill(-1);
  readonly #stampTables = new Int32Array(CACHED_STAMPS);
  #stores = 0;
  #resched = 0;

  /** @param row the task, which has an address space */
  constructor(m: Mm, row: number) {
    this.#m = m;
    this.#row = row;
    this.#mm = Atomics.load(m.sched.task.mm, row);
  }

  /**
   * Loads bytes, little endian, into `low` and `high`.
   * @param va address in bytes, below 2^48 @param size 1 .. 8
   * @returns RUN_*; RUN_SIGSEGV outside the address space
   */
  load(va: number, size: number): number {
    const vpn = vpnOf(va, size);
    if (vpn < 0) return RUN_SIGSEGV;
    const at = va % PAGE_SIZE;
    const inFirst = Math.min(size, PAGE_SIZE - at);
    for (;;) {
      const fault = this.#faultingPage(vpn, inFirst < size, NEED_READ);
      if (fault < 0) {
        this.low = 0;
        this.high = 0;
        this.#loadBytes(this.#pfn, at, 0, inFirst);
        if (inFirst < size) this.#loadBytes(this.#nextPfn, 0, inFirst, size);
        sectionLeave(this.#m);
        return this.#done();
      }
      const result = this.#fault(fault, 0);
      if (result !== RUN_DONE) return result;
    }
  }

  /**
   * Stores bytes, little endian.
   * @param low the first 4 bytes @param high the others @param va @param size as `load`
   * @returns as `load`
   */
  store(va: number, size: number, low: number, high: number): number {
    const vpn = vpnOf(va, size);
    if (vpn < 0) return RUN_SIGSEGV;
    const at = va % PAGE_SIZE;
    const inFirst = Math.min(size, PAGE_SIZE - at);
    for (;;) {
      const fault = this.#faultingPage(vpn, inFirst < size, NEED_WRITE);
      if (fault < 0) {
        this.#storeBytes(this.#pfn, at, 0, inFirst, low, high);
        if (inFirst < size) this.#storeBytes(this.#nextPfn, 0, inFirst, size, low, high);
        sectionLeave(this.#m);
        return this.#done();
      }
      const result = this.#fault(fault, FAULT_FLAG_WRITE);
      if (result !== RUN_DONE) return result;
    }
  }

  /**
   * Reads or writes each page of a range once, stamps included.
   * @param start first vpn @param pages at least 1
   * @returns RUN_*
   */
  touch(start: number, pages: number, write: boolean): number {
    const end = start + pages;
    if (!(start >= 0 && pages >= 1 && end <= VPN_MAX)) return RUN_SIGSEGV;
    for (let vpn = start; vpn < end; ) {
      const to = Math.min(end, vpn - (vpn % PTRS_PER_TABLE) + PTRS_PER_TABLE);
      const result = this.#touchRegion(vpn, to, write);
      if (result !== RUN_DONE) return result;
      vpn = to;
    }
    return RUN_DONE;
  }

  /** As `stampTable`: a table is the task's from its making to the end of the task. */
  #stampTable(region: number): number {
    const way = region % CACHED_STAMPS;
    if (this.#stampRegions[way] === region) return this.#stampTables[way] as number;
    const table = stampTable(this.#m, this.#row, region);
    if (table >= 0) {
      this.#stampRegions[way] = region;
      this.#stampTables[way] = table;
    }
    return table;
  }

  /** `touch` of pages of one leaf table. */
  #touchRegion(start: number, end: number, write: boolean): number {
    const m = this.#m;
    const { contents } = m.config;
    const region = Math.floor(start / PTRS_PER_TABLE);
    const stamps = contents ? this.#stampTable(region) : -1;
    const need = write ? NEED_WRITE : NEED_READ;
    for (let vpn = start; vpn < end; ) {
      const from = vpn;
      sectionEnter(m);
      for (; vpn < end; vpn++) {
        const pfn = this.#translate(vpn, need);
        if (pfn < 0) break;
        faultDelay(FAULT_DELAY);
        if (stamps >= 0) this.#stamp(pfn, vpn, stamps + (vpn % PTRS_PER_TABLE), write);
      }
      sectionLeave(m);
      this.accesses += vpn - from;
      let result = this.#look();
      if (result === RUN_DONE && vpn < end) result = this.#fault(vpn, this.#touchFlags(vpn, write));
      if (result !== RUN_DONE) return result;
    }
    return RUN_DONE;
  }

  /** Writes or compares the stamp of one page. @context in a section */
  #stamp(pfn: number, vpn: number, at: number, write: boolean): void {
    // A file's page is everybody's: nobody's stamp would stand in it.
    if ((this.#m.page.mapping[pfn] as number) < 0) return;
    const { stampValue, task } = this.#m.sched;
    const frame = this.#m.frame32[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Int32Array;
    const first = (pfn % FRAME_BUFFER_PAGES) * PAGE_WORDS;
    const slot = task.stampSlot[this.#row] as number;
    if (write) {
      const value = stampOf(Atomics.load(task.pid, this.#row), ++this.#stores);
      writeStamp(frame, first, slot, value);
      stampValue[at] = value;
      return;
    }
    const expected = stampValue[at] as number;
    if (expected !== 0 && !stampHolds(frame, first, slot, expected)) this.noteMismatch(vpn, 'load');
  }

  /** Records a page that does not hold what was stored. */
  noteMismatch(vpn: number, when: string): void {
    const { task } = this.#m.sched;
    this.mismatches++;
    this.firstMismatch ??=
      `cpu${this.#m.task.cpu} pid ${Atomics.load(task.pid, this.#row)} vpn ${vpn}: ` +
      `does not hold what was stored (${when})`;
  }

  /** First touch fills, read or write. */
  #touchFlags(vpn: number, write: boolean): number {
    const index = pteOffset(this.#m, this.#mm, vpn);
    const entry = index === PTE_NONE ? 0 : Atomics.load(this.#m.pte, index);
    const first = entry === 0 || (entry & PTE_SPECIAL) !== 0;
    // Pages around it, that a large folio brings along, read as zero.
    const fill = first ? FAULT_FLAG_FILL | FAULT_FLAG_FILL_ONE : 0;
    return write ? fill | FAULT_FLAG_WRITE : fill;
  }

  #pfn = 0;
  #nextPfn = 0;

  /**
   * Translates a page, and the next if the access goes on there, into `#pfn` and `#nextPfn`.
   * @returns -1 within a section; or the page that faults, the section left
   */
  #faultingPage(vpn: number, crosses: boolean, need: number): number {
    const m = this.#m;
    sectionEnter(m);
    this.#pfn = this.#translate(vpn, need);
    this.#nextPfn = crosses && this.#pfn >= 0 ? this.#translate(vpn + 1, need) : 0;
    faultDelay(FAULT_DELAY);
    if (this.#pfn >= 0 && this.#nextPfn >= 0) return -1;
    sectionLeave(m);
    return this.#pfn < 0 ? vpn : vpn + 1;
  }

  /** @returns the frame, its entry marked, or -1 for a fault @context in a section */
  #translate(vpn: number, need: number): number {
    const m = this.#m;
    const region = Math.floor(vpn / PTRS_PER_TABLE);
    const way = region % CACHED_TABLES;
    if (this.#regions[way] !== region) {
      const table = pteOffset(m, this.#mm, region * PTRS_PER_TABLE);
      if (table === PTE_NONE) return -1;
      this.#tables[way] = table;
      this.#regions[way] = region;
    }
    const index = (this.#tables[way] as number) + (vpn % PTRS_PER_TABLE);
    const entry = Atomics.load(m.pte, index);
    if ((entry & need) !== need && !markEntry(m, index, entry, need)) return -1;
    return entry >>> PTE_SHIFT;
  }

  /** Bytes `from` to `to - 1` of the value, from a frame. @context in a section */
  #loadBytes(pfn: number, at: number, from: number, to: number): void {
    if (!this.#m.config.contents) return;
    const frame = this.#m.frame8[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Uint8Array;
    const base = (pfn % FRAME_BUFFER_PAGES) * PAGE_SIZE + at - from;
    for (let i = from; i < to; i++) {
      const byte = frame[base + i] as number;
      if (i < 4) this.low = (this.low | (byte << (8 * i))) >>> 0;
      else this.high = (this.high | (byte << (8 * (i - 4)))) >>> 0;
    }
  }

  /** Bytes `from` to `to - 1` of the value, to a frame. @context in a section */
  #storeBytes(pfn: number, at: number, from: number, to: number, low: number, high: number): void {
    if (!this.#m.config.contents) return;
    const frame = this.#m.frame8[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Uint8Array;
    const base = (pfn % FRAME_BUFFER_PAGES) * PAGE_SIZE + at - from;
    for (let i = from; i < to; i++) {
      frame[base + i] = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
    }
  }

  /** Handles a fault. @returns RUN_DONE to try again */
  #fault(vpn: number, flags: number): number {
    const m = this.#m;
    const began = ktimeNs();
    const result = handleMmFault(m, this.#mm, vpn, flags);
    const kind = result === FAULT_MAJOR ? HIST_MAJOR_FAULT : HIST_FAULT;
    recordLatency(m, kind, ktimeNs() - began);
    if (result === FAULT_SIGSEGV) return taskKilled(m, this.#row) ? RUN_KILLED : RUN_SIGSEGV;
    if (result === FAULT_SIGBUS) {
      // Threads of the same address space end too.
      Atomics.or(m.mm.flags, this.#mm, MMF_SIGBUS);
      return RUN_SIGBUS;
    }
    if (result !== FAULT_DONE && result !== FAULT_MAJOR) {
      // No page could be had: again, until there is one, or the task is to end.
      condResched();
      this.giveWay();
    }
    return this.fatal();
  }

  #done(): number {
    this.accesses++;
    if (++this.#resched < RESCHED_ACCESSES) return RUN_DONE;
    this.#resched = 0;
    return this.#look();
  }

  /** A point of a long run of accesses where others are heard. @returns RUN_* */
  #look(): number {
    condResched();
    faultStall(FAULT_STALL);
    return this.fatal();
  }

  /** RUN_DONE while the task may go on; else why it is to end. */
  fatal(): number {
    if (taskKilled(this.#m, this.#row)) return RUN_KILLED;
    return kthreadShouldStop() ? RUN_STOPPED : RUN_DONE;
  }
}

/** @returns the first page of an access, or -1 when it lies outside the address space */
function vpnOf(va: number, size: number): number {
  const whole = Number.isInteger(size) && size >= 1 && size <= ACCESS_BYTES_MAX;
  assert(whole, `an access has 1 to ${ACCESS_BYTES_MAX} bytes`);
  if (!Number.isInteger(va) || va < 0 || va + size > VPN_MAX * PAGE_SIZE) return -1;
  return Math.floor(va / PAGE_SIZE);
}
