// SPDX-License-Identifier: MIT
/** The ring of many producers and one consumer. State table and guarantees: kfifo.ts. */

import { assert } from './assert.ts';
import { spinWhileEqual } from './cpu_relax.ts';
import {
  assertCapacity,
  DATA,
  deadlineOf,
  HEAD,
  PARKED,
  park,
  reload,
  TAIL,
} from './kfifo_word.ts';
import type { I32 } from './types.ts';

/** Many producers, one consumer. Each thread makes its own instance over the same words. */
export class KfifoMpsc {
  readonly capacity: number;
  readonly #words: I32;
  readonly #headAt: number;
  readonly #tailAt: number;
  readonly #data: number;
  readonly #mask: number;
  readonly #round: number;
  #head: number; // where this producer looks first: a hint
  #tail: number; // exact at the consumer

  /** @returns words that a ring takes @param capacity power of two, 2 .. KFIFO_CAPACITY_MAX */
  static words(capacity: number): number {
    assertCapacity(capacity);
    return DATA + 2 * capacity;
  }

  /**
   * Empties a ring, with indices that start at `start`. Zeroed words are an empty ring already.
   * @context before any thread attaches
   */
  static init(words: I32, base: number, capacity: number, start = 0): void {
    assertCapacity(capacity);
    for (let i = 0; i < capacity; i++) {
      // A slot before `start` in its round was used already: it waits for the next round.
      const index = i < (start & (capacity - 1)) ? start + capacity : start;
      Atomics.store(words, base + DATA + 2 * i, (index & -capacity) << 1);
    }
    Atomics.store(words, base + HEAD, start << 1);
    Atomics.store(words, base + TAIL, start << 1);
  }

  /** @param base where the ring's words start; a multiple of LINE_WORDS keeps the sides apart */
  constructor(words: I32, base: number, capacity: number) {
    assertCapacity(capacity);
    assert(base >= 0 && base + DATA + 2 * capacity <= words.length, 'ring exceeds its words');
    this.capacity = capacity;
    this.#words = words;
    this.#headAt = base + HEAD;
    this.#tailAt = base + TAIL;
    this.#data = base + DATA;
    this.#mask = capacity - 1;
    this.#round = capacity * 2;
    this.#head = Atomics.load(words, this.#headAt);
    this.#tail = Atomics.load(words, this.#tailAt);
  }

  /** Adds one element. @param value any i32 @returns false when the ring is full @context any */
  push(value: number): boolean {
    const words = this.#words;
    let head = this.#head;
    for (;;) {
      const slot = this.#data + (head & (this.#mask << 1));
      const free = head & -this.#round;
      const lead = ((Atomics.load(words, slot) & ~PARKED) - free) | 0;
      if (lead === 0) {
        const next = (head + 2) | 0;
        const seen = Atomics.compareExchange(words, this.#headAt, head, next);
        if (seen === head) {
          this.#head = next;
          words[slot + 1] = value;
          this.#publish(slot, (free + 2) | 0);
          return true;
        }
        head = seen;
        continue;
      }
      const now = Atomics.load(words, this.#headAt);
      if (now === head && lead < 0) {
        this.#head = head;
        return false;
      }
      head = now;
    }
  }

  /** Takes one element. @returns it, undefined when the next is not there yet @context consumer */
  pop(): number | undefined {
    const words = this.#words;
    const tail = this.#tail;
    const slot = this.#data + (tail & (this.#mask << 1));
    const free = tail & -this.#round;
    if (reload(words, slot, free) !== ((free + 2) | 0)) return undefined;
    const value = words[slot + 1] as number;
    this.#tail = (tail + 2) | 0;
    words[this.#tailAt] = this.#tail; // kreclaim-racy: a stale tail overstates length()
    this.#publish(slot, (free + this.#round) | 0);
    return value;
  }

  /** Takes up to `count` elements into `into`. @returns how many @context consumer */
  popBatch(into: Int32Array, offset: number, count: number): number {
    for (let i = 0; i < count; i++) {
      const value = this.pop();
      if (value === undefined) return i;
      into[offset + i] = value;
    }
    return count;
  }

  /** @returns what is in the ring, oldest first @context nobody adds or takes */
  entries(): number[] {
    const words = this.#words;
    const found: number[] = [];
    const head = Atomics.load(words, this.#headAt);
    for (let at = Atomics.load(words, this.#tailAt); at !== head; at = (at + 2) | 0) {
      found.push(words[this.#data + (at & (this.#mask << 1)) + 1] as number);
    }
    return found;
  }

  /** @returns elements in the ring or being added; a guess while others move @context any */
  length(): number {
    const tail = Atomics.load(this.#words, this.#tailAt);
    return ((Atomics.load(this.#words, this.#headAt) - tail) | 0) >> 1;
  }

  /** Sleeps until the next element is there. @returns false on timeout @context consumer; sleeps */
  waitReadable(timeoutMs = Infinity): boolean {
    const slot = this.#data + (this.#tail & (this.#mask << 1));
    const free = this.#tail & -this.#round;
    let deadline = -1;
    for (;;) {
      if ((spinWhileEqual(this.#words, slot, free) & ~PARKED) !== free) return true;
      if (deadline < 0) deadline = deadlineOf(timeoutMs);
      if (!park(this.#words, slot, free, deadline)) {
        return (Atomics.load(this.#words, slot) & ~PARKED) !== free;
      }
    }
  }

  /**
   * Adds one element, sleeping while the ring is full.
   * @returns false on timeout
   * @context any; sleeps
   */
  pushWait(value: number, timeoutMs = Infinity): boolean {
    let deadline = -1;
    while (!this.push(value)) {
      const slot = this.#data + (this.#head & (this.#mask << 1));
      const free = this.#head & -this.#round;
      const seen = Atomics.load(this.#words, slot) & ~PARKED;
      if (((seen - free) | 0) >= 0) continue; // freed since
      // Somebody may be parked on the slot already, or have timed out there and left the bit.
      if ((spinWhileEqual(this.#words, slot, seen) & ~PARKED) !== seen) continue;
      if (deadline < 0) deadline = deadlineOf(timeoutMs);
      if (!park(this.#words, slot, seen, deadline)) return this.push(value);
    }
    return true;
  }

  /**
   * Takes one element, sleeping until there is one.
   * @returns undefined on timeout
   * @context consumer
   */
  popWait(timeoutMs = Infinity): number | undefined {
    const value = this.pop();
    if (value !== undefined) return value;
    return this.waitReadable(timeoutMs) ? this.pop() : undefined;
  }

  #publish(slot: number, sequence: number): void {
    // PAIRS(kfifo-park): after the element; the exchange returns the PARKED bit of any sleeper
    if ((Atomics.exchange(this.#words, slot, sequence) & PARKED) !== 0) {
      Atomics.notify(this.#words, slot);
    }
  }
}
