// SPDX-License-Identifier: MIT
/**
 * The detector: which accesses are ordered by Atomics, and which are not.
 *
 * Each thread t has a vector clock C(t). An access at clock c by thread u happened before what t
 * does now if and only if c <= C(t)[u]. Order comes from what ECMAScript calls synchronizes-with:
 *
 *   operation                          does                            why
 *   load, failed compareExchange       C(t) joins L                    it reads what a store left
 *   store                              L becomes C(t)                  later loads read this store
 *   successful read-modify-write       C(t) joins L, L becomes C(t)    both
 *   wait, its return, notify           the same with the queue's Q     it is a critical section
 *
 * where L is the clock of exactly those bytes and Q that of the waiter list at their address. A
 * store replaces L: who reads it learns of its thread, not of those that stored before. Threads
 * start after `setup` and end before `check`, so neither takes part.
 *
 * A race is two accesses of overlapping bytes by two threads, one of them a write, neither before
 * the other, and not both Atomics of the same bytes. Plain accesses are compared through the shadow
 * cells; Atomics of a word are remembered per thread in its place, since two of them do not replace
 * one another. Every step has two clocks: its operation, and the code of its thread behind it, so
 * that what follows a store is not published by it.
 *
 * Not followed, and never a false alarm: an atomic load of bytes that a plain write replaced still
 * joins the older store's clock; words beyond the table of places share one clock.
 *
 * Protection: @owner the holder of the baton, for everything here.
 */
import {
  OP_CAS,
  OP_LOAD,
  OP_NOTIFY,
  OP_PLAIN_READ,
  OP_PLAIN_WRITE,
  OP_RESUME,
  OP_RMW,
  OP_STORE,
  OP_WAIT,
} from '../ops.ts';
import { PoisonTable } from './poison.ts';
import { RaceList } from './race_list.ts';
import {
  epochOf,
  P_CLOCK,
  P_READ,
  P_READ_SITE,
  P_WRITE,
  P_WRITE_SITE,
  type RaceBuffers,
  RaceMemory,
  STRIDE,
  W_BASE,
  W_CLOCK,
  W_CROWDED,
  W_SPLIT,
} from './race_memory.ts';
import { type Cells, CLOCK_SHIFT, Shadow, SPLIT, THREAD_MASK } from './shadow.ts';

const READS = 1;
const WRITES = 2;
const QUEUE = 4;
/** Key of a waiter list among the places of its address. */
const QUEUE_CODE = 7;

function effects(kind: number, wrote: boolean): number {
  switch (kind) {
    case OP_LOAD:
      return READS;
    case OP_STORE:
      return WRITES;
    case OP_RMW:
      return READS | WRITES;
    case OP_CAS:
      return wrote ? READS | WRITES : READS;
    case OP_WAIT:
      return READS | QUEUE;
    case OP_NOTIFY:
    case OP_RESUME:
      return QUEUE;
    default:
      return 0;
  }
}

/** @returns 0 .. 3 for 1, 2, 4, 8 bytes */
function widthCode(bytes: number): number {
  return 31 - Math.clz32(bytes);
}

/** One thread's view of the detector. */
export class FastTrack {
  readonly memory: RaceMemory;
  readonly shadow: Shadow;
  readonly races: RaceList;
  readonly poisoned: PoisonTable;
  readonly thread: number;
  readonly threads: number;
  /** Epoch of plain accesses of this thread until its next operation. */
  epoch = 0;
  /** This thread's vector clock. */
  readonly clock: Int32Array;

  /** @param thread 0 .. buffers.threads-1 */
  constructor(buffers: RaceBuffers, thread: number) {
    this.memory = new RaceMemory(buffers.words);
    this.shadow = new Shadow(buffers.shadow, buffers.span, buffers.threads);
    this.races = new RaceList(this.memory);
    this.poisoned = new PoisonTable(this.memory, this.shadow);
    this.thread = thread;
    this.threads = buffers.threads;
    this.clock = this.memory.clocks.subarray(thread * STRIDE, (thread + 1) * STRIDE);
  }

  /** Begins an execution. @context no thread runs; one thread calls it, for all */
  reset(): void {
    this.poisoned.clear();
    if (!this.memory.begin()) this.shadow.clear();
  }

  /**
   * A step of this thread begins: its operation, then its own code.
   * @param step of the execution
   */
  step(step: number): void {
    this.#enter(step);
    this.#leave();
  }

