// SPDX-License-Identifier: GPL-2.0-only
/**
 * A CPU that runs user code in an address space: translate, mark, load or store.
 *
 * Pages are named by slots: region x 512 + page within it, where a region is 512 aligned pages, one
 * leaf table. The context remembers each region's table (tables live as long as the address space,
 * as a paging-structure cache would keep them), so a hit costs one load of the entry, a test, and
 * the access itself. A young or dirty bit that is missing is set by compare-and-swap, because
 * reclaim may have taken the entry meanwhile.
 *
 * Sections (tlb.ts) bracket accesses: left at every fault, and every SECTION_EVENTS_MAX events.
 */
import { condResched } from '../../shared/sched.ts';
import { assert } from '../../shared/assert.ts';
import { ktimeNs } from '../../shared/ktime.ts';
import { slotTag } from './content.ts';
import { recordLatency } from './latency.ts';
import { PAGE_WORDS, SECTION_EVENTS_MAX, SLOTS_BYTES } from './limits.ts';
import {
  FAULT_DONE,
  FAULT_FLAG_FILL,
  FAULT_FLAG_WRITE,
  FAULT_MAJOR,
  handleMmFault,
} from './memory.ts';
import { fatalSignalPending } from './charge.ts';
import { FRAME_BUFFER_PAGES, HIST_FAULT, HIST_MAJOR_FAULT, type Mm } from './mm.ts';
import {
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SHIFT,
  PTE_SPECIAL,
  PTE_WRITE,
  PTE_YOUNG,
} from './mm_types.ts';
import { PTE_NONE, markNonLeafYoung, pteAlloc, pteOffset } from './pgtable.ts';
import { sectionEnter, sectionLeave } from './tlb.ts';

/** Event kinds: the low two bits of an event word. */
export const KIND_READ = 0;
export const KIND_WRITE = 1;
export const KIND_IFETCH = 2;

/** How a run of events ended. */
export const RUN_DONE = 0;
export const RUN_KILLED = 1;
export const RUN_SIGSEGV = 2;
export const RUN_STOPPED = 3;

const NEED_READ = PTE_PRESENT | PTE_YOUNG;
const NEED_WRITE = PTE_PRESENT | PTE_WRITE | PTE_YOUNG | PTE_DIRTY;

