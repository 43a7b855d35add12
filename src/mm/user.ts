// SPDX-License-Identifier: GPL-2.0-only
/**
 * A CPU that runs user code in an address space: translate, mark, load or store.
 *
 * Pages are named by slots: region x 512 + page within it, where a region is 512 aligned pages, one
 * leaf table. The context remembers each region's table (tables live as long as the address space,
 * as a paging-structure cache would keep them), so a hit costs one load of the entry, a test, and
 * the access itself. A window of events is translated and marked first (access_kernel.ts), then the
 * bytes of their frames are loaded or stored, in the same section and the same order.
 *
 * Sections (tlb.ts) bracket accesses: left at every fault, and every SECTION_EVENTS_MAX events.
 */

import { assert } from '../../shared/assert.ts';
import { faultDelay, faultStall } from '../../shared/fault.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { condResched } from '../../shared/sched.ts';
import {
  type AccessKernel,
  type AccessWindow,
  accessKernelOf,
  accessWindow,
  accessWindowOf,
  KIND_WRITE,
  markEntry,
  NEED_READ,
  NEED_WRITE,
} from './access_kernel.ts';
import { slotTag } from './content.ts';
import { fatalSignalPending } from './fatal_signal.ts';
import { FAULT_DELAY, FAULT_STALL } from './faults.ts';
import { recordLatency } from './latency.ts';
import { PAGE_WORDS, PTRS_PER_TABLE, SECTION_EVENTS_MAX, SLOTS_BYTES } from './limits.ts';
import {
  FAULT_DONE,
  FAULT_FLAG_FILL,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  FAULT_SIGBUS,
  FAULT_SIGSEGV,
  handleMmFault,
} from './memory.ts';
import { FRAME_BUFFER_PAGES, HIST_FAULT, HIST_MAJOR_FAULT, type Mm } from './mm.ts';
import {
  MMF_SIGBUS,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_WRITE,
} from './mm_types.ts';
import { PTE_NONE, pteAlloc, pteOffset } from './pgtable.ts';
import { sectionEnter, sectionLeave } from './tlb.ts';
import { type TouchKernel, touchKernelOf } from './touch_kernel.ts';

export { KIND_IFETCH, KIND_READ, KIND_WRITE } from './access_kernel.ts';

/** How a run of events ended. */
export const RUN_DONE = 0;
export const RUN_KILLED = 1;
export const RUN_SIGSEGV = 2;
export const RUN_STOPPED = 3;
/** Killed: a page could not be read from swap. */
export const RUN_SIGBUS = 4;

/** What a context expects of a page that it inherited: what it finds at its first access. */
export const SEQ_INHERITED = -(2 ** 31);
/** What a context expects of a page that was freed lazily: anything, until it stores to it. */
export const SEQ_ANY = -(2 ** 31) + 1;

const FRAME_BUFFER_SHIFT = 31 - Math.clz32(FRAME_BUFFER_PAGES);

/**
 * One program's accesses to one address space, each checked against what was stored before.
 * @context the thread of one CPU
 */
export class UserContext {
  readonly mm: number;
  /** Set from outside the loop to end a run early: a stop or an interrupt. */
  shouldStop: () => boolean = () => false;
  /** Loads whose slot did not hold what this CPU stored last. */
  mismatches = 0;
  /** Description of the first mismatch, or null. */
  firstMismatch: string | null = null;
  /** Events replayed. */
  eventsDone = 0;

  readonly #m: Mm;
  /** First page of each region, in vpn. */
  readonly #regions: Float64Array;
  /** Index of the first leaf entry of each region; -1 until it has a table. */
  readonly #tables: Int32Array;
  /** What this CPU stored last in each page slot; 0 for never. */
  readonly #lastSeq: Int32Array<ArrayBufferLike>;
  /** Touches for this context, if it found room for its last stores. */
  readonly #toucher: TouchKernel | null;
  #seq = 0;
  readonly #window: AccessWindow;
  readonly #kernel: AccessKernel | null;
  readonly #tlb: Int32Array;
  #sinceFlush = 0;

