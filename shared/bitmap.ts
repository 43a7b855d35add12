// SPDX-License-Identifier: MIT
/**
 * Bitmaps: bit `n` is bit `n & 31` of word `base + (n >> 5)` of an i32 column.
 *
 * Every function takes `base`, the word where the bitmap starts, so that many bitmaps share a
 * column. Plain functions need the bitmap's lock or its single owner; the `Atomic` ones are for
 * bitmaps that several threads write, and are wait-free. Searches read plainly: under a lock they
 * are exact, without one they give a hint that the caller confirms with an atomic operation.
 */
import type { I32 } from './types.ts';

/** Returned by searches that find nothing. */
export const BIT_NONE = -1;

/** @param nbits 0 .. 2^31-1 @returns the words that a bitmap of so many bits takes */
export function bitmapWords(nbits: number): number {
  return Math.ceil(nbits / 32);
}

/** @context the bitmap's lock or owner */
export function setBit(words: I32, base: number, bit: number): void {
  const at = base + (bit >>> 5);
  words[at] = (words[at] as number) | (1 << (bit & 31));
}

/** @context the bitmap's lock or owner */
export function clearBit(words: I32, base: number, bit: number): void {
  const at = base + (bit >>> 5);
  words[at] = (words[at] as number) & ~(1 << (bit & 31));
}

/** @context the bitmap's lock or owner */
export function testBit(words: I32, base: number, bit: number): boolean {
  return (((words[base + (bit >>> 5)] as number) >>> (bit & 31)) & 1) !== 0;
}

/** @returns whether the bit was set before @context any thread */
export function testAndSetBitAtomic(words: I32, base: number, bit: number): boolean {
  const mask = 1 << (bit & 31);
  return (Atomics.or(words, base + (bit >>> 5), mask) & mask) !== 0;
}

/** @returns whether the bit was set before @context any thread */
export function testAndClearBitAtomic(words: I32, base: number, bit: number): boolean {
  const mask = 1 << (bit & 31);
  return (Atomics.and(words, base + (bit >>> 5), ~mask) & mask) !== 0;
}

/** @context any thread */
export function testBitAtomic(words: I32, base: number, bit: number): boolean {
  return ((Atomics.load(words, base + (bit >>> 5)) >>> (bit & 31)) & 1) !== 0;
}

/** Lowest set bit of a word. @returns 0 .. 31, BIT_NONE for 0 */
export function ffs(word: number): number {
  return word === 0 ? BIT_NONE : 31 - Math.clz32(word & -word);
}

/** Highest set bit of a word. @returns 0 .. 31, BIT_NONE for 0 */
export function fls(word: number): number {
  return 31 - Math.clz32(word);
}

/** @returns the number of set bits of a word, 0 .. 32 */
export function hweight32(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Searches for a bit that differs from `flip`'s (0: a set bit, -1: a clear one). */
function search(words: I32, base: number, nbits: number, start: number, flip: number): number {
  if (start >= nbits) return BIT_NONE;
  let at = start >>> 5;
  const last = (nbits - 1) >>> 5;
  let word = ((words[base + at] as number) ^ flip) & (-1 << (start & 31));
  while (word === 0) {
    if (++at > last) return BIT_NONE;
    word = (words[base + at] as number) ^ flip;
  }
  const bit = at * 32 + ffs(word);
  return bit < nbits ? bit : BIT_NONE;
}

/**
 * Finds the first set bit at or after `start`.
 * @param nbits size of the bitmap @param start 0 .. nbits (nbits finds nothing)
 * @returns the bit, BIT_NONE when there is none
 * @context the bitmap's lock or owner; without one the answer is a hint
 */
export function findNextBit(words: I32, base: number, nbits: number, start: number): number {
  return search(words, base, nbits, start, 0);
}

/** Finds the first clear bit at or after `start`; as findNextBit. */
export function findNextZeroBit(words: I32, base: number, nbits: number, start: number): number {
  return search(words, base, nbits, start, -1);
}

/** @returns the number of set bits among the first `nbits` @context the bitmap's lock or owner */
export function bitmapWeight(words: I32, base: number, nbits: number): number {
  const full = nbits >>> 5;
  let weight = 0;
  for (let at = 0; at < full; at++) weight += hweight32(words[base + at] as number);
  const rest = nbits & 31;
  if (rest !== 0) weight += hweight32((words[base + full] as number) & ((1 << rest) - 1));
  return weight;
}

/** Sets (or clears) bits `start .. start+count-1`. @context the bitmap's lock or owner */
export function bitmapFill(
  words: I32,
  base: number,
  start: number,
  count: number,
  value: boolean,
): void {
  for (let bit = start, end = start + count; bit < end; ) {
    const at = base + (bit >>> 5);
    const low = bit & 31;
    const nr = Math.min(32 - low, end - bit);
    const mask = nr === 32 ? -1 : ((1 << nr) - 1) << low;
    words[at] = value ? (words[at] as number) | mask : (words[at] as number) & ~mask;
    bit += nr;
  }
}
