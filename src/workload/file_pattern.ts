// SPDX-License-Identifier: GPL-2.0-only
/**
 * What workloads write to files, and how a reader knows that a block is right: a block says which
 * one it is, of which file, and which write of it this was, and every word of it follows from that.
 */

/** Words of a block that name it: file, block, write. */
export const PATTERN_HEADER = 3;

/** The word of a block at `at`, behind the header. */
export function patternWord(file: number, block: number, seq: number, at: number): number {
  const base = Math.imul(Math.imul(file ^ 0x5bd1e995, 0x9e3779b1) ^ block, 0x85ebca6b) ^ seq;
  return (Math.imul(base, 0xc2b2ae35) + Math.imul(at, 0x27d4eb2f)) | 0;
}

/** Fills a block. @param words all of it, more than the header @param seq of the write, 0 and up */
export function fillBlock(words: Int32Array, file: number, block: number, seq: number): void {
  words[0] = file;
  words[1] = block;
  words[2] = seq;
  let word = patternWord(file, block, seq, PATTERN_HEADER);
  for (let at = PATTERN_HEADER; at < words.length; at++) {
    words[at] = word;
    word = (word + 0x27d4eb2f) | 0;
  }
}

/** @returns which write a block holds; -1 when it is no write of this block as a whole */
export function blockSeq(words: Int32Array, file: number, block: number): number {
  const seq = words[2] as number;
  if (words[0] !== file || words[1] !== block || seq < 0) return -1;
  let word = patternWord(file, block, seq, PATTERN_HEADER);
  for (let at = PATTERN_HEADER; at < words.length; at++) {
    if (words[at] !== word) return -1;
    word = (word + 0x27d4eb2f) | 0;
  }
  return seq;
}