  /**
   * @param mm address space, of which this CPU's process is a user
   * @param regions first vpn of each region that the program will touch, multiples of 512
   * @context the CPU's own thread
   */
  constructor(m: Mm, mm: number, regions: Float64Array) {
    this.#m = m;
    this.mm = mm;
    this.#regions = regions;
    this.#tables = new Int32Array(regions.length).fill(-1);
    const slots = m.config.contents ? regions.length * 512 : 0;
    const toucher = touchKernelOf(m);
    const claimed = toucher?.claim(slots) ?? null;
    this.#toucher = claimed === null ? null : toucher;
    this.#lastSeq = claimed ?? new Int32Array(slots);
    this.#window = accessWindowOf(m);
    this.#kernel = accessKernelOf(m);
    this.#tlb = new Int32Array(m.config.tlbEntries).fill(-1);
    assert(m.task.cpu * 8 < SLOTS_BYTES, 'CPU has a slot in every page');
  }

  /** vpn of a page slot. */
  vpnOf(slot: number): number {
    return (this.#regions[slot >>> 9] as number) + (slot & 511);
  }

  /** @returns slot of a page that lies in one of the regions, else -1 */
  slotOf(vpn: number): number {
    const region = this.#regions.indexOf(vpn - (vpn % 512));
    return region < 0 ? -1 : region * 512 + (vpn % 512);
  }

  /** What this CPU stored last in a page slot; 0 for never. */
  lastSeqOf(slot: number): number {
    return this.#lastSeq[slot] as number;
  }

  /**
   * Pages of the range were unmapped or zapped: nothing is known of what comes there next but that
   * it is new. With `lazy`, they were freed lazily: they may be old or new until stored to.
   */
  forget(startVpn: number, endVpn: number, lazy = false): void {
    this.#expect(startVpn, endVpn, lazy ? SEQ_ANY : 0);
  }

  /**
   * The address space is a copy of another: its pages hold what that one's did.
   * @param parent this CPU's context of the other with the same regions, as it was at the copy;
   *   null when there was none, and what is found is taken for right
   */
  inherit(parent: UserContext | null): void {
    this.#seq = Math.imul(this.#m.mm.fillId[this.mm] as number, 1 << 20);
    if (parent === null) this.#lastSeq.fill(SEQ_INHERITED);
    else this.#lastSeq.set(parent.#lastSeq);
  }

  /** What is expected of a page; null where it is in none of the regions. */
  expected(vpn: number): number | null {
    const slot = this.slotOf(vpn);
    return slot < 0 ? null : (this.#lastSeq[slot] ?? 0);
  }

  /** mremap moved a page here: expects of it what was expected. @param seq as `expected` says */
  expect(vpn: number, seq: number): void {
    const slot = this.slotOf(vpn);
    if (slot >= 0 && this.#m.config.contents) this.#lastSeq[slot] = seq;
  }

  #expect(startVpn: number, endVpn: number, seq: number): void {
    if (!this.#m.config.contents) return;
    this.#regions.forEach((first, region) => {
      const from = Math.max(startVpn - first, 0);
      const to = Math.min(endVpn - first, PTRS_PER_TABLE);
      if (from < to) this.#lastSeq.fill(seq, region * 512 + from, region * 512 + to);
    });
  }

  /** First vpn of each region. */
  get regions(): Float64Array {
    return this.#regions;
  }

  get slots(): number {
    return this.#regions.length * 512;
  }

  /**
   * Replays events `from`, `from + stride`, ... below `to`.
   * @param events words of (slot << 2 | kind)
   * @param progress called after at most SECTION_EVENTS_MAX events with the events done
   * @returns RUN_*
   * @context outside a section; may block in faults
   */
  run(
    events: Uint32Array,
    from: number,
    to: number,
    stride: number,
    progress: (done: number) => void,
  ): number {
    const m = this.#m;
    const step = SECTION_EVENTS_MAX * stride;
    for (let at = from; at < to; at += step) {
      const count = this.#loadWindow(events, at, Math.min(to, at + step), stride);
      const result = this.#runWindow(count);
      if (result !== RUN_DONE) return result;
      progress(this.eventsDone);
      condResched();
      faultStall(FAULT_STALL);
      if (at + step >= to) break;
      if (fatalSignalPending(m)) return RUN_KILLED;
      if (this.shouldStop()) return RUN_STOPPED;
    }
    return RUN_DONE;
  }

  /** Copies events into the window. @returns how many */
  #loadWindow(events: Uint32Array, from: number, to: number, stride: number): number {
    const window = this.#window.events;
    if (stride === 1 && to - from > 1) {
      window.set(events.subarray(from, to));
      return to - from;
    }
    let count = 0;
    for (let at = from; at < to; at += stride) window[count++] = events[at] as number;
    return count;
  }

