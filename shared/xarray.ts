// SPDX-License-Identifier: MIT
/**
 * Sparse table: unsigned 32-bit index -> non-zero i32 value, as the kernel's XArray.
 *
 * A radix tree of 64-slot nodes from a pool in the arena; many tables share a pool. A head word
 * says where the tree starts:
 *
 *   head     height(3) | node(26)   height 0: empty.   height h holds indices below 64^h
 *   node     64 slots: children (node numbers) above the last level, values in it; 0 is absent
 *   marks    3 bits per slot; a set bit above the last level: some entry below has the mark
 *
 * Writers (store, erase, marks) hold the table's lock. Lookups (load, next) need no lock: they run
 * inside an RCU read section and see each entry as it was before or after a concurrent write. A
 * node that is taken out is handed to the pool's `free` hook, which must return it with
 * `xaFreeNode` only after a grace period; without concurrent lookups it may do so at once.
 *
 *   writer                                  lookup
 *   fill the new node with plain stores     node = Atomics.load(slot)
 *   Atomics.store(slot, node)               its words are those that the writer filled in
 *
 * Guarantees: (A) a lookup sees an entry that was stored before it began and not erased until it
 * ended; (B) store keeps the table unchanged when the pool is empty; (C) a table whose last entry
 * is erased holds no node. Not promised: a snapshot across several lookups.
 * Progress: lookups are wait-free; writers take the pool's spinlock when a node comes or goes.
 */
import { assert } from './assert.ts';
import { ffs } from './bitmap.ts';
import type { I32 } from './types.ts';
import {
  COUNT,
  MARKS,
  META_WORDS,
  XA_MARKS,
  XA_SLOTS,
  type XaPool,
  xaAllocNode,
  xaFreeNode,
} from './xarray_pool.ts';

export {
  declareXaPool,
  initXaPool,
  XA_MARKS,
  XA_SLOTS,
  type XaPool,
  xaFreeNode,
  xaPoolUsed,
} from './xarray_pool.ts';

/** Returned by searches that find nothing. */
export const XA_NONE = -1;

const SHIFT = 6;
const HEIGHT_MAX = 6;
const HEIGHT_SHIFT = 26;
const NODE_MASK = (1 << HEIGHT_SHIFT) - 1;

/** @returns the levels that index needs, 1 .. HEIGHT_MAX */
function heightOf(index: number): number {
  let height = 1;
  for (let rest = index >>> SHIFT; rest !== 0; rest >>>= SHIFT) height++;
  return height;
}

/** Slot of `index` in a node whose slots span 64^level indices each. */
function slotAt(index: number, level: number): number {
  return (index >>> (SHIFT * level)) & (XA_SLOTS - 1);
}

/** A handle on one table; holds no state but scratch. */
export class Xarray {
  readonly #pool: XaPool;
  readonly #heads: I32;
  readonly #at: number;
  readonly #free: (node: number) => void;
  readonly #path = new Int32Array(HEIGHT_MAX);

  /**
   * @param heads column that holds the head word @param at its index; zero is an empty table
   * @param free what to do with a node taken out: `xaFreeNode`, at once or through callRcu
   */
  constructor(
    pool: XaPool,
    heads: I32,
    at: number,
    free: (node: number) => void = (node) => xaFreeNode(pool, node),
  ) {
    this.#pool = pool;
    this.#heads = heads;
    this.#at = at;
    this.#free = free;
  }

