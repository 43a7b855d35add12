// SPDX-License-Identifier: GPL-2.0-only
/**
 * What page frames hold, and how a reader knows that it is right.
 *
 *   bytes 0 .. SLOTS_BYTES-1   one 8-byte slot per CPU: word 0 a tag, word 1 the store's number
 *   the rest                   fill: a third random, two thirds a repeated pattern, from (fill id,
 *                              index)
 *
 * A store writes its CPU's slot only, and each CPU remembers, privately, what it wrote last, so a
 * check of one's own slot is free of races. The fill can be made again: the walk at the end of a
 * run compares whole pages, swapped ones too. A forked child has its parent's fill id, and mremap
 * keeps a page's index, so that pages hold what is expected of them wherever they come to be.
 */

import { PAGE_SIZE, PAGE_WORDS, SLOTS_BYTES } from './limits.ts';
import { FRAME_BUFFER_PAGES, type Mm } from './mm.ts';

/** First word of the fill. */
const FILL_WORD = SLOTS_BYTES / 4;
/** First word of the repeated part: a third of the fill is random. */
const PATTERN_WORD = FILL_WORD + Math.floor((PAGE_WORDS - FILL_WORD) / 3);
/** The pattern repeats after so many words. */
const PATTERN_WORDS = 4;
/** In a fill id: all of the fill is random, so that no codec makes it smaller. */
export const FILL_RANDOM = 1 << 30;

/** @returns the word of a page at which the repeated part of a fill begins */
function patternFrom(fillId: number): number {
  return (fillId & FILL_RANDOM) === 0 ? PATTERN_WORD : PAGE_WORDS - PATTERN_WORDS;
}

/** Word 0 of a CPU's slot after its first store. */
export function slotTag(cpu: number): number {
  return 0x53544f00 | cpu;
}

/** A frame's bytes. @context the frame belongs to the caller: locked, isolated or just allocated */
export function pageBytes(m: Mm, pfn: number): Uint8Array {
  const buffer = m.frame8[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Uint8Array;
  const at = (pfn % FRAME_BUFFER_PAGES) * PAGE_SIZE;
  return buffer.subarray(at, at + PAGE_SIZE);
}

/** @returns the bytes of a page frame as words @context the page is held or isolated */
export function pageWords(m: Mm, pfn: number): Int32Array {
  const buffer = m.frame32[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Int32Array;
  const at = (pfn % FRAME_BUFFER_PAGES) * PAGE_WORDS;
  return buffer.subarray(at, at + PAGE_WORDS);
}

/**
 * @returns the word that the page repeats, or null
 * @context the page is held or isolated
 */
export function sameFilledWord(m: Mm, pfn: number): number | null {
  const words = m.frame32[Math.floor(pfn / FRAME_BUFFER_PAGES)] as Int32Array;
  const first = (pfn % FRAME_BUFFER_PAGES) * PAGE_WORDS;
  const last = first + PAGE_WORDS - 1;
  const word = words[first] as number;
  // The last word first: most pages that differ at all differ at the end (zram's own trick).
  if (words[last] !== word) return null;
  for (let at = first + 1; at < last; at++) if (words[at] !== word) return null;
  return word;
}

function fillSeed(fillId: number, index: number): number {
  const low = index % 65536;
  const high = Math.floor(index / 65536);
  const own = Math.imul(fillId, 0xc2b2ae35);
  const seed = Math.imul(low ^ Math.imul(high, 0x85ebca6b) ^ own, 0x9e3779b1);
  return seed === 0 ? 1 : seed;
}

/** One step of xorshift32: enough for bytes that must only differ and not compress. */
function nextWord(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x;
}

/** Fills a page for its first touch: slots zero, the rest from its address space and index. */
export function fillPage(words: Int32Array, fillId: number, index: number): void {
  const from = patternFrom(fillId);
  words.fill(0, 0, FILL_WORD);
  let state = fillSeed(fillId, index);
  for (let i = FILL_WORD; i < from; i++) {
    state = nextWord(state);
    words[i] = state;
  }
  for (let i = 0; i < PATTERN_WORDS; i++) {
    state = nextWord(state);
    words[from + i] = state;
  }
  for (let i = from + PATTERN_WORDS; i < PAGE_WORDS; i++) {
    words[i] = words[i - PATTERN_WORDS] as number;
  }
}

/** @returns index of the first word of the fill that is wrong, or -1 */
export function verifyFill(words: Int32Array, fillId: number, index: number): number {
  const from = patternFrom(fillId);
  let state = fillSeed(fillId, index);
  for (let i = FILL_WORD; i < from + PATTERN_WORDS; i++) {
    state = nextWord(state);
    if (words[i] !== state) return i;
  }
  for (let i = from + PATTERN_WORDS; i < PAGE_WORDS; i++) {
    if (words[i] !== words[i - PATTERN_WORDS]) return i;
  }
  return -1;
}
