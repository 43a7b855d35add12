// SPDX-License-Identifier: MIT
/**
 * Rings of i32 elements: KfifoSpsc (one producer, one consumer), KfifoMpsc (many producers, one
 * consumer). Bounded, power-of-two capacity, all slots usable.
 *
 * Indices run freely and wrap; a word holds index x 2, and its lowest bit says that somebody is
 * parked on the word. So publishing and looking for a sleeper are one atomic exchange, and a ring
 * whose threads never sleep pays nothing for the ability.
 *
 *   SPSC word        written by   sleeper on it            woken by
 *   HEAD             producer     consumer, ring empty     the exchange of the next push
 *   TAIL             consumer     producer, ring full      the exchange of the next pop
 *
 *   MPSC (after Vyukov): each slot has a sequence word beside its element. In round r (r-th use of
 *   the ring) of capacity C, in units of index x 2 and relative to the slot's number:
 *   sequence         state        who may touch the slot   sleeper on it
 *   2rC              free         the producer that moved HEAD past it; the consumer
 *                                 may sleep here until it is filled
 *   2rC + 2          filled       the consumer             producers, ring full
 *   2(r+1)C          free again   as above
 *
 * Synchronization table (X: needs exclusion from itself in other threads):
 *                    push  pop
 *   SPSC push         X     -
 *   SPSC pop          -     X
 *   MPSC push         -     -
 *   MPSC pop          -     X
 *
 * Guarantees: (A) elements leave in the order in which they entered (MPSC: the order in which the
 * producers moved HEAD), none twice, none lost; (B) what the producer wrote before a push is seen
 * after the pop; (C) no wake-up is lost; (D) a false or undefined from push or pop is true of an
 * instant during the call.
 * Progress: SPSC wait-free; MPSC push lock-free, and a producer that dies between claiming and
 * filling stops the ring at its slot. The waiting variants block; they wait for a dead peer until
 * their timeout. Fairness: none between producers.
 */

import { assert } from './assert.ts';
import { spinWhileEqual } from './cpu_relax.ts';
import {
  assertCapacity,
  copyWords,
  DATA,
  deadlineOf,
  HEAD,
  PARKED,
  park,
  reload,
  TAIL,
} from './kfifo_word.ts';
import type { I32 } from './types.ts';

export { KfifoMpsc } from './kfifo_mpsc.ts';
export { KFIFO_CAPACITY_MAX } from './kfifo_word.ts';

/** One producer, one consumer. Each side makes its own instance over the same words. */
export class KfifoSpsc {
  readonly capacity: number;
  readonly #words: I32;
  readonly #headAt: number;
  readonly #tailAt: number;
  readonly #data: number;
  readonly #mask: number;
  readonly #span: number;
  #head: number; // exact at the producer, last seen at the consumer
  #tail: number; // exact at the consumer, last seen at the producer

  /** @returns words that a ring takes @param capacity power of two, 2 .. KFIFO_CAPACITY_MAX */
  static words(capacity: number): number {
    assertCapacity(capacity);
    return DATA + capacity;
  }

  /**
   * Empties a ring, with indices that start at `start`. Zeroed words are an empty ring already.
   * @context before either side attaches
   */
  static init(words: I32, base: number, start = 0): void {
    Atomics.store(words, base + HEAD, start << 1);
    Atomics.store(words, base + TAIL, start << 1);
  }

  /** @param base where the ring's words start; a multiple of LINE_WORDS keeps the sides apart */
  constructor(words: I32, base: number, capacity: number) {
    assertCapacity(capacity);
    assert(base >= 0 && base + DATA + capacity <= words.length, 'ring exceeds its words');
    this.capacity = capacity;
    this.#words = words;
    this.#headAt = base + HEAD;
    this.#tailAt = base + TAIL;
    this.#data = base + DATA;
    this.#mask = capacity - 1;
    this.#span = capacity * 2;
    this.#head = Atomics.load(words, this.#headAt) & ~PARKED;
    this.#tail = Atomics.load(words, this.#tailAt) & ~PARKED;
  }