  /** @returns the value at `index`, 0 when absent @context an RCU read section, or the lock */
  load(index: number): number {
    const { slots } = this.#pool;
    const head = Atomics.load(this.#heads, this.#at);
    let level = (head >>> HEIGHT_SHIFT) - 1;
    if (level < 0 || heightOf(index) > level + 1) return 0;
    let entry = head & NODE_MASK;
    for (; level >= 0 && entry !== 0; level--) {
      // PAIRS(xarray-slot): the node's words were written before its number was stored here
      entry = Atomics.load(slots, entry * XA_SLOTS + slotAt(index, level));
    }
    return entry;
  }

  /** True when nothing is stored. */
  get empty(): boolean {
    return Atomics.load(this.#heads, this.#at) === 0;
  }

  /**
   * Stores a value, keeping the index's marks if it was there.
   * @param index 0 .. 2^32-1 @param value any i32 but 0
   * @returns false when the pool is empty: nothing is changed
   * @context the table's lock
   */
  store(index: number, value: number): boolean {
    assert(value !== 0, 'xarray cannot hold 0; erase instead');
    const { slots } = this.#pool;
    if (!this.#grow(index)) return false;
    const head = this.#heads[this.#at] as number;
    let node = head & NODE_MASK;
    for (let level = (head >>> HEIGHT_SHIFT) - 1; level > 0; level--) {
      const slot = node * XA_SLOTS + slotAt(index, level);
      let child = slots[slot] as number;
      if (child === 0) {
        child = xaAllocNode(this.#pool);
        if (child === 0) {
          this.#trim(index);
          return false;
        }
        this.#count(node, 1);
        Atomics.store(slots, slot, child); // PAIRS(xarray-slot)
      }
      node = child;
    }
    const slot = node * XA_SLOTS + slotAt(index, 0);
    if (slots[slot] === 0) this.#count(node, 1);
    Atomics.store(slots, slot, value);
    return true;
  }

  /** Removes an entry and its marks. @returns its value, 0 when absent @context the table's lock */
  erase(index: number): number {
    const { slots } = this.#pool;
    const level = this.#walk(index);
    if (level !== 0) return 0;
    const node = this.#path[0] as number;
    const slot = node * XA_SLOTS + slotAt(index, 0);
    const value = slots[slot] as number;
    if (value === 0) return 0;
    for (let mark = 0; mark < XA_MARKS; mark++) this.#unmark(index, mark);
    Atomics.store(slots, slot, 0);
    this.#count(node, -1);
    this.#trim(index);
    return value;
  }

  /**
   * Sets a mark on an entry that is there.
   * @param mark 0 .. XA_MARKS-1
   * @context the table's lock
   */
  setMark(index: number, mark: number): void {
    assert(mark >= 0 && mark < XA_MARKS, 'xarray mark out of range');
    assert(this.load(index) !== 0, 'xarray mark on an absent entry');
    const height = (this.#heads[this.#at] as number) >>> HEIGHT_SHIFT;
    this.#walk(index);
    for (let level = 0; level < height; level++) {
      this.#setBit(this.#path[level] as number, mark, slotAt(index, level));
    }
  }

  /** Clears a mark, if set. @context the table's lock */
  clearMark(index: number, mark: number): void {
    assert(mark >= 0 && mark < XA_MARKS, 'xarray mark out of range');
    if (this.#walk(index) === 0) this.#unmark(index, mark);
  }

  /** @returns whether the entry has the mark; false when absent @context the table's lock */
  getMark(index: number, mark: number): boolean {
    assert(mark >= 0 && mark < XA_MARKS, 'xarray mark out of range');
    return this.#walk(index) === 0 && this.#testBit(this.#path[0] as number, mark, index & 63);
  }

  /**
   * Finds the first entry at or after `start`.
   * @returns its index, XA_NONE when there is none
   * @context an RCU read section, or the table's lock
   */
  next(start: number): number {
    return this.#search(start, XA_NONE);
  }

  /** Finds the first entry with `mark` at or after `start`; as `next`. @context the table's lock */
  nextMarked(start: number, mark: number): number {
    assert(mark >= 0 && mark < XA_MARKS, 'xarray mark out of range');
    return this.#search(start, mark);
  }

  /** Raises the tree until `index` fits. */
  #grow(index: number): boolean {
    const { slots } = this.#pool;
    const need = heightOf(index);
    let head = this.#heads[this.#at] as number;
    let height = head >>> HEIGHT_SHIFT;
    if (height === 0) {
      const node = xaAllocNode(this.#pool);
      if (node === 0) return false;
      Atomics.store(this.#heads, this.#at, (need << HEIGHT_SHIFT) | node);
      return true;
    }
    for (; height < need; height++) {
      const node = xaAllocNode(this.#pool);
      if (node === 0) {
        this.#shrink();
        return false;
      }
      const old = head & NODE_MASK;
      slots[node * XA_SLOTS] = old;
      this.#count(node, 1);
      for (let mark = 0; mark < XA_MARKS; mark++) {
        if (this.#anyBit(old, mark)) this.#setBit(node, mark, 0);
      }
      head = ((height + 1) << HEIGHT_SHIFT) | node;
      Atomics.store(this.#heads, this.#at, head); // PAIRS(xarray-slot)
    }
    return true;
  }

  /**
   * Fills #path with the nodes over `index`, from the last level up.
   * @returns 0, or the level where it ends
   */
  #walk(index: number): number {
    const { slots } = this.#pool;
    const head = this.#heads[this.#at] as number;
    let level = (head >>> HEIGHT_SHIFT) - 1;
    if (level < 0 || heightOf(index) > level + 1) return XA_NONE;
    let node = head & NODE_MASK;
    for (; ; level--) {
      this.#path[level] = node;
      if (level === 0) return 0;
      node = slots[node * XA_SLOTS + slotAt(index, level)] as number;
      if (node === 0) return level;
    }
  }

  /** Takes out the empty nodes over `index`, then the levels that the tree no longer needs. */
  #trim(index: number): void {
    const { slots, meta } = this.#pool;
    const head = this.#heads[this.#at] as number;
    const height = head >>> HEIGHT_SHIFT;
    for (let level = Math.max(0, this.#walk(index)); level < height; level++) {
      const node = this.#path[level] as number;
      if (meta[node * META_WORDS + COUNT] !== 0) break;
      if (level + 1 === height) Atomics.store(this.#heads, this.#at, 0);
      else {
        const parent = this.#path[level + 1] as number;
        Atomics.store(slots, parent * XA_SLOTS + slotAt(index, level + 1), 0);
        this.#count(parent, -1);
      }
      this.#free(node);
    }
    this.#shrink();
  }

  /** Lowers the tree while its root has only the first child. */
  #shrink(): void {
    const { slots, meta } = this.#pool;
    for (;;) {
      const head = this.#heads[this.#at] as number;
      const height = head >>> HEIGHT_SHIFT;
      const root = head & NODE_MASK;
      if (height <= 1 || meta[root * META_WORDS + COUNT] !== 1) return;
      const child = slots[root * XA_SLOTS] as number;
      if (child === 0) return;
      // The root keeps its slot: a lookup that is in it still finds the child.
      Atomics.store(this.#heads, this.#at, ((height - 1) << HEIGHT_SHIFT) | child);
      this.#free(root);
    }
  }

  #search(start: number, mark: number): number {
    const head = Atomics.load(this.#heads, this.#at);
    const height = head >>> HEIGHT_SHIFT;
    if (height === 0 || start > 0xffffffff || heightOf(start) > height) return XA_NONE;
    return this.#searchNode(head & NODE_MASK, height - 1, 0, start, mark);
  }

  /**
   * @param base first index under the node
   * @param from first index wanted, at or after base or below it
   */
  #searchNode(node: number, level: number, base: number, from: number, mark: number): number {
    const { slots } = this.#pool;
    const span = 2 ** (SHIFT * level);
    const first = from <= base ? 0 : Math.floor((from - base) / span);
    for (let i = first; i < XA_SLOTS; i++) {
      if (mark >= 0) {
        i = this.#nextBit(node, mark, i);
        if (i < 0) return XA_NONE;
      }
      const entry = Atomics.load(slots, node * XA_SLOTS + i);
      if (entry === 0) continue;
      const at = base + i * span;
      if (level === 0) return at;
      const found = this.#searchNode(entry, level - 1, at, from, mark);
      if (found !== XA_NONE) return found;
    }
    return XA_NONE;
  }

  #count(node: number, delta: number): void {
    const { meta } = this.#pool;
    const at = node * META_WORDS + COUNT;
    meta[at] = (meta[at] as number) + delta;
  }

  /**
   * Clears the mark of an entry, and of the levels above where no other entry has it.
   * @context #walk was run
   */
  #unmark(index: number, mark: number): void {
    const height = (this.#heads[this.#at] as number) >>> HEIGHT_SHIFT;
    for (let level = 0; level < height; level++) {
      const node = this.#path[level] as number;
      const slot = slotAt(index, level);
      const at = node * META_WORDS + MARKS + mark * 2 + (slot >>> 5);
      const { meta } = this.#pool;
      meta[at] = (meta[at] as number) & ~(1 << (slot & 31));
      if (this.#anyBit(node, mark)) return;
    }
  }

  #setBit(node: number, mark: number, slot: number): void {
    const { meta } = this.#pool;
    const at = node * META_WORDS + MARKS + mark * 2 + (slot >>> 5);
    meta[at] = (meta[at] as number) | (1 << (slot & 31));
  }

  #testBit(node: number, mark: number, slot: number): boolean {
    const at = node * META_WORDS + MARKS + mark * 2 + (slot >>> 5);
    return (((this.#pool.meta[at] as number) >>> (slot & 31)) & 1) !== 0;
  }

  #anyBit(node: number, mark: number): boolean {
    const at = node * META_WORDS + MARKS + mark * 2;
    return this.#pool.meta[at] !== 0 || this.#pool.meta[at + 1] !== 0;
  }

  #nextBit(node: number, mark: number, from: number): number {
    const at = node * META_WORDS + MARKS + mark * 2;
    const { meta } = this.#pool;
    for (let half = from >>> 5; half < 2; half++) {
      const keep = half === from >>> 5 ? -1 << (from & 31) : -1;
      const word = (meta[at + half] as number) & keep;
      if (word !== 0) return half * 32 + ffs(word);
    }
    return XA_NONE;
  }
}
