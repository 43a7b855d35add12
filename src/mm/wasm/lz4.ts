// SPDX-License-Identifier: GPL-2.0-only
/**
 * The LZ4 block format for single pages, in AssemblyScript: a codec that allocates nothing.
 *
 * A memory of its own holds one page, one packed page and the hash table:
 *
 *   PAGE      the page to pack, or the page unpacked
 *   PACKED    what it was packed to, or what to unpack
 *   TABLE     where four bytes with a hash were seen last, 16 bits each
 *
 * A block is a row of sequences: a token (literals << 4 | match - 4), more length bytes where a
 * half is 15, the literals, a distance of 16 bits, more length bytes. The last one has literals
 * only, at least five of them, and no match begins in the last twelve bytes.
 */

export const PAGE: i32 = 0;
export const PAGE_BYTES: i32 = 4096;
export const PACKED: i32 = 8192;
/** The largest block that a page could come to, were there no limit. */
export const PACKED_BYTES: i32 = 4096 + 4096 / 255 + 16;
export const TABLE: i32 = 16384;
const TABLE_BITS: i32 = 12;

const MIN_MATCH: i32 = 4;
/** A match may not begin here or later, nor reach beyond. */
const LAST_START: i32 = PAGE_BYTES - 12;
const LAST_END: i32 = PAGE_BYTES - 5;
/** After so many looks in vain, as a power of two, the step grows by one. */
const SKIP_SHIFT: i32 = 6;

// @ts-ignore: decorator
@inline
function hashOf(word: u32): i32 {
  return <i32>((word * 2654435761) >>> (32 - TABLE_BITS));
}

// @ts-ignore: decorator
@inline
function tableAt(hash: i32): usize {
  return <usize>(TABLE + (hash << 1));
}

/** Writes what a length has beyond the 15 of the token. Returns where to go on. */
function putLength(out: i32, rest: i32): i32 {
  let left = rest;
  let at = out;
  while (left >= 255) {
    store<u8>(at++, 255);
    left -= 255;
  }
  store<u8>(at++, <u8>left);
  return at;
}

/** Writes a token's first half and its literals. Returns where to go on, or 0 beyond `end`. */
function putLiterals(out: i32, anchor: i32, count: i32, end: i32): i32 {
  if (out + 1 + count + count / 255 > end) return 0;
  let at = out + 1;
  store<u8>(out, <u8>(min(count, 15) << 4));
  if (count >= 15) at = putLength(at, count - 15);
  memory.copy(at, PAGE + anchor, count);
  return at + count;
}

/** Bytes that two places of the page have in common, up to LAST_END. */
function matchLength(from: i32, with_: i32): i32 {
  let at = from;
  let ref = with_;
  while (at + 8 <= LAST_END) {
    const differ = load<u64>(PAGE + at) ^ load<u64>(PAGE + ref);
    if (differ != 0) return at - from + <i32>(ctz(differ) >> 3);
    at += 8;
    ref += 8;
  }
  while (at < LAST_END && load<u8>(PAGE + at) == load<u8>(PAGE + ref)) {
    at++;
    ref++;
  }
  return at - from;
}

/**
 * Packs PAGE into PACKED.
 * @param limit bytes, at most PACKED_BYTES
 * @returns its length, or 0 when it would take more than `limit`
 */
export function pack(limit: i32): i32 {
  memory.fill(TABLE, 0, 2 << TABLE_BITS);
  const end = PACKED + limit;
  let out = PACKED;
  let anchor = 0;
  let at = 1;
  let looks = 1 << SKIP_SHIFT;
  while (at <= LAST_START) {
    const word = load<u32>(PAGE + at);
    const cell = tableAt(hashOf(word));
    let ref = <i32>load<u16>(cell);
    store<u16>(cell, <u16>at);
    if (load<u32>(PAGE + ref) != word) {
      at += looks++ >> SKIP_SHIFT;
      continue;
    }
    looks = 1 << SKIP_SHIFT;
    while (at > anchor && ref > 0 && load<u8>(PAGE + at - 1) == load<u8>(PAGE + ref - 1)) {
      at--;
      ref--;
    }
    const token = out;
    out = putLiterals(out, anchor, at - anchor, end);
    // The distance, and five literals at the end, follow in any case.
    if (out == 0 || out + 2 + 6 > end) return 0;
    store<u16>(out, <u16>(at - ref));
    out += 2;
    const more = matchLength(at + MIN_MATCH, ref + MIN_MATCH);
    store<u8>(token, load<u8>(token) | <u8>min(more, 15));
    if (more >= 15) {
      if (out + 1 + (more - 15) / 255 > end) return 0;
      out = putLength(out, more - 15);
    }
    at += MIN_MATCH + more;
    anchor = at;
    if (at <= LAST_START) {
      store<u16>(tableAt(hashOf(load<u32>(PAGE + at - 2))), <u16>(at - 2));
    }
  }
  out = putLiterals(out, anchor, PAGE_BYTES - anchor, end);
  return out == 0 ? 0 : out - PACKED;
}

/** Where `getLength` has come to. */
let readAt: i32 = 0;

/** Reads what a length has beyond the 15 of the token. Returns it, or -1 beyond `end`. */
function getLength(at: i32, end: i32): i32 {
  let sum = 0;
  readAt = at;
  while (readAt < end) {
    const byte = <i32>load<u8>(readAt++);
    sum += byte;
    if (byte != 255) return sum;
  }
  return -1;
}

/**
 * Unpacks PACKED into PAGE. Nothing outside of PAGE is written, whatever the bytes are.
 * @param length bytes of the block
 * @returns whether it was a page
 */
export function unpack(length: i32): bool {
  const end = PACKED + length;
  let at = PACKED;
  let out = 0;
  while (at < end) {
    const token = <i32>load<u8>(at++);
    let literals = token >> 4;
    if (literals == 15) {
      const more = getLength(at, end);
      if (more < 0) return false;
      literals += more;
      at = readAt;
    }
    if (at + literals > end || out + literals > PAGE_BYTES) return false;
    memory.copy(PAGE + out, at, literals);
    at += literals;
    out += literals;
    if (at == end) return out == PAGE_BYTES;
    if (at + 2 > end) return false;
    const distance = <i32>load<u16>(at);
    at += 2;
    let match = (token & 15) + MIN_MATCH;
    if ((token & 15) == 15) {
      const more = getLength(at, end);
      if (more < 0) return false;
      match += more;
      at = readAt;
    }
    if (distance == 0 || distance > out || out + match > PAGE_BYTES) return false;
    // Bytes of the match may be its own: one by one, unless they lie apart.
    const from = PAGE + out - distance;
    if (distance >= match) memory.copy(PAGE + out, from, match);
    else for (let i = 0; i < match; i++) store<u8>(PAGE + out + i, load<u8>(from + i));
    out += match;
  }
  return false;
}