  #enter(step: number): number {
    const { header } = this.memory;
    const clock = (header[W_BASE] as number) + 2 * (step + 1);
    this.clock[this.thread] = clock;
    return clock;
  }

  #leave(): void {
    const clock = (this.clock[this.thread] as number) + 1;
    this.clock[this.thread] = clock;
    this.epoch = epochOf(clock, this.thread);
    const { header } = this.memory;
    if (clock > (header[W_CLOCK] as number)) header[W_CLOCK] = clock;
  }

  /**
   * This thread executed an operation of Atomics.
   * @param kind OP_* @param address of the first byte @param bytes 1, 2, 4 or 8
   * @param wrote a compare-and-swap stored @param site site word @param step of the execution
   */
  onAtomic(
    kind: number,
    address: number,
    bytes: number,
    wrote: boolean,
    site: number,
    step: number,
  ): void {
    const clock = this.#enter(step);
    const does = effects(kind, wrote);
    if (does !== 0 && address + bytes <= this.shadow.span) {
      const queue = (does & QUEUE) === 0 ? -1 : this.memory.place(address * 8 + QUEUE_CODE);
      // A waiter list is a critical section: entering it joins, leaving it publishes.
      if ((does & QUEUE) !== 0) this.#join(queue);
      if ((does & (READS | WRITES)) !== 0) this.#word(kind, does, address, bytes, site, clock);
      if ((does & QUEUE) !== 0) this.#publish(queue);
    }
    this.#leave();
  }

  /** A wait of `to` was ended by a notify of `from`: both were in the queue's critical section. */
  onNotifyWake(from: number, to: number): void {
    const { clocks } = this.memory;
    for (let t = 0; t < this.threads; t++) {
      const known = clocks[from * STRIDE + t] as number;
      const at = to * STRIDE + t;
      if (t !== to && known > (clocks[at] as number)) clocks[at] = known;
    }
  }

  #word(
    kind: number,
    does: number,
    address: number,
    bytes: number,
    site: number,
    clock: number,
  ): void {
    const { places } = this.memory;
    const code = widthCode(bytes);
    const key = address * 8 + code;
    const row = this.memory.place(key);
    const writes = (does & WRITES) !== 0;
    if ((does & READS) !== 0 || row < 0) this.#join(row);
    this.#againstCells(kind, address, bytes, writes, site);
    for (let g = address >> 2; g <= (address + bytes - 1) >> 2; g++) {
      const widths = this.shadow.atomics[g] as number;
      if (widths !== 0 && widths !== 1 << code) {
        this.#againstPlaces(kind, address, bytes, writes, site, key);
      }
      this.shadow.atomics[g] = widths | (1 << code);
    }
    if (row >= 0) {
      if ((does & READS) !== 0) {
        places[row + P_READ + this.thread] = clock;
        places[row + P_READ_SITE + this.thread] = site;
      }
      if (writes) {
        places[row + P_WRITE + this.thread] = clock;
        places[row + P_WRITE_SITE + this.thread] = site;
      }
    } else this.memory.header[W_CROWDED] = (this.memory.header[W_CROWDED] as number) + 1;
    if (writes) this.#publish(row);
  }

  #join(row: number): void {
    const from = this.#row(row);
    for (let t = 0; t < this.threads; t++) {
      const known = this.memory.places[from + t] as number;
      if (known > (this.clock[t] as number)) this.clock[t] = known;
    }
  }

  #publish(row: number): void {
    const to = this.#row(row);
    const joins = row < 0;
    for (let t = 0; t < this.threads; t++) {
      const mine = this.clock[t] as number;
      if (!joins || mine > (this.memory.places[to + t] as number)) {
        this.memory.places[to + t] = mine;
      }
    }
  }

  /** Words that found no place share one clock, which only grows: more order than there is. */
  #row(row: number): number {
    return (row < 0 ? this.memory.crowd() : row) + P_CLOCK;
  }

  /**
   * This thread is about to access bytes without Atomics.
   * @param site site word
   * @throws what the listeners of `races` and `poisoned` throw
   */
  plain(address: number, bytes: number, write: boolean, site: number): void {
    const { granules, atomics, span } = this.shadow;
    const end = Math.min(address + bytes, span);
    for (let at = address; at < end; ) {
      const g = at >> 2;
      const stop = Math.min(end, g * 4 + 4);
      if (stop - at === 4 && granules.write[g] !== SPLIT) {
        this.#cell(granules, g, at, 4, write, site);
      } else {
        this.#bytes(g, at, stop, write, site);
      }
      if (atomics[g] !== 0) {
        const kind = write ? OP_PLAIN_WRITE : OP_PLAIN_READ;
        this.#againstPlaces(kind, at, stop - at, write, site, -1);
      }
      at = stop;
    }
  }

  #bytes(g: number, start: number, stop: number, write: boolean, site: number): void {
    this.memory.header[W_SPLIT] = 1;
    this.shadow.split(g);
    for (let at = start; at < stop; at++) {
      this.#cell(this.shadow.bytes, at, at, 1, write, site);
    }
  }

  /** Compares with, and enters into, one cell. */
  #cell(
    cells: Cells,
    i: number,
    address: number,
    bytes: number,
    write: boolean,
    site: number,
  ): void {
    const me = this.thread;
    const kind = write ? OP_PLAIN_WRITE : OP_PLAIN_READ;
    const last = cells.write[i] as number;
    if (last < 0) this.#useAfterFree(kind, address, site);
    this.#againstWrite(last, cells, i, kind, address, bytes, site);
    if (write) {
      this.#againstReads(cells, i, kind, address, bytes, site);
      cells.write[i] = this.epoch | (last & (1 << 31));
      cells.writeSite[i] = site;
    } else {
      const mine = cells.read[me] as Int32Array;
      mine[i] = this.epoch | (last & (1 << 31));
      (cells.readSite[me] as Int32Array)[i] = site;
    }
  }

  #againstWrite(
    epoch: number,
    cells: Cells,
    i: number,
    kind: number,
    address: number,
    bytes: number,
    site: number,
  ): void {
    const by = epoch & THREAD_MASK;
    const clock = (epoch & SPLIT) >> CLOCK_SHIFT;
    if (by === this.thread || clock <= (this.clock[by] as number)) return;
    const prior = cells.writeSite[i] as number;
    this.#race(prior, by, OP_PLAIN_WRITE, clock, site, kind, address, bytes);
  }

  #againstReads(
    cells: Cells,
    i: number,
    kind: number,
    address: number,
    bytes: number,
    site: number,
  ): void {
    for (let t = 0; t < this.threads; t++) {
      if (t === this.thread) continue;
      const clock = (((cells.read[t] as Int32Array)[i] as number) & SPLIT) >> CLOCK_SHIFT;
      if (clock <= (this.clock[t] as number)) continue;
      const prior = (cells.readSite[t] as Int32Array)[i] as number;
      this.#race(prior, t, OP_PLAIN_READ, clock, site, kind, address, bytes);
    }
  }

  /** An operation of Atomics against plain accesses. */
  #againstCells(kind: number, address: number, bytes: number, write: boolean, site: number): void {
    const { granules } = this.shadow;
    for (let at = address; at < address + bytes; ) {
      const g = at >> 2;
      const stop = Math.min(address + bytes, g * 4 + 4);
      if (granules.write[g] !== SPLIT) {
        this.#peek(granules, g, at, stop - at, kind, write, site);
      } else {
        for (let b = at; b < stop; b++) {
          this.#peek(this.shadow.bytes, b, b, 1, kind, write, site);
        }
      }
      at = stop;
    }
  }

  #peek(
    cells: Cells,
    i: number,
    address: number,
    bytes: number,
    kind: number,
    write: boolean,
    site: number,
  ): void {
    const last = cells.write[i] as number;
    if (last < 0) this.#useAfterFree(kind, address, site);
    this.#againstWrite(last, cells, i, kind, address, bytes, site);
    if (write) this.#againstReads(cells, i, kind, address, bytes, site);
  }

  /** Against Atomics of the words that overlap a range, but for the word `own`. */
  #againstPlaces(
    kind: number,
    address: number,
    bytes: number,
    write: boolean,
    site: number,
    own: number,
  ): void {
    const widths = this.#widths(address, bytes);
    for (let code = 0; code < 4; code++) {
      if ((widths & (1 << code)) === 0) continue;
      const size = 1 << code;
      for (let at = address & -size; at < address + bytes; at += size) {
        const key = at * 8 + code;
        if (key !== own) this.#againstPlace(kind, at, size, write, site, key);
      }
    }
  }

  #widths(address: number, bytes: number): number {
    let widths = 0;
    for (let g = address >> 2; g <= (address + bytes - 1) >> 2; g++) {
      widths |= this.shadow.atomics[g] as number;
    }
    return widths;
  }

  #againstPlace(
    kind: number,
    address: number,
    bytes: number,
    write: boolean,
    site: number,
    key: number,
  ): void {
    const row = this.memory.findPlace(key);
    if (row < 0) return;
    const { places } = this.memory;
    for (let t = 0; t < this.threads; t++) {
      if (t === this.thread) continue;
      const known = this.clock[t] as number;
      const wrote = places[row + P_WRITE + t] as number;
      const read = places[row + P_READ + t] as number;
      if (wrote > known) {
        const prior = places[row + P_WRITE_SITE + t] as number;
        this.#race(prior, t, OP_STORE, wrote, site, kind, address, bytes);
      } else if (write && read > known) {
        const prior = places[row + P_READ_SITE + t] as number;
        this.#race(prior, t, OP_LOAD, read, site, kind, address, bytes);
      }
    }
  }

  #race(
    priorSite: number,
    priorThread: number,
    priorKind: number,
    priorClock: number,
    site: number,
    kind: number,
    address: number,
    bytes: number,
  ): void {
    const clock = this.clock[this.thread] as number;
    this.races.add(
      { site: priorSite, thread: priorThread, kind: priorKind, clock: priorClock },
      { site, thread: this.thread, kind, clock },
      address,
      bytes,
    );
  }

  /** Marks a range as given back. @param site site word @context this thread holds the baton */
  poison(address: number, bytes: number, site: number): void {
    const clock = this.clock[this.thread] as number;
    this.memory.header[W_SPLIT] = 1;
    this.poisoned.add(address, Math.min(address + bytes, this.shadow.span), {
      site,
      thread: this.thread,
      clock,
    });
  }

  /** Takes the mark off a range. */
  unpoison(address: number, bytes: number): void {
    this.poisoned.remove(address, Math.min(address + bytes, this.shadow.span));
  }

  #useAfterFree(kind: number, address: number, site: number): void {
    const clock = this.clock[this.thread] as number;
    this.poisoned.touched(address, { site, thread: this.thread, clock }, kind);
  }
}