  /** Runs the window's events in one section, but for faults. @returns RUN_*; outside a section */
  #runWindow(count: number): number {
    const m = this.#m;
    const kernel = this.#kernel?.takes(this.#tables, count) === true ? this.#kernel : null;
    kernel?.bind(this.#tables);
    const toucher = kernel === null ? null : this.#toucher;
    toucher?.load(this.#window, count);
    let at = 0;
    for (;;) {
      sectionEnter(m);
      const done =
        kernel !== null
          ? kernel.access(at, count)
          : this.#tlb.length > 0
            ? this.#accessTlb(at, count)
            : accessWindow(m, this.#window, this.#tables, at, count);
      faultDelay(FAULT_DELAY);
      if (toucher !== null) this.#touchByKernel(toucher, at, done);
      else if (m.config.contents) this.#touch(at, done);
      sectionLeave(m);
      this.eventsDone += done - at;
      if (done === count) return RUN_DONE;
      const word = this.#window.events[done] as number;
      const result = this.#fault(word >>> 2, word & 3);
      if (result !== RUN_DONE) return result;
      at = done;
    }
  }

  /** `accessWindow` through the emulated TLB. */
  #accessTlb(first: number, end: number): number {
    const { events, pfns } = this.#window;
    const { pte } = this.#m;
    for (let at = first; at < end; at++) {
      const word = events[at] as number;
      const slot = word >>> 2;
      const table = this.#tables[slot >>> 9] as number;
      if (table < 0) return at;
      const index = table + (slot & 511);
      const entry = Atomics.load(pte, index);
      if (!this.#tlbAccess(slot, index, entry, (word & 3) === KIND_WRITE)) return at;
      pfns[at] = entry >>> PTE_SHIFT;
    }
    return end;
  }

  /**
   * An access through the emulated TLB: a cached translation does not set the young bit again.
   * @returns false for a fault
   */
  #tlbAccess(slot: number, index: number, entry: number, write: boolean): boolean {
    const tlb = this.#tlb;
    const flushEvery = this.#m.config.tlbFlushEvents;
    if (flushEvery > 0 && ++this.#sinceFlush >= flushEvery) {
      this.#sinceFlush = 0;
      tlb.fill(-1);
    }
    const must = write ? PTE_PRESENT | PTE_WRITE : PTE_PRESENT;
    if ((entry & must) !== must) return false;
    const way = slot & (tlb.length - 1);
    const cached = tlb[way] === slot;
    if (cached && (!write || (entry & PTE_DIRTY) !== 0)) return true;
    const need = write ? NEED_WRITE : NEED_READ;
    if ((entry & need) !== need && !markEntry(this.#m, index, entry, need)) return false;
    tlb[way] = slot;
    return true;
  }

  /**
   * The loads and stores themselves, on this CPU's own slot of each frame.
   * @context in the section that translated them
   */
  #touch(first: number, end: number): void {
    const { frame32 } = this.#m;
    if (frame32.length === 1) {
      this.#touchFrames(frame32[0] as Int32Array, first, end);
      return;
    }
    const { pfns } = this.#window;
    for (let at = first; at < end; ) {
      const buffer = (pfns[at] as number) >>> FRAME_BUFFER_SHIFT;
      let to = at + 1;
      while (to < end && (pfns[to] as number) >>> FRAME_BUFFER_SHIFT === buffer) to++;
      this.#touchFrames(frame32[buffer] as Int32Array, at, to);
      at = to;
    }
  }

  /** `#touch` through the kernel, which stops at each mismatch. */
  #touchByKernel(kernel: TouchKernel, first: number, end: number): void {
    const { cpu } = this.#m.task;
    const { events, pfns } = this.#window;
    kernel.seq = this.#seq;
    for (let at = first; at < end; at++) {
      at = kernel.touch(this.#window, this.#lastSeq, at, end, cpu, slotTag(cpu));
      if (at === end) break;
      const word = (pfns[at] as number) * PAGE_WORDS + cpu * 2;
      this.noteMismatch((events[at] as number) >>> 2, this.#m.frame32[0]?.[word + 1] as number);
    }
    this.#seq = kernel.seq;
  }

  /** `#touch` of events whose frames lie in one buffer. */
  #touchFrames(frame: Int32Array, first: number, end: number): void {
    const { events, pfns } = this.#window;
    const lastSeq = this.#lastSeq;
    const ownWord = this.#m.task.cpu * 2;
    const tag = slotTag(this.#m.task.cpu);
    let seq = this.#seq;
    for (let at = first; at < end; at++) {
      const event = events[at] as number;
      const word = ((pfns[at] as number) & (FRAME_BUFFER_PAGES - 1)) * PAGE_WORDS + ownWord;
      if ((event & 3) === KIND_WRITE) {
        seq = (seq + 1) | 0;
        frame[word] = tag;
        frame[word + 1] = seq;
        lastSeq[event >>> 2] = seq;
      } else if (frame[word + 1] !== lastSeq[event >>> 2]) {
        this.noteMismatch(event >>> 2, frame[word + 1] as number);
      }
    }
    this.#seq = seq;
  }

  /** Records a slot that does not hold what was stored, unless that is not known. */
  noteMismatch(slot: number, found: number): void {
    const expected = this.#lastSeq[slot] as number;
    if (expected === SEQ_ANY) return;
    if (expected === SEQ_INHERITED) {
      this.#lastSeq[slot] = found;
      return;
    }
    this.mismatches++;
    this.firstMismatch ??=
      `cpu${this.#m.task.cpu} mm ${this.mm} vpn ${this.vpnOf(slot)}: ` +
      `slot holds ${found}, last store was ${expected}`;
  }

  /**
   * The access faulted: finds the region's table, or handles the fault. @returns RUN_DONE to try
   * again
   */
  #fault(slot: number, kind: number): number {
    const m = this.#m;
    const region = slot >>> 9;
    const first = this.#regions[region] as number;
    if ((this.#tables[region] as number) < 0) {
      const found = pteOffset(m, this.mm, first);
      if (found !== PTE_NONE) {
        this.#setTable(region, found);
        return RUN_DONE;
      }
    }
    const vpn = first + (slot & 511);
    const began = ktimeNs();
    const flags = this.#faultFlags(slot, kind);
    const result = handleMmFault(m, this.mm, vpn, flags);
    const kindOfFault = result === FAULT_MAJOR ? HIST_MAJOR_FAULT : HIST_FAULT;
    recordLatency(m, kindOfFault, ktimeNs() - began);
    if (result === FAULT_DONE || result === FAULT_MAJOR) {
      if (fatalSignalPending(m)) return RUN_KILLED;
      if ((this.#tables[region] as number) < 0) {
        this.#setTable(region, pteAlloc(m, this.mm, first));
      }
      return RUN_DONE;
    }
    if (result === FAULT_SIGSEGV) return RUN_SIGSEGV;
    if (result === FAULT_SIGBUS) {
      // All of its CPUs end: those that run see it at their next window.
      Atomics.or(m.mm.flags, this.mm, MMF_SIGBUS);
      return RUN_SIGBUS;
    }
    return this.#outOfMemory();
  }

  /**
   * No page could be had, and no fault of its own: the access is tried again, as in the kernel
   * (pagefault_out_of_memory), until a page is there, the process is chosen, or told to stop.
   */
  #outOfMemory(): number {
    condResched();
    if (fatalSignalPending(this.#m)) return RUN_KILLED;
    return this.shouldStop() ? RUN_STOPPED : RUN_DONE;
  }

  #setTable(region: number, table: number): void {
    this.#tables[region] = table;
    this.#kernel?.setTable(this.#tables, region);
  }

  /** First touch fills and dirties, read or write; later faults are what the access is. */
  #faultFlags(slot: number, kind: number): number {
    const table = this.#tables[slot >>> 9] as number;
    const entry = table < 0 ? 0 : Atomics.load(this.#m.pte, table + (slot & 511));
    const first = entry === 0 || (entry & PTE_SPECIAL) !== 0;
    const write = kind === KIND_WRITE ? FAULT_FLAG_WRITE : 0;
    return first ? FAULT_FLAG_FILL | write : write;
  }
}