/** Outcome of marking one entry. */
const MARK_OK = 0;
const MARK_FAULT = 1;

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
  readonly #lastSeq: Int32Array;
  #seq = 0;
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
    this.#lastSeq = new Int32Array(m.config.contents ? regions.length * 512 : 0);
    this.#tlb = new Int32Array(m.config.tlbEntries).fill(-1);
    assert(m.task.cpu * 8 < SLOTS_BYTES, 'CPU has a slot in every page');
  }

  /** vpn of a page slot. */
  vpnOf(slot: number): number {
    return (this.#regions[slot >>> 9] as number) + (slot & 511);
  }

  /** What this CPU stored last in a page slot; 0 for never. */
  lastSeqOf(slot: number): number {
    return this.#lastSeq[slot] as number;
  }

  get slots(): number {
    return this.#regions.length * 512;
  }

  /**
   * Replays events `from`, `from + stride`, ... below `to`.
   * @param events words of (slot << 2 | kind)
   * @param progress called at least every SECTION_EVENTS_MAX events with the events done
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
    let at = from;
    sectionEnter(m);
    for (;;) {
      const chunkEnd = Math.min(to, at + SECTION_EVENTS_MAX * stride);
      const before = at;
      at = this.#runSection(events, at, chunkEnd, stride);
      this.eventsDone += (at - before) / stride;
      if (at < chunkEnd) {
        const word = events[at] as number;
        sectionLeave(m);
        const result = this.#fault(word >>> 2, word & 3);
        if (result !== RUN_DONE) return result;
        sectionEnter(m);
        continue;
      }
      sectionLeave(m);
      progress(this.eventsDone);
      condResched();
      if (at >= to) return RUN_DONE;
      if (fatalSignalPending(m)) return RUN_KILLED;
      if (this.shouldStop()) return RUN_STOPPED;
      sectionEnter(m);
    }
  }

  /** One section. @returns the first event that it could not do (a fault), or `to` */
  #runSection(events: Uint32Array, from: number, to: number, stride: number): number {
    const m = this.#m;
    const pte = m.pte;
    const tables = this.#tables;
    const emulateTlb = this.#tlb.length > 0;
    const contents = m.config.contents;
    let at = from;
    for (; at < to; at += stride) {
      const word = events[at] as number;
      const slot = word >>> 2;
      const write = (word & 3) === KIND_WRITE;
      const table = tables[slot >>> 9] as number;
      if (table < 0) return at;
      const index = table + (slot & 511);
      const entry = Atomics.load(pte, index);
      const need = write ? NEED_WRITE : NEED_READ;
      if (emulateTlb) {
        if (!this.#tlbAccess(slot, index, entry, write)) return at;
      } else if ((entry & need) !== need) {
        if (this.#mark(index, entry, need) === MARK_FAULT) return at;
      }
      if (contents) this.#touch(slot, entry >>> PTE_SHIFT, write);
    }
    return at;
  }

  /** Sets the bits of `need` that `entry` lacks. @returns MARK_FAULT when it is not there, or not writable */
  #mark(index: number, seen: number, need: number): number {
    const { pte } = this.#m;
    const must = need & (PTE_PRESENT | PTE_WRITE);
    let entry = seen;
    for (;;) {
      if ((entry & must) !== must) return MARK_FAULT;
      const was = Atomics.compareExchange(pte, index, entry, entry | need);
      if (was === entry) break;
      // Cleared for aging, or gone to swap: look at what it is now.
      if (was >>> PTE_SHIFT !== entry >>> PTE_SHIFT) return MARK_FAULT;
      entry = was;
    }
    if ((seen & PTE_YOUNG) === 0) markNonLeafYoung(this.#m, index);
    return MARK_OK;
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
    if ((entry & need) !== need && this.#mark(index, entry, need) === MARK_FAULT) return false;
    tlb[way] = slot;
    return true;
  }

  /** The load or store itself, on this CPU's own slot of the frame. */
  #touch(slot: number, pfn: number, write: boolean): void {
    const m = this.#m;
    const frame = m.frame32[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Int32Array;
    const word = (pfn % FRAME_BUFFER_PAGES) * PAGE_WORDS + m.task.cpu * 2;
    if (write) {
      const seq = (this.#seq + 1) | 0;
      this.#seq = seq;
      frame[word] = slotTag(m.task.cpu);
      frame[word + 1] = seq;
      this.#lastSeq[slot] = seq;
    } else if (frame[word + 1] !== this.#lastSeq[slot]) {
      this.noteMismatch(slot, frame[word + 1] as number);
    }
  }

  /** Records a slot that does not hold what was stored. */
  noteMismatch(slot: number, found: number): void {
    this.mismatches++;
    this.firstMismatch ??=
      `cpu${this.#m.task.cpu} mm ${this.mm} vpn ${this.vpnOf(slot)}: ` +
      `slot holds ${found}, last store was ${this.#lastSeq[slot]}`;
  }

  /** The access faulted: finds the region's table, or handles the fault. @returns RUN_DONE to try again */
  #fault(slot: number, kind: number): number {
    const m = this.#m;
    const region = slot >>> 9;
    const first = this.#regions[region] as number;
    if ((this.#tables[region] as number) < 0) {
      const found = pteOffset(m, this.mm, first);
      if (found !== PTE_NONE) {
        this.#tables[region] = found;
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
        this.#tables[region] = pteAlloc(m, this.mm, first);
      }
      return RUN_DONE;
    }
    return fatalSignalPending(m) ? RUN_KILLED : RUN_SIGSEGV;
  }

  /** First touch fills and dirties, read or write; later faults are what the access is. */
  #faultFlags(slot: number, kind: number): number {
    const table = this.#tables[slot >>> 9] as number;
    const entry = table < 0 ? 0 : Atomics.load(this.#m.pte, table + (slot & 511));
    const first = entry === 0 || (entry & PTE_SPECIAL) !== 0;
    if (first) return FAULT_FLAG_FILL | FAULT_FLAG_WRITE;
    return kind === KIND_WRITE ? FAULT_FLAG_WRITE : 0;
  }
}
