// SPDX-License-Identifier: GPL-2.0-only
/** Broken rings: what people write, and must not. Head and tail are plain counts of elements. */
import type { I32 } from '../../shared/types.ts';
import { LINE_WORDS } from '../../shared/types.ts';

const HEAD = 0;
const TAIL = LINE_WORDS;
const DATA = 2 * LINE_WORDS;

/** What is wrong with a ring. */
export type RingBug = 'publish first' | 'one too many' | 'claim apart';

/** A ring of one consumer. */
export class BrokenRing {
  readonly #words: I32;
  readonly #base: number;
  readonly #capacity: number;
  readonly #bug: RingBug;
  readonly #gap: () => void;

  /** @param gap called where the bug has its window */
  constructor(words: I32, base: number, capacity: number, bug: RingBug, gap: () => void) {
    this.#words = words;
    this.#base = base;
    this.#capacity = capacity;
    this.#bug = bug;
    this.#gap = gap;
  }

  push(value: number): boolean {
    const words = this.#words;
    const head = Atomics.load(words, this.#base + HEAD);
    const used = (head - Atomics.load(words, this.#base + TAIL)) | 0;
    const room = this.#capacity + (this.#bug === 'one too many' ? 1 : 0);
    if (used >= room) return false;
    const at = this.#base + DATA + (head & (this.#capacity - 1));
    if (this.#bug === 'publish first') {
      Atomics.store(words, this.#base + HEAD, (head + 1) | 0);
      this.#gap();
      Atomics.store(words, at, value);
      return true;
    }
    this.#gap();
    Atomics.store(words, at, value);
    Atomics.store(words, this.#base + HEAD, (head + 1) | 0);
    return true;
  }

  pop(): number | undefined {
    const words = this.#words;
    const tail = Atomics.load(words, this.#base + TAIL);
    if (Atomics.load(words, this.#base + HEAD) === tail) return undefined;
    const value = Atomics.load(words, this.#base + DATA + (tail & (this.#capacity - 1)));
    Atomics.store(words, this.#base + TAIL, (tail + 1) | 0);
    return value;
  }
}