  /**
   * Adds one element.
   * @param value any i32
   * @returns false when the ring is full
   * @context producer
   */
  push(value: number): boolean {
    const head = this.#head;
    if (((head - this.#tail) | 0) >= this.#span) {
      this.#tail = reload(this.#words, this.#tailAt, (head - this.#span) | 0);
      if (((head - this.#tail) | 0) >= this.#span) return false;
    }
    this.#words[this.#data + ((head >>> 1) & this.#mask)] = value;
    this.#publishHead((head + 2) | 0);
    return true;
  }

  /** Takes one element. @returns it, undefined when the ring is empty @context consumer */
  pop(): number | undefined {
    const tail = this.#tail;
    if (tail === this.#head) {
      this.#head = reload(this.#words, this.#headAt, tail);
      if (tail === this.#head) return undefined;
    }
    const value = this.#words[this.#data + ((tail >>> 1) & this.#mask)] as number;
    this.#publishTail((tail + 2) | 0);
    return value;
  }

  /**
   * Adds up to `count` elements of `from`, published at once.
   * @returns how many; fewer than `count` when the ring became full
   * @context producer
   */
  pushBatch(from: Int32Array, offset: number, count: number): number {
    const head = this.#head;
    let free = (this.#span - ((head - this.#tail) | 0)) >> 1;
    if (free < count) {
      this.#tail = reload(this.#words, this.#tailAt, (head - this.#span) | 0);
      free = (this.#span - ((head - this.#tail) | 0)) >> 1;
      if (free === 0) return 0;
    }
    const nr = Math.min(count, free);
    if (nr <= 0) return 0;
    const at = (head >>> 1) & this.#mask;
    const first = Math.min(nr, this.capacity - at);
    copyWords(from, offset, this.#words, this.#data + at, first);
    if (first < nr) copyWords(from, offset + first, this.#words, this.#data, nr - first);
    this.#publishHead((head + nr * 2) | 0);
    return nr;
  }

  /**
   * Adds `count` elements, or none: a record of several words stays together.
   * @param count 1 .. capacity
   * @returns false when there is no room for all
   * @context producer
   */
  pushAll(from: Int32Array, offset: number, count: number): boolean {
    return this.free() >= count && this.pushBatch(from, offset, count) === count;
  }

  /**
   * Takes up to `count` elements into `into`.
   * @returns how many; fewer than `count` when the ring became empty
   * @context consumer
   */
  popBatch(into: Int32Array, offset: number, count: number): number {
    const tail = this.#tail;
    let used = ((this.#head - tail) | 0) >> 1;
    if (used < count) {
      this.#head = reload(this.#words, this.#headAt, tail);
      used = ((this.#head - tail) | 0) >> 1;
      if (used === 0) return 0;
    }
    const nr = Math.min(count, used);
    if (nr <= 0) return 0;
    const at = (tail >>> 1) & this.#mask;
    const first = Math.min(nr, this.capacity - at);
    copyWords(this.#words, this.#data + at, into, offset, first);
    if (first < nr) copyWords(this.#words, this.#data, into, offset + first, nr - first);
    this.#publishTail((tail + nr * 2) | 0);
    return nr;
  }

  /** @returns elements in the ring @context either side, exact there until the other side moves */
  length(): number {
    const tail = Atomics.load(this.#words, this.#tailAt) & ~PARKED;
    return (((Atomics.load(this.#words, this.#headAt) & ~PARKED) - tail) | 0) >> 1;
  }

  /** @returns room for elements, at least; the consumer can only add to it @context producer */
  free(): number {
    this.#tail = Atomics.load(this.#words, this.#tailAt) & ~PARKED;
    return (this.#span - ((this.#head - this.#tail) | 0)) >> 1;
  }

  /**
   * Sleeps until there is an element.
   * @param timeoutMs bound, Infinity for none
   * @returns false when the time ran out
   * @context consumer; sleeps
   */
  waitReadable(timeoutMs = Infinity): boolean {
    let deadline = -1;
    for (;;) {
      const head = spinWhileEqual(this.#words, this.#headAt, this.#tail) & ~PARKED;
      this.#head = head;
      if (head !== this.#tail) return true;
      if (deadline < 0) deadline = deadlineOf(timeoutMs);
      if (!park(this.#words, this.#headAt, head, deadline)) return this.length() > 0;
    }
  }

  /** Sleeps until there is room for an element; as waitReadable. @context producer; sleeps */
  waitWritable(timeoutMs = Infinity): boolean {
    let deadline = -1;
    for (;;) {
      const full = (this.#head - this.#span) | 0;
      const tail = spinWhileEqual(this.#words, this.#tailAt, full) & ~PARKED;
      this.#tail = tail;
      if (tail !== full) return true;
      if (deadline < 0) deadline = deadlineOf(timeoutMs);
      if (!park(this.#words, this.#tailAt, tail, deadline)) return this.free() > 0;
    }
  }

  /**
   * Adds one element, sleeping while the ring is full.
   * @returns false on timeout
   * @context producer
   */
  pushWait(value: number, timeoutMs = Infinity): boolean {
    return this.push(value) || (this.waitWritable(timeoutMs) && this.push(value));
  }

  /**
   * Takes one element, sleeping while the ring is empty.
   * @returns undefined on timeout
   * @context consumer
   */
  popWait(timeoutMs = Infinity): number | undefined {
    const value = this.pop();
    if (value !== undefined) return value;
    return this.waitReadable(timeoutMs) ? this.pop() : undefined;
  }

  #publishHead(head: number): void {
    this.#head = head;
    // PAIRS(kfifo-park): after the elements; the exchange returns the consumer's PARKED bit
    if ((Atomics.exchange(this.#words, this.#headAt, head) & PARKED) !== 0) {
      Atomics.notify(this.#words, this.#headAt);
    }
  }

  #publishTail(tail: number): void {
    this.#tail = tail;
    if ((Atomics.exchange(this.#words, this.#tailAt, tail) & PARKED) !== 0) {
      Atomics.notify(this.#words, this.#tailAt);
    }
  }
}
