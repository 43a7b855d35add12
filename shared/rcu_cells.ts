// SPDX-License-Identifier: MIT
/**
 * Cells for objects under RCU or any other epoch scheme: their use after a grace period is seen.
 *
 * Garbage collection hides a use after free: the object is still there. In shared memory it is a
 * cell that somebody else has by now. So a cell has a generation, odd while it is handed out, and
 * whoever names it carries the generation along:
 *
 *   handle            generation << INDEX_BITS | index + 1; 0 names nothing
 *   alloc             even g -> g + 1         a handle of g + 1
 *   free              odd g -> g | FREEING    nobody's: the words become POISON_FREE
 *                     g | FREEING -> g + 1    may be handed out
 *   read, write       look at the generation after the access: another one means that the cell was
 *                     given back under the caller's eyes, and they throw
 *
 * Guarantees. (A) A cell is handed out once until it is freed. (B) A read of a cell that was freed
 * before the read ended throws, whatever the cell holds by now; so does a second free. It is exact
 * under the deterministic scheduler; on threads at full speed a free between the look and the use
 * of the value is missed. A generation comes round after 2^20 frees of one cell.
 * Progress: lock-free; `alloc` walks the cells.
 */
import { assert, bug } from './assert.ts';
import { threadLabel } from './lock_class.ts';
import { self } from './thread.ts';
import type { I32 } from './types.ts';

const INDEX_BITS = 11;
const INDEX_MASK = (1 << INDEX_BITS) - 1;
const GENERATION_MASK = (1 << (31 - INDEX_BITS)) - 1;
/** Beside a generation: the cell is being poisoned. */
const FREEING = GENERATION_MASK + 1;

/** What the words of a freed cell hold. */
export const POISON_FREE = 0x6b6b6b6b;

/** Cells of one pool, at most. */
export const RCU_CELLS_MAX = INDEX_MASK;

/** Words that a pool takes. @param cells 1 .. RCU_CELLS_MAX @param size words of a cell */
export function rcuCellsWords(cells: number, size: number): number {
  return cells * (size + 1);
}

/** A handle on a pool; holds no state of its own. Zeroed words are a pool with all cells free. */
export class RcuCells {
  readonly #words: I32;
  readonly #base: number;
  readonly #cells: number;
  readonly #size: number;

  /** @param base index of the first of `rcuCellsWords(cells, size)` words */
  constructor(words: I32, base: number, cells: number, size: number) {
    assert(cells > 0 && cells <= RCU_CELLS_MAX, 'too many cells for a handle');
    assert(base + rcuCellsWords(cells, size) <= words.length, 'the words do not hold the cells');
    this.#words = words;
    this.#base = base;
    this.#cells = cells;
    this.#size = size;
  }

  /** Hands out a cell; its words hold what they held. @returns its handle, 0 when none is free */
  alloc(): number {
    const words = this.#words;
    for (let i = 0; i < this.#cells; i++) {
      const at = this.#at(i);
      const seen = Atomics.load(words, at);
      if ((seen & 1) === 1) continue;
      const next = (seen + 1) & GENERATION_MASK;
      if (Atomics.compareExchange(words, at, seen, next) === seen) {
        return (next << INDEX_BITS) | (i + 1);
      }
    }
    return 0;
  }

  /**
   * Takes a cell back. What readers may still hold must have passed its grace period.
   * @throws BugError when it was freed already
   */
  free(handle: number): void {
    const at = this.#at((handle & INDEX_MASK) - 1);
    const generation = handle >>> INDEX_BITS;
    const seen = Atomics.compareExchange(this.#words, at, generation, generation | FREEING);
    if (seen !== generation) this.#gone(handle, 'frees', seen);
    for (let i = 1; i <= this.#size; i++) Atomics.store(this.#words, at + i, POISON_FREE);
    Atomics.store(this.#words, at, (generation + 1) & GENERATION_MASK);
  }

  /** Reads a word of a cell. @throws BugError when the cell is not the handle's any more */
  read(handle: number, field: number): number {
    const at = this.#at((handle & INDEX_MASK) - 1);
    const value = Atomics.load(this.#words, at + 1 + field);
    const seen = Atomics.load(this.#words, at);
    if (seen !== handle >>> INDEX_BITS) this.#gone(handle, 'reads', seen);
    return value;
  }

  /** Writes a word of a cell. @throws BugError when the cell is not the handle's any more */
  write(handle: number, field: number, value: number): void {
    const at = this.#at((handle & INDEX_MASK) - 1);
    Atomics.store(this.#words, at + 1 + field, value);
    const seen = Atomics.load(this.#words, at);
    if (seen !== handle >>> INDEX_BITS) this.#gone(handle, 'writes', seen);
  }

  /** Index of the word that holds a cell's generation. */
  #at(cell: number): number {
    assert(cell >= 0 && cell < this.#cells, 'a handle of no cell of this pool');
    return this.#base + cell * (this.#size + 1);
  }

  #gone(handle: number, what: string, seen: number): never {
    const cell = (handle & INDEX_MASK) - 1;
    const now = (seen & (FREEING | 1)) === 1 ? 'handed out again' : 'free';
    bug(
      `${threadLabel(self.id)} ${what} cell ${cell} after its grace period: it had generation ` +
        `${handle >>> INDEX_BITS}, it is ${now} at generation ${seen & GENERATION_MASK}`,
    );
  }
}
